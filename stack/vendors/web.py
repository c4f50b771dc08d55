"""What the vendors' web surfaces share: reading bodies, cross-origin answers, key comparison."""

from __future__ import annotations

import gzip
import hmac
import json
import math
import re
import zlib
from typing import Any

import brotli  # type: ignore[import-untyped]
import zstandard
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 64 * 1024 * 1024
"""Bytes that any surface reads at most; vendors have lower limits of their own."""


class TooLarge(Exception):
    """A body is larger than the surface takes."""


class Unreadable(Exception):
    """A body cannot be decompressed or decoded as it says it can."""


def same(given: str | None, wanted: str) -> bool:
    """Return whether a key given by a client is the right one, in constant time; empty never is."""
    return bool(given) and bool(wanted) and hmac.compare_digest(str(given).encode(), wanted.encode())


def bearer(request: Request) -> str:
    """Return the token of an `Authorization: Bearer` header, or an empty text."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def decompress(body: bytes, encoding: str, limit: int = MAX_BODY) -> bytes:
    """Return `body` with its content encoding undone; raises Unreadable or TooLarge."""
    encoding = encoding.strip().lower()
    try:
        if encoding in ("", "identity"):
            clear = body
        elif encoding == "gzip":
            clear = gzip.decompress(body)
        elif encoding == "deflate":
            try:
                clear = zlib.decompress(body)
            except zlib.error:
                clear = zlib.decompress(body, -zlib.MAX_WBITS)
        elif encoding in ("zstd", "zstd1"):
            clear = zstandard.ZstdDecompressor().decompressobj().decompress(body)
        elif encoding == "br":
            clear = brotli.decompress(body)
        else:
            raise Unreadable(f"unknown content encoding {encoding!r}")
    except (zlib.error, OSError, EOFError, zstandard.ZstdError, brotli.error) as error:
        raise Unreadable(f"the body is not {encoding}") from error
    if len(clear) > limit:
        raise TooLarge
    return clear


async def read(
    request: Request, limit: int = MAX_BODY, encoding: str | None = None, *, sent: int | None = None
) -> bytes:
    """Return the body, decompressed by its Content-Encoding (or `encoding`); raises as `decompress`.

    At most `limit` bytes once it is decompressed, `sent` (or as many) as it came.
    """
    body = await request.body()
    if len(body) > (sent or limit):
        raise TooLarge
    if encoding is None:
        encoding = request.headers.get("content-encoding", "")
    return decompress(body, encoding, limit)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number of JSON's")
    return number


def loads(text: str | bytes) -> Any:
    """Return the value of a JSON text, half pairs of surrogates in it become U+FFFD; raises ValueError.

    JSON may hold such halves (RFC 8259, 8.2), and the vendors take them; no encoding of Unicode can.
    """
    try:
        value = json.loads(text, parse_float=_finite, parse_constant=_finite)
        if re.search(rb"\\u[dD][89a-fA-F]", text.encode(errors="replace") if isinstance(text, str) else text):
            plain = json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass")
            value = json.loads(plain.decode("utf-16", "replace"))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value


async def read_json(request: Request, limit: int = MAX_BODY, *, sent: int | None = None) -> Any:
    """Return the body as JSON; raises Unreadable (also for bad UTF-8) or TooLarge."""
    try:
        return loads(await read(request, limit, sent=sent))
    except ValueError as error:
        raise Unreadable("the body is not JSON") from error


def cross_origin(app: ASGIApp, *, credentials: bool = False, exposed: str = "") -> ASGIApp:
    """Return `app` answering preflights and allowing any origin, as the vendors' browser intakes do.

    With `credentials` the origin is echoed, since browsers refuse `*` there.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
        origin = headers.get("origin")
        allowed = [(b"access-control-allow-origin", (origin or "*").encode() if credentials else b"*")]
        if credentials:
            allowed += [(b"access-control-allow-credentials", b"true"), (b"vary", b"Origin")]
        if exposed:
            allowed.append((b"access-control-expose-headers", exposed.encode()))
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            asked = headers.get("access-control-request-headers", "*")
            allowed += [
                (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE, OPTIONS, HEAD"),
                (b"access-control-allow-headers", asked.encode("latin-1")),
                (b"access-control-max-age", b"600"),
            ]
            await send({"type": "http.response.start", "status": 204, "headers": allowed})
            await send({"type": "http.response.body", "body": b""})
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *allowed]}
            await send(message)

        await app(scope, receive, sending)

    return answer
