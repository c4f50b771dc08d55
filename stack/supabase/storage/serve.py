"""Answering with an object's bytes: ranges, conditionals, download names (RFC 9110)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from stack.supabase.http import Request, Response
from stack.supabase.storage.errors import StorageError
from stack.supabase.storage.files import Store

LAST_DATE = 253_402_300_799  # the end of the year 9999


def http_date(iso: str) -> str:
    """An ISO time as HTTP writes it."""
    return format_datetime(datetime.fromisoformat(iso).astimezone(UTC), usegmt=True)


def asset(
    request: Request, store: Store, row: dict[str, Any], query: dict[str, str], expires: int | None = None
) -> Response:
    """The object, a part of it, or 304. Raises StorageError if its bytes are gone or the range is beyond them."""
    metadata, version = row["metadata"] or {}, row["version"]
    size = int(metadata.get("size") or 0)
    modified = metadata.get("lastModified") or row["updated_at"].isoformat()
    if not version or not store.path(version).exists():
        raise StorageError("NoSuchKey")
    headers = _headers(row)
    if expires is not None:
        until = datetime.fromtimestamp(min(expires, LAST_DATE), UTC)
        headers["expires"] = format_datetime(until, usegmt=True)
    else:
        headers["cache-control"] = _cache(request, metadata, "stale-while-revalidate=30")
    if "download" in query:
        name = quote(query["download"], safe="!'()*-._~")
        named = f" filename={name}; filename*=UTF-8''{name}" if name else ""
        headers["content-disposition"] = f"attachment;{named}"
    if _unchanged(request, headers["etag"], modified):
        return Response(304, b"", headers | {"content-length": "0"})
    span = _range(request, size)
    start, end = span or (0, size - 1)
    if span:
        headers["content-range"] = f"bytes {start}-{end}/{size}"
    headers["content-length"] = str(end - start + 1)
    return Response(206 if span else 200, store.read(version, start, end), headers)


def head(request: Request, row: dict[str, Any]) -> Response:
    """What is known of the object, whole whatever range is asked for, and not looked at whether its bytes are there."""
    metadata = row["metadata"] or {}
    headers = _headers(row) | {"cache-control": _cache(request, metadata, "must-revalidate")}
    return Response(200, b"", headers | {"content-length": str(metadata.get("size") or 0)})


def _headers(row: dict[str, Any]) -> dict[str, str]:
    metadata = row["metadata"] or {}
    modified = metadata.get("lastModified") or row["updated_at"].isoformat()
    return {
        "accept-ranges": "bytes", "content-type": _type(metadata.get("mimetype")), "etag": metadata.get("eTag", ""),
        "x-robots-tag": "none", "last-modified": http_date(modified),
    }  # fmt: skip


def _cache(request: Request, metadata: dict[str, Any], stale: str) -> str:
    """How long it may be kept; somebody who holds another version is told so (supabase/storage, renderer.ts)."""
    kept = metadata.get("cacheControl") or "no-cache"
    return (
        f"{kept}, {stale}"
        if request.headers.get("if-none-match", metadata.get("eTag")) != metadata.get("eTag")
        else kept
    )


def _type(mime: str | None) -> str:
    """Text says its encoding only if it said it on upload; a page is never served as one (supabase/storage)."""
    return "text/plain" if mime and mime.startswith("text/html") else mime or "application/octet-stream"


def _unchanged(request: Request, etag: str, modified: str) -> bool:
    if tags := request.headers.get("if-none-match"):
        return tags.strip() == "*" or etag in [t.strip().removeprefix("W/") for t in tags.split(",")]
    if since := request.headers.get("if-modified-since"):
        try:
            return datetime.fromisoformat(modified).replace(microsecond=0) <= parsedate_to_datetime(since)
        except (ValueError, TypeError):
            return False
    return False


def _range(request: Request, size: int) -> tuple[int, int] | None:
    asked = request.headers.get("range")
    if asked is None:
        return None
    found = re.fullmatch(r"bytes=(\d{0,15})-(\d{0,15})", asked)
    if not found or found[0] == "bytes=-":
        raise StorageError("InvalidRange", http=416)
    if found[1] == "":
        start, end = max(size - int(found[2]), 0), size - 1
    else:
        start, end = int(found[1]), int(found[2] or size - 1)
    if start > end or start >= size:
        raise StorageError("InvalidRange", http=416)
    return start, min(end, size - 1)
