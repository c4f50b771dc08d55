"""Where a link may lead: the site itself or an allow-listed address."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from stack.supabase.http import Response


def allowed(url: str, site_url: str, patterns: tuple[str, ...]) -> bool:
    """Whether ``url`` may be redirected to (supabase/auth, IsRedirectURLValid)."""
    try:
        asked, site = urlsplit(url), urlsplit(site_url)
        host, port = asked.hostname or "", asked.port
    except ValueError:
        return False
    if not asked.scheme or any(ord(c) < 33 or c == "\\" for c in url) or "@" in asked.netloc:
        return False
    here = bool(host) and (host, asked.scheme) == (site.hostname, site.scheme)
    if here and (port == site.port or _loopback(host)):  # any port of one's own machine: RFC 8252, 7.3
        return True
    target = url.split("#", 1)[0]
    return any(_glob(pattern).fullmatch(target) for pattern in patterns)


def _loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def _glob(pattern: str) -> re.Pattern[str]:
    """``*`` matches within a part (parts end at ``.`` and ``/``), ``**`` across parts, ``?`` one character."""
    out = ""
    for piece in re.findall(r"\*\*|\*|\?|[^*?]+", pattern):
        out += {"**": ".*", "*": "[^./]*", "?": "[^./]"}.get(piece) or re.escape(piece)
    return re.compile(out)


def with_query(url: str, values: dict[str, str]) -> str:
    """``url`` with these query parameters set, in the order of their names."""
    parts = urlsplit(url)
    kept = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in values]
    query = urlencode(sorted([*kept, *values.items()], key=lambda pair: pair[0]))
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, parts.fragment))


def with_fragment(url: str, values: dict[str, str]) -> str:
    """``url`` with these values as its fragment, in the order of their names; ``sb`` tells clients who sent them here."""
    return url.split("#", 1)[0] + "#" + urlencode(sorted({**values, "sb": ""}.items()))


def to(url: str, status: int = 303) -> Response:
    """A redirect, by default one that is followed by GET."""
    return Response(status, b"", {"location": url, "content-type": "text/html; charset=utf-8"})
