"""Where a link may lead: the site itself or an allow-listed address; anything else becomes the site."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit


def allowed(url: str, site_url: str, patterns: tuple[str, ...]) -> str:
    """``url`` if it may be redirected to, else ``site_url`` (supabase/auth, IsRedirectURLValid)."""
    try:
        asked, site = urlsplit(url), urlsplit(site_url)
        host, port = asked.hostname, asked.port
    except ValueError:
        return site_url
    if not asked.scheme or any(ord(c) < 33 or c == "\\" for c in url) or "@" in asked.netloc:
        return site_url
    if host and (host, port) == (site.hostname, site.port) and asked.scheme == site.scheme:
        return url
    target = url.split("#", 1)[0]
    return url if any(_glob(pattern).fullmatch(target) for pattern in patterns) else site_url


def _glob(pattern: str) -> re.Pattern[str]:
    """``*`` matches within a part (parts end at ``.`` and ``/``), ``**`` across parts, ``?`` one character."""
    out = ""
    for piece in re.findall(r"\*\*|\*|\?|[^*?]+", pattern):
        out += {"**": ".*", "*": "[^./]*", "?": "[^./]"}.get(piece) or re.escape(piece)
    return re.compile(out)


def with_query(url: str, values: dict[str, str]) -> str:
    """``url`` with these query parameters added."""
    parts = urlsplit(url)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *values.items()])
    return urlunsplit((parts.scheme, parts.netloc, parts.path or "/", query, parts.fragment))


def with_fragment(url: str, values: dict[str, str]) -> str:
    """``url`` with these values as its fragment."""
    return url.split("#", 1)[0] + "#" + urlencode(values)
