"""Sentry's envelopes: taken apart and judged as Sentry's own Relay does.

Sources: Sentry's developer documentation, "Envelopes" (format, authentication, size limits) and "Envelope
items"; getsentry/relay, `extractors/request_meta.rs` and `endpoints/common.rs` (which error is which status
and sentence).
"""

from __future__ import annotations

import gzip
import json
import re
import uuid
import zlib
from dataclasses import dataclass
from typing import Any

import brotli  # type: ignore[import-untyped]
import zstandard

from stack.vendors.web import loads

MEBIBYTE = 1024 * 1024
COMPRESSED_LIMIT = 40 * MEBIBYTE
ENVELOPE_LIMIT = 200 * MEBIBYTE
COMPRESSED_EVENT_LIMIT = 200 * 1024
"""Source: Sentry's documentation, "Size Limits": events over 200 KB compressed are rejected."""
ITEM_LIMITS = {
    "event": MEBIBYTE,
    "transaction": MEBIBYTE,
    "attachment": 200 * MEBIBYTE,
    "check_in": 100 * 1024,
    "client_report": 4096,
    "session": MEBIBYTE,
    "sessions": MEBIBYTE,
    "user_report": MEBIBYTE,
    "statsd": MEBIBYTE,
}
SESSIONS_LIMIT = 100
PUBLIC_KEY = re.compile(r"[0-9a-fA-F]{32}")


class EnvelopeRefused(Exception):
    """Relay's answer to what it does not take: a status and a sentence, with causes."""

    def __init__(self, status: int, detail: str, *causes: str) -> None:
        super().__init__(detail)
        self.status, self.detail, self.causes = status, detail, causes

    def body(self) -> dict[str, Any]:
        """Return the answer's JSON."""
        return {"detail": self.detail, **({"causes": list(self.causes)} if self.causes else {})}


@dataclass
class Item:
    """One item of an envelope."""

    headers: dict[str, Any]
    payload: bytes

    @property
    def type(self) -> str:
        """The kind of item: event, transaction, session ..."""
        return str(self.headers.get("type"))

    def json(self) -> Any:
        """Return the payload as JSON; raises Refused."""
        try:
            return loads(self.payload)
        except ValueError as error:
            raise EnvelopeRefused(
                400, "invalid event envelope", f"item payload is not JSON: {error}"
            ) from error


@dataclass
class Envelope:
    """An envelope's headers and items."""

    headers: dict[str, Any]
    items: list[Item]

    @property
    def event_id(self) -> str | None:
        """The event id of the headers, as 32 digits."""
        value = self.headers.get("event_id")
        return uuid.UUID(str(value)).hex if value else None

    def serialize(self, items: list[Item]) -> bytes:
        """Return an envelope with the same headers and these items."""
        parts = [json.dumps(self.headers).encode()]
        for item in items:
            parts.append(json.dumps({**item.headers, "length": len(item.payload)}).encode())
            parts.append(item.payload)
        return b"\n".join(parts) + b"\n"


def decompress(body: bytes, encoding: str) -> bytes:
    """Return the body in the clear; raises Refused."""
    if len(body) > COMPRESSED_LIMIT:
        raise EnvelopeRefused(413, "length limit exceeded")
    clear = body
    try:
        for one in reversed([part.strip() for part in encoding.lower().split(",") if part.strip()]):
            if one == "gzip":
                clear = gzip.decompress(clear)
            elif one == "deflate":
                clear = zlib.decompress(clear)
            elif one == "br":
                clear = brotli.decompress(clear)
            elif one == "zstd":
                clear = zstandard.ZstdDecompressor().decompressobj().decompress(clear)
            elif one != "identity":
                raise EnvelopeRefused(415, f"unsupported content encoding {one}")
    except (OSError, EOFError, zlib.error, brotli.error, zstandard.ZstdError) as error:
        raise EnvelopeRefused(400, "invalid request body", str(error)) from error
    if len(clear) > ENVELOPE_LIMIT:
        raise EnvelopeRefused(413, "length limit exceeded")
    return clear


def _object(line: bytes, cause: str) -> dict[str, Any]:
    try:
        value = loads(line)
    except ValueError as error:
        raise EnvelopeRefused(400, "invalid event envelope", cause, str(error)) from error
    if not isinstance(value, dict):
        raise EnvelopeRefused(400, "invalid event envelope", cause)
    return value


