"""Secrets that mask themselves, and the one redactor that all evidence passes through."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from html import escape
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

from core.text import capped, safe

MASK = "***"
_DEEPEST = (
    3  # times that JSON stands within JSON: a trace keeps an answer that quotes one that was kept as text
)
_SHORTEST = 6  # shorter values would mask ordinary words

_PATTERNS = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"  # JSON Web Token (RFC 7519)
    r"|sb_(?:secret|publishable)_[\w-]{8,}"  # Supabase API keys
    r"|(?i:bearer)\s+[\w.~+/=-]{8,}"  # RFC 6750
    r"|(?i:x-amz-(?:signature|credential|security-token)=)[^&\s\"']+"  # presigned S3 addresses
    r"|(?<=://)[^/\s:@\"']+:[^/\s@\"']+(?=@)"  # credentials in an address
)

_SENT = (
    "access_token|refresh_token|provider_token|provider_refresh_token|hashed_token|token_hash|code_verifier|auth_code"
    "|client_secret"
)
_ASKED = f"{_SENT}|token|code|sig|signature|apikey|dd-api-key"
_NAMED = re.compile(
    rf"((?:[?&#;]|\\u0026)(?:{_ASKED})=)([^&\s\"'\\<>#]+)"  # in an address, its fragment, a form
    rf"|(%(?:25)*(?:3f|26|23)(?:{_ASKED})%(?:25)*3d)([^&\s\"'\\<>#%]+)"  # in an address within an address
    rf"|((?:\\*\"|&quot;)(?:{_SENT})(?:\\*\"|&quot;)\s*:\s*(?:\\*\"|&quot;))([^\"\\&]+)",  # in JSON, however deep
    re.IGNORECASE,
)
"""What Supabase Auth and signed addresses call their secrets: the name stays, the value is masked."""
_PUBLIC_ENDS = ("apikey=", "dd-api-key=")
_SHORTEST_TOKEN = 12  # of Supabase Auth's tokens: its refresh tokens


class Secret:
    """A value that never prints: str, repr, format and JSON all give a mask. `reveal()` is the one way out."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself; hand it to a client, never to a message."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a Secret is not pickled; pass the variable's name instead")


class Redactor:
    """Replaces every known secret, in its usual encodings, and whatever looks like a token.

    A run learns thousands of secrets, one by one, and masks every event. So their forms are kept by how they
    begin: masking costs as much as the text is long, however many secrets there are.
    """

    def __init__(self, secrets: Iterable[Secret | str] = ()) -> None:
        self._forms: dict[str, list[str]] = {}
        self._values: dict[str, None] = {}
        self.learn(secrets)

    def values(self) -> tuple[str, ...]:
        """Every value that is known: for the private file by which another process joins the run, and nothing else."""
        return tuple(self._values)

    def learn(self, secrets: Iterable[Secret | str]) -> None:
        """Makes several values known."""
        for secret in secrets:
            self.add(secret)

    def add(self, secret: Secret | str) -> None:
        """Makes a value known: from now on it is masked, in every form that `forms` names."""
        value = secret.reveal() if isinstance(secret, Secret) else secret
        if len(value) < _SHORTEST or value in self._values:
            return
        self._values[value] = None
        if "://" in value and (password := urlsplit(value).password):
            self.add(unquote(password))
        for form in forms(value):
            known = self._forms.setdefault(form[:_SHORTEST], [])
            if form not in known:
                known.append(form)

    def text(self, text: str) -> str:
        """`text` with every secret masked."""
        starts = self._forms
        found = [
            (at, at + len(form))
            for at in range(len(text) - _SHORTEST + 1)
            if (start := text[at : at + _SHORTEST]) in starts
            for form in starts[start]
            if text.startswith(form, at)
        ]
        shown = _PATTERNS.sub(MASK, _without(text, found) if found else text)
        return _NAMED.sub(lambda m: f"{m[1] or m[3] or m[5]}{MASK}", shown)

    def excerpt(self, text: str, limit: int) -> str:
        """`text` masked, safe to keep and cut to `limit` characters; no part of a secret is left where it was cut."""
        return safe(self.text(capped(text, 2 * limit)), limit, len(text) if len(text) > 2 * limit else 0)

    def value(self, value: Any) -> Any:
        """A JSON-like value with every secret masked in its strings and keys; numbers stay numbers."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(key)): self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(item) for item in value]
        return value

    def bytes(self, data: bytes) -> bytes:
        """`data` with every secret masked; works on any bytes, since latin-1 keeps each one."""
        return self.text(data.decode("latin-1")).encode("latin-1")


def named_secrets(text: str) -> Iterator[str]:
    """Values that a text gives the name of a token, of a code or of a signature: what a browser was handed, for one.

    Sessions that a page makes are known from nowhere else. Words (an error's code) are no secrets: each has a digit.
    """
    for match in _NAMED.finditer(text):
        name, value = match[1] or match[3] or match[5], unquote(match[2] or match[4] or match[6])
        if (
            len(value) >= _SHORTEST_TOKEN
            and re.search(r"\d", value)
            and not name.lower().endswith(_PUBLIC_ENDS)
        ):
            yield value


def forms(value: str) -> set[str]:
    """How a value may stand in evidence, each at least six characters long.

    As it is; in URLs; in JSON, also within JSON; in HTML; each of them as UTF-8 bytes read as latin-1, too; in Python's
    words and in hexadecimal; and within anything encoded as base64, so that `user:secret` is found.
    """
    try:
        raw = value.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which is in no encoding
        return {value}
    found = {value, repr(raw)[2:-1], raw.hex(), raw.hex().upper()}
    for quoted in (quote(value, safe=""), quote(value), quote_plus(value)):
        found |= {quoted, re.sub("%..", lambda code: code[0].lower(), quoted)}
    for ascii_only in (True, False):
        in_json = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        found |= {in_json, in_json.replace("/", "\\/")}
    found |= {escape(value), escape(value).replace("&#x27;", "&#39;"), escape(value, quote=False)}
    for _ in range(_DEEPEST):  # again within JSON, or within Python's words for a text
        for form in tuple(found):
            if not {"\\", '"'}.isdisjoint(form):
                found |= {json.dumps(form, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
                found.add(form.replace("\\", "\\\\"))
    found |= {form.encode().decode("latin-1") for form in tuple(found) if not form.isascii()}
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        # characters that other bytes have a part in, before or after the value, are left out
        shared_after = (before + len(raw)) % 3 != 0
        part = whole[(0, 2, 3)[before] : len(whole) - shared_after]
        found |= {part, part.replace("+", "-").replace("/", "_")}
    return {form for form in found if len(form) >= _SHORTEST}


def _without(text: str, found: list[tuple[int, int]]) -> str:
    """`text` with a mask for each run of places, which may overlap; they come in order of their start."""
    kept: list[str] = []
    end = 0
    for start, stop in found:
        if start >= end:
            kept += [text[end:start], MASK]
        end = max(end, stop)
    return "".join([*kept, text[end:]])
