"""What came back for one request, parsed no further than somebody asks."""

from __future__ import annotations

import gzip
import io
import zlib
from typing import Any

import brotli  # type: ignore[import-untyped]
import orjson
import zstandard

MOST = 64 * 1024 * 1024
"""Bytes that a body may unpack to: a thousandth of it on the wire may be a bomb."""
MOST_CODINGS = 3
"""Content-Encodings over one another that are undone."""
_LITTLE = 256
"""Bytes of zstd to unpack at a time: its library has no limit, and a block of four may stand for 128 KiB (RFC 8878, 3.1)."""
_new: Any = object.__new__


class Response:
    """One answer. Times are monotonic nanoseconds; header look-up and decompression happen on demand.

    `status` is 0 and `error` says why when no whole answer came.
    """

    __slots__ = (
        "_decoded",
        "_headers",
        "_raw",
        "body",
        "done",
        "error",
        "intended",
        "sent",
        "span",
        "status",
    )

    def __init__(
        self, status: int, raw: bytes, body: bytes, intended: int, sent: int, done: int, span: int
    ) -> None:
        self.status = status
        self.body = body
        """The body as it was on the wire, chunks joined, possibly still compressed: see `content`."""
        self.intended = intended
        self.sent = sent
        self.done = done
        self.span = span
        """Number of the request within this process; `Tracer.trace_id` makes the trace id from it."""
        self.error: str | None = None
        self._raw = raw
        self._headers: dict[str, str] | None = None
        self._decoded: bytes | None = None

    @classmethod
    def of(
        cls, answer: tuple[int, bytes, bytes, bool], intended: int, sent: int, done: int, span: int
    ) -> Response:
        """From what `HttpConnection.exchange` returns; the hot path, so without a call of `__init__`."""
        made: Response = _new(cls)
        made.status, made._raw, made.body, encoded = answer
        made._decoded = None if encoded else made.body
        made.intended = intended
        made.sent = sent
        made.done = done
        made.span = span
        made.error = made._headers = None
        return made

    @property
    def headers(self) -> dict[str, str]:
        """Headers by lower-case name; repeated ones joined with a comma, cookies with a line feed."""
        if self._headers is None:
            self._headers = _parse_headers(self._raw)
        return self._headers

    @property
    def content(self) -> bytes:
        """The body after removing its Content-Encoding. Raises ValueError when it is damaged, unknown or a bomb."""
        if self._decoded is None:
            codings = self.headers.get("content-encoding", "").lower().split(",")
            if len(codings) > MOST_CODINGS:
                raise ValueError(f"the body has {len(codings)} encodings over one another")
            content = self.body
            for name in reversed(codings):
                content = _decode(name.strip(), content)
            self._decoded = content
        return self._decoded

    def json(self) -> Any:
        """The body as JSON. Raises ValueError when it is none."""
        return orjson.loads(self._decoded or self.content)

    @property
    def text(self) -> str:
        """The body as text, bad bytes replaced."""
        return self.content.decode("utf-8", "replace")

    @property
    def ok(self) -> bool:
        """A whole answer below 400."""
        return 0 < self.status < 400


def _parse_headers(raw: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    head = raw[: raw.find(b"\r\n\r\n")].decode("latin-1")
    for line in head.split("\r\n")[1:]:
        name, _, value = line.partition(":")
        name, value = name.strip().lower(), value.strip()
        if name in found:
            value = found[name] + ("\n" if name == "set-cookie" else ", ") + value
        found[name] = value
    return found


def _decode(encoding: str, data: bytes) -> bytes:
    try:
        match encoding:
            case "identity" | "":
                found = data
            case "gzip" | "x-gzip":
                found = gzip.GzipFile(fileobj=io.BytesIO(data)).read(MOST + 1)
            case "deflate":
                found = _inflate(data)
            case "br":
                found = _brotli(data)
            case "zstd":
                found = _zstd(data)
            case _:
                raise ValueError(f"the body has an unknown encoding: {encoding}")
    except (OSError, EOFError, zlib.error, brotli.error, zstandard.ZstdError) as error:
        raise ValueError(f"the body is not valid {encoding}: {error}") from error
    if len(found) > MOST:
        raise ValueError(f"the body unpacks to over {MOST} bytes")
    return found


def _inflate(data: bytes) -> bytes:
    """RFC 9110 means zlib's format; some servers send raw deflate."""
    try:
        return _whole(zlib.decompressobj(), data)
    except zlib.error:
        return _whole(zlib.decompressobj(-zlib.MAX_WBITS), data)


def _whole(packed: zlib._Decompress, data: bytes) -> bytes:
    found = packed.decompress(data, MOST + 1)
    if not packed.eof and len(found) <= MOST:
        raise zlib.error("it has no end")
    return found


def _brotli(data: bytes) -> bytes:
    packed, found = brotli.Decompressor(), bytearray()
    piece = packed.process(data, output_buffer_limit=MOST + 1)
    while len(found) <= MOST and (piece or not packed.can_accept_more_data()):
        found += piece
        piece = packed.process(b"", output_buffer_limit=MOST + 1) if not packed.is_finished() else b""
    if not packed.is_finished() and len(found) <= MOST:
        raise EOFError("it has no end")
    return bytes(found)


def _zstd(data: bytes) -> bytes:
    packed, found = zstandard.ZstdDecompressor().decompressobj(), bytearray()
    for start in range(0, len(data), _LITTLE):
        if packed.eof or len(found) > MOST:
            break
        found += packed.decompress(data[start : start + _LITTLE])
    if not packed.eof and len(found) <= MOST:
        raise EOFError("it has no end")
    return bytes(found)
