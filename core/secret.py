"""Secrets that mask themselves, and the one redactor that all evidence passes through."""

from __future__ import annotations

import base64
import json
import re
from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

MASK = "***"
_SHORTEST = 6  # shorter values would mask ordinary words

_PATTERNS = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"  # JSON Web Token (RFC 7519)
    r"|sb_(?:secret|publishable)_[\w-]{8,}"  # Supabase API keys
    r"|(?i:bearer)\s+[\w.~+/=-]{8,}"  # RFC 6750
    r"|(?i:x-amz-(?:signature|credential|security-token)=)[^&\s\"']+"  # presigned S3 addresses
    r"|(?i:(?<=[?&])(?:token|access_token|refresh_token|code|apikey|token_hash|dd-api-key)=)[^&\s\"'\\]+"
    r"|(?<=://)[^/\s:@\"']+:[^/\s@\"']+(?=@)"  # credentials in an address
)


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

    A run learns thousands of secrets, one by one, and masks every event: so each is looked for as it is,
    longest first, and none by a pattern that would have to be compiled anew.
    """

    def __init__(self, secrets: Iterable[Secret | str] = ()) -> None:
        self._forms: list[str] = []
        for secret in secrets:
            self.add(secret)

    def add(self, secret: Secret | str) -> None:
        """Makes a value known: from now on it is masked, URL-quoted, JSON-escaped and base64 forms too."""
        value = secret.reveal() if isinstance(secret, Secret) else secret
        if len(value) < _SHORTEST:
            return
        forms = {value, quote(value, safe=""), quote_plus(value), json.dumps(value)[1:-1]}
        forms.add(base64.b64encode(value.encode()).decode().rstrip("="))
        forms.add(base64.urlsafe_b64encode(value.encode()).decode().rstrip("="))
        if "://" in value and (password := urlsplit(value).password):
            self.add(password)
        for form in forms.difference(self._forms):
            insort(self._forms, form, key=_by_length)

    def text(self, text: str) -> str:
        """`text` with every secret masked."""
        forms = self._forms
        for form in forms[bisect_left(forms, -len(text), key=_by_length) :]:
            if form in text:
                text = text.replace(form, MASK)
        return _PATTERNS.sub(MASK, text)

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


def _by_length(form: str) -> int:
    return -len(form)
