"""An upload's body, streamed: a browser form with one file in it, or the file's bare bytes."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from stack.supabase.http import Request
from stack.supabase.storage.errors import StorageError, bad_request

MAX_FIELD = 1024 * 1024


@dataclass
class Incoming:
    """What is known of a file before its bytes are read; ``length`` where it was declared."""

    mime: str
    cache_control: str
    user_metadata: dict[str, Any] | None
    chunks: AsyncIterator[bytes]
    length: int | None = None


def check_mime(mime: str, allowed: list[str] | None) -> None:
    """Raise StorageError unless ``mime`` is among the bucket's types (``image/*`` allows every image)."""
    bare = mime.split(";")[0].strip().lower()
    if allowed and not {bare, "*/*", bare.split("/")[0] + "/*"} & set(allowed):
        raise StorageError("InvalidMimeType", f"mime type {mime} is not supported")


async def incoming(request: Request, allowed: list[str] | None, limit: int) -> Incoming:
    """Read as far as the file's first byte. Raises StorageError for a refused type, a bad form, a declared excess."""
    kind, declared = request.headers.get("content-type", ""), request.headers.get("content-length", "")
    if kind.lower().startswith("multipart/form-data"):
        found = await _form(request, kind)
    else:
        metadata = json_object(base64_text(request.headers.get("x-metadata", "")))
        cache = request.headers.get("cache-control", "no-cache")
        length = int(declared) if declared.isdigit() else None
        found = Incoming(kind or "application/octet-stream", cache, metadata, request.stream(), length)
    check_mime(found.mime, allowed)
    if found.length is not None and found.length > limit:
        raise StorageError("EntityTooLarge")
    return found


def base64_text(text: str) -> str:
    """Decoded, or empty if it does not decode."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4)).decode()
    except ValueError:
        return ""


def json_object(text: str) -> dict[str, Any] | None:
    """The JSON object in ``text``, or None."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


class _Form:
    """Callbacks of the form parser: fields gather, the file's bytes wait in ``file`` to be fetched."""

    def __init__(self) -> None:
        self.fields: dict[str, bytes] = {}
        self.file: list[bytes] = []
        self.mime, self.ended = "", False
        self._headers: dict[bytes, bytes] = {}
        self._name, self._header = "", b""
        names = ("part_begin", "header_field", "header_value", "headers_finished", "part_data", "end")
        self.callbacks = {f"on_{name}": getattr(self, f"_{name}") for name in names}

    def _part_begin(self) -> None:
        self._headers, self._header = {}, b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header = b"" if self._header in self._headers else self._header
        self._header += data[start:end].lower()

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._headers[self._header] = self._headers.get(self._header, b"") + data[start:end]

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if b"filename" in options and not self.mime:
            self.mime = self._headers.get(b"content-type", b"application/octet-stream").decode("latin1")
            self._name = ""
        else:
            self._name = options.get(b"name", b"").decode("utf-8", "replace") or "nameless"

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if not self._name:
            self.file.append(data[start:end])
        elif not self.mime:  # what follows the file is not read
            self.fields[self._name] = self.fields.get(self._name, b"") + data[start:end]
            if len(self.fields[self._name]) > MAX_FIELD:
                raise StorageError("EntityTooLarge", "The user_metadata exceeded the maximum allowed size")

    def _end(self) -> None:
        self.ended = True


async def _form(request: Request, kind: str) -> Incoming:
    boundary = parse_options_header(kind)[1].get(b"boundary", b"")
    if not boundary:
        raise bad_request("multipart/form-data without a boundary")
    form, source = _Form(), request.stream()
    parser = MultipartParser(boundary, cast("Any", form.callbacks))

    async def advance() -> bool:
        chunk = await anext(source, None)
        if chunk is None and not form.ended:
            raise bad_request("Unexpected end of multipart data")
        try:
            parser.write(chunk or b"")
        except MultipartParseError as error:
            raise bad_request(f"Malformed multipart data: {error}") from error
        return chunk is not None

    while not form.mime and await advance():
        continue
    if not form.mime:
        raise StorageError("NoContentProvided")

    async def chunks() -> AsyncIterator[bytes]:
        more = True
        while more or form.file:
            waiting, form.file = form.file, []
            for chunk in waiting:
                yield chunk
            more = bool(form.file) or await advance()

    fields = {name: value.decode("utf-8", "replace") for name, value in form.fields.items()}
    cache = f"max-age={fields['cacheControl']}" if fields.get("cacheControl") else "no-cache"
    metadata = json_object(fields.get("metadata") or fields.get("userMetadata") or "")
    return Incoming(fields.get("contentType") or form.mime, cache, metadata, chunks())
