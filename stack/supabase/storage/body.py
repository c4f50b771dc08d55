"""An upload's body, received on disk as it comes: a browser form with one file in it, or the file's bare bytes."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, FormParser, parse_options_header

from stack.supabase.http import Request
from stack.supabase.storage.errors import StorageError, bad_mime, no_content

BINARY = "application/octet-stream"
AROUND = 1024 * 1024  # bytes of a form that may stand around its file


@dataclass(frozen=True)
class About:
    """What an upload says of its file."""

    mime: str = ""
    cache_control: str = "no-cache"
    user_metadata: dict[str, Any] | None = None


Incoming = tuple[Path, About]  # a file that arrived whole: where it lies for now
Admit = Callable[[About], Awaitable[None]]


def check_mime(mime: str, allowed: list[str] | None) -> None:
    """Raise StorageError unless ``mime``, parameters and all, is among the types (``image/*`` allows every image)."""
    kind, _, rest = mime.partition("/")
    if allowed and not (rest and {mime, f"{kind}/*"} & set(allowed)):
        raise bad_mime(mime)


def rules(name: str, allowed: list[str] | None, limit: int) -> tuple[list[str] | None, int]:
    """The types and the size that an object of this name may have: a folder's placeholder may have any type and no bytes."""
    return (None, 0) if name.endswith(".emptyFolderPlaceholder") else (allowed, limit)


async def receive(
    request: Request, folder: Path, allowed: list[str] | None, limit: int, admit: Admit
) -> Incoming:
    """Write the file into ``folder``, having asked ``admit``, if it comes bare, before its first byte is read.

    Raises StorageError for a refused type, a bad form, more than ``limit`` bytes.
    """
    kind, declared = request.headers.get("content-type", ""), request.headers.get("content-length", "")
    if kind.startswith("multipart/form-data"):
        path, about = await _form(request, kind, folder, limit)
        check_mime(about.mime, allowed)
        await admit(about)
        return path, about
    check_mime(kind or BINARY, allowed)
    if declared.isdigit() and int(declared) > limit:
        raise StorageError("EntityTooLarge")
    metadata = json_object(base64_text(request.headers.get("x-metadata", "")))
    about = About(kind or BINARY, request.headers.get("cache-control", "no-cache"), metadata)
    await admit(about)
    with (folder / "bare").open("wb", buffering=0) as file:
        async for chunk in _limited(request, limit):
            file.write(chunk)
    return folder / "bare", about


async def _limited(request: Request, limit: int) -> AsyncIterator[bytes]:
    left = limit
    async for chunk in request.stream():
        left -= len(chunk)
        if left < 0:
            raise StorageError("EntityTooLarge")
        yield chunk


async def _form(request: Request, kind: str, folder: Path, limit: int) -> Incoming:
    fields: list[Field] = []
    files: list[File] = []
    ends: list[bool] = []
    config = {"UPLOAD_DIR": str(folder), "UPLOAD_DELETE_TMP": False, "MAX_MEMORY_FILE_SIZE": 0}
    boundary = parse_options_header(kind)[1].get(b"boundary")
    try:
        keep = (fields.append, files.append, partial(ends.append, True))
        parser = FormParser("multipart/form-data", *keep, boundary, config=config)
        async for chunk in _limited(request, limit + AROUND):
            parser.write(chunk)
    except FormParserError as error:
        raise no_content(f"Malformed multipart data: {error}") from error
    if not ends:
        raise no_content("Unexpected end of multipart data")
    if not files:
        raise no_content("No content provided")
    file = files[0]
    if file.in_memory:  # an empty one
        file.flush_to_disk()
    file.close()
    if file.size > limit:
        raise StorageError("EntityTooLarge")
    given = {field.field_name: (field.value or b"").decode("utf-8", "replace") for field in fields}
    cache = f"max-age={given[b'cacheControl']}" if given.get(b"cacheControl") else "no-cache"
    metadata = json_object(given.get(b"metadata") or given.get(b"userMetadata") or "")
    about = About(given.get(b"contentType") or file.content_type or BINARY, cache, metadata)
    return Path((file.actual_file_name or b"").decode()), about


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