def parse(body: bytes, compressed: int = 0) -> Envelope:
    """Return the envelope of a clear body; raises Refused with 400 or 413 (see `check_sizes`)."""
    if not body.strip():
        raise EnvelopeRefused(400, "empty request body")
    line, _, rest = body.partition(b"\n")
    headers = _object(line, "invalid envelope header")
    if headers.get("event_id") is not None:
        try:
            uuid.UUID(str(headers["event_id"]))
        except ValueError as error:
            cause = "invalid envelope header"
            raise EnvelopeRefused(400, "invalid event envelope", cause, "invalid event id") from error
    items: list[Item] = []
    while rest:
        if not rest.strip():
            break
        line, separator, rest = rest.partition(b"\n")
        if not line.strip():
            continue
        item = _object(line, "invalid item header")
        if not isinstance(item.get("type"), str):
            raise EnvelopeRefused(
                400, "invalid event envelope", "invalid item header", "missing field `type`"
            )
        length = item.get("length")
        if length is None:
            payload, _, rest = rest.partition(b"\n")
        else:
            if not isinstance(length, int) or isinstance(length, bool) or length < 0:
                raise EnvelopeRefused(400, "invalid event envelope", "invalid item header", "bad length")
            if (not separator and length) or length > len(rest):
                raise EnvelopeRefused(400, "invalid event envelope", "unexpected end of file")
            payload, rest = rest[:length], rest[length:]
            if rest and not rest.startswith(b"\n"):
                raise EnvelopeRefused(400, "invalid event envelope", "missing newline after payload")
            rest = rest[1:]
        items.append(Item(item, payload))
    check_sizes(items, compressed)
    return Envelope(headers, items)


def check_sizes(items: list[Item], compressed: int = 0) -> None:
    """Raise Refused with 413 for an item over its limit; `compressed` is how many bytes came of a compressed body."""
    if compressed > COMPRESSED_EVENT_LIMIT and any(item.type in ("event", "transaction") for item in items):
        raise EnvelopeRefused(413, "length limit exceeded")
    sessions = sum(item.type in ("session", "sessions") for item in items)
    for item in items:
        if len(item.payload) > ITEM_LIMITS.get(item.type, ENVELOPE_LIMIT):
            raise EnvelopeRefused(413, f"envelope exceeded size limits for type '{item.type}'")
    if sessions > SESSIONS_LIMIT:
        raise EnvelopeRefused(413, "envelope exceeded size limits for type 'session'")


def credentials(headers: dict[str, str], query: dict[str, str], envelope: dict[str, Any] | None) -> str:
    """Return the public key that a request names; raises Refused with 401 or 400.

    Looked for in `X-Sentry-Auth` (or `Authorization: Sentry ...`), `?sentry_key=`, the envelope's `dsn`.
    """
    found: list[str] = []
    header = headers.get("x-sentry-auth") or ""
    if not header and headers.get("authorization", "").lower().startswith("sentry "):
        header = headers["authorization"]
    if header:
        scheme, _, rest = header.partition(" ")
        fields = dict(part.strip().split("=", 1) for part in rest.split(",") if "=" in part)
        if scheme.lower() != "sentry" or "sentry_key" not in fields:
            raise EnvelopeRefused(401, "bad x-sentry-auth header")
        found.append(fields["sentry_key"])
    if query.get("sentry_key"):
        found.append(query["sentry_key"])
    if len(found) > 1:
        raise EnvelopeRefused(401, "multiple authorization payloads detected")
    if envelope and isinstance(envelope.get("dsn"), str):
        match = re.match(r"https?://([^@:/]+)(?::[^@]*)?@", envelope["dsn"])
        if match is None:
            raise EnvelopeRefused(401, "bad envelope authentication header")
        found.append(match[1])
    if not found:
        raise EnvelopeRefused(401, "missing authorization information")
    if not PUBLIC_KEY.fullmatch(found[0]):
        raise EnvelopeRefused(400, "bad sentry DSN public key")
    if len(set(found)) > 1:
        raise EnvelopeRefused(403, "event submission rejected with_reason: ProjectId")
    return found[0]
