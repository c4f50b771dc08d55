"""An upload's body, streamed: a browser form with one file in it, or the file's bare bytes."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.message import Message
from typing import Any, cast

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from stack.supabase.http import Request
from stack.supabase.storage.errors import StorageError, bad_request, bad_type, too_large

MAX_FIELD = 1024 * 1024


@dataclass
class Incoming:
    """What is known of a file before its bytes are read."""

    mime: str
    cache_control: str
    user_metadata: dict[str, Any] | None
    chunks: AsyncIterator[bytes]
    length: int | None = None


def check_mime(mime: str, allowed: list[str] | None) -> None:
    """Raise StorageError unless ``mime`` is among the bucket's types (``image/*`` allows every image)."""
    bare = mime.split(";")[0].strip().lower()
    if allowed and not any(
        a == bare or a == "*/*" or (a.endswith("/*") and bare.startswith(a[:-1])) for a in allowed
    ):
        raise bad_type(mime)


async def incoming(request: Request, allowed: list[str] | None, limit: int) -> Incoming:
    """Read as far as the file's first byte. Raises StorageError for a refused type, a bad form, a declared excess."""
    kind = request.headers.get("content-type", "")
    declared = request.headers.get("content-length", "")
    length = int(declared) if declared.isdigit() else None
    if kind.lower().startswith("multipart/form-data"):
        found = await _form(request, kind)
    else:
        metadata = _json(base64_text(request.headers.get("x-metadata", "")))
        cache = request.headers.get("cache-control", "no-cache")
        found = Incoming(kind or "application/octet-stream", cache, metadata, request.stream(), length)
    check_mime(found.mime, allowed)
    if found.length is not None and found.length > limit:
        raise too_large()
    return found


def base64_text(text: str) -> str:
    """Decoded, or empty if it does not decode."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4)).decode()
    except ValueError:
        return ""


def _json(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


class _Form:
    """Callbacks of the form parser: fields gather, the file's bytes wait in ``file`` to be fetched."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.file: list[bytes] = []
        self.mime = ""
        self.in_file = self.file_seen = self.ended = False
        self._header = b""
        self._headers: Message = Message()
        self._name, self._value, self._field = "", b"", b""

    def callbacks(self) -> dict[str, Any]:
        """By the names that MultipartParser gives them."""
        return {
            "on_part_begin": self._begin, "on_header_field": self._header_name, "on_header_value": self._header_value,
            "on_header_end": self._header_end, "on_headers_finished": self._headers_done, "on_part_data": self._data,
            "on_part_end": self._end, "on_end": self._done,
        }  # fmt: skip

    def _begin(self) -> None:
        self._headers, self._field, self._value = Message(), b"", b""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._field.decode("latin1")] = self._value.decode("latin1")
        self._field, self._value = b"", b""

    def _headers_done(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition", ""))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        self.in_file = b"filename" in options and not self.file_seen
        if self.in_file:
            self.file_seen, self.mime = True, self._headers.get("content-type", "application/octet-stream")
        self._header = b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self.in_file:
            self.file.append(data[start:end])
        elif not self.file_seen:
            self._header += data[start:end]
            if len(self._header) > MAX_FIELD:
                raise StorageError(
                    413,
                    "Payload too large",
                    "The user_metadata exceeded the maximum allowed size",
                    "EntityTooLarge",
                )

    def _end(self) -> None:
        if not self.in_file and not self.file_seen:
            self.fields[self._name] = self._header.decode("utf-8", "replace")
        self.in_file = False

    def _done(self) -> None:
        self.ended = True


async def _form(request: Request, kind: str) -> Incoming:
    _, options = parse_options_header(kind)
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise bad_request("multipart/form-data without a boundary")
    form, source = _Form(), request.stream()
    parser = MultipartParser(boundary, cast("Any", form.callbacks()))

    async def advance() -> bool:
        chunk = await anext(source, None)
        if chunk is None:
            if not form.ended:
                raise bad_request("Unexpected end of multipart data")
            return False
        try:
            parser.write(chunk)
        except MultipartParseError as error:
            raise bad_request(f"Malformed multipart data: {error}") from error
        return True

    while not form.file_seen and await advance():
        continue
    if not form.file_seen:
        raise StorageError(400, "InvalidRequest", "No content provided", "NoContentProvided")

    async def chunks() -> AsyncIterator[bytes]:
        while True:
            waiting, form.file = form.file, []
            for chunk in waiting:
                yield chunk
            if not form.file and not await advance():
                return

    fields = form.fields
    cache = f"max-age={fields['cacheControl']}" if fields.get("cacheControl") else "no-cache"
    metadata = _json(fields.get("metadata") or fields.get("userMetadata") or "")
    return Incoming(fields.get("contentType") or form.mime, cache, metadata, chunks())
