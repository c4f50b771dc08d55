"""What came back for one request, parsed no further than somebody asks."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import brotli  # type: ignore[import-untyped]
import orjson
import zstandard

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
        """The body after removing its Content-Encoding. Raises ValueError when it is damaged or unknown."""
        if self._decoded is None:
            self._decoded = self.body
            encoding = self.headers.get("content-encoding", "")
            for name in reversed(encoding.lower().split(",")):
                self._decoded = _decode(name.strip(), self._decoded)
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
                return data
            case "gzip" | "x-gzip":
                return gzip.decompress(data)
            case "deflate":
                return _inflate(data)
            case "br":
                return bytes(brotli.decompress(data))
            case "zstd":
                return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    except (OSError, EOFError, zlib.error, brotli.error, zstandard.ZstdError) as error:
        raise ValueError(f"the body is not valid {encoding}: {error}") from error
    raise ValueError(f"the body has an unknown encoding: {encoding}")


def _inflate(data: bytes) -> bytes:
    """RFC 9110 means zlib's format; some servers send raw deflate."""
    try:
        return zlib.decompress(data)
    except zlib.error:
        return zlib.decompress(data, -zlib.MAX_WBITS)
