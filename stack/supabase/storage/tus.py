"""Resumable uploads: the TUS protocol 1.0.0 with creation, creation-with-upload, termination and expiration (tus.io)."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from stack.supabase.http import ClientGone, Request, Response
from stack.supabase.storage.body import base64_text, check_mime
from stack.supabase.storage.errors import StorageError, too_large
from stack.supabase.storage.objects import New, Objects, check_key
from stack.supabase.tokens import Caller

HEADERS = (
    "Authorization, Content-Type, Location, Tus-Extension, Tus-Max-Size, Tus-Resumable, Tus-Version, Upload-Concat, "
    "Upload-Defer-Length, Upload-Length, Upload-Metadata, Upload-Offset, X-HTTP-Method-Override, X-Requested-With, "
    "X-Forwarded-Host, X-Forwarded-Proto, Forwarded, "
)
PLAIN = "text/plain;charset=UTF-8"
MAX_METADATA = 64 * 1024


@dataclass
class Upload:
    """One upload under way; kept beside its bytes, so that it survives a restart."""

    bucket: str
    name: str
    version: str
    size: int | None
    mime: str
    cache_control: str
    user_metadata: dict[str, Any] | None
    metadata_header: str
    upsert: bool
    claims: dict[str, Any]
    expires: float

    @property
    def id(self) -> str:
        """The last part of its address."""
        return (
            base64.urlsafe_b64encode(f"{self.bucket}/{self.name}/{self.version}".encode())
            .decode()
            .rstrip("=")
        )


class TusError(StorageError):
    """TUS answers with the true status and a plain text."""


class Tus:
    """The resumable part of the Storage wire."""

    def __init__(self, objects: Objects, url: str, size_limit: int, kept_s: int) -> None:
        self._objects, self._url, self._limit, self._kept_s = objects, url, size_limit, kept_s
        self._folder = objects.store.resumable
        self._busy: set[str] = set()

    def options(self) -> Response:
        """What the server can do."""
        return self._answer(204, {
            "tus-version": "1.0.0", "tus-max-size": str(self._limit),
            "tus-extension": "creation,creation-with-upload,creation-defer-length,termination,expiration",
            "access-control-allow-headers": HEADERS + "Authorization, X-Upsert, Upload-Expires, ApiKey, x-signature",
            "access-control-allow-methods": "POST, HEAD, PATCH, OPTIONS, DELETE", "access-control-max-age": "86400",
        })  # fmt: skip

    async def create(self, request: Request, caller: Caller, upsert: bool, signed: bool) -> Response:
        """POST: begin an upload, perhaps with its first bytes."""
        self._check_version(request)
        header = request.headers.get("upload-metadata", "")
        given = _metadata(header)
        bucket = await self._objects.bucket(given.get("bucketName", ""))
        name = check_key(given.get("objectName", ""))
        size = self._declared(request, bucket)
        mime = given.get("contentType") or "application/octet-stream"
        check_mime(mime, bucket["allowed_mime_types"])
        cache = (
            f"max-age={given['cacheControl']}"
            if re.fullmatch(r"-?\d+", given.get("cacheControl", ""))
            else "no-cache"
        )
        shown = _header({**given, "cacheControl": cache})
        upload = Upload(
            bucket["id"],
            name,
            str(uuid.uuid4()),
            size,
            mime,
            cache,
            _json(given.get("metadata", "")),
            shown,
            upsert,
            caller.claims,
            time.time() + self._kept_s,
        )
        if not signed:
            await self._objects.check_upload(self._new(upload, caller), "storage.tus.upload.create", size)
        self._path(upload).touch()
        self._remember(upload)
        location = f"{self._url}/storage/v1/upload/resumable/{'sign/' if signed else ''}{upload.id}"
        headers = {
            "content-type": PLAIN,
            "location": location,
            "upload-expires": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(upload.expires)),
        }
        offset = 0
        if request.headers.get("content-type", "").startswith("application/offset+octet-stream"):
            offset = await self._append(request, upload, bucket)
            headers["upload-offset"] = str(offset)
        if size is not None and offset == size:
            await self._finish(upload, caller)
            headers["tus-complete"] = "1"
        return self._answer(201, headers)

    async def head(self, upload: Upload) -> Response:
        """HEAD: how far it is."""
        headers = {
            "content-type": PLAIN,
            "cache-control": "no-store",
            "upload-metadata": upload.metadata_header,
        }
        headers["upload-offset"] = str(self._path(upload).stat().st_size)
        if upload.size is None:
            headers["upload-defer-length"] = "1"
        else:
            headers["upload-length"] = str(upload.size)
        return self._answer(200, headers)

    async def patch(self, request: Request, upload: Upload, caller: Caller, signed: bool) -> Response:
        """PATCH: more bytes, at the offset where the server stands."""
        self._check_version(request)
        if not request.headers.get("content-type", "").startswith("application/offset+octet-stream"):
            raise TusError(
                415,
                "TusError",
                "Content-Type must be application/offset+octet-stream\n",
                "TusError",
                http=415,
            )
        if upload.id in self._busy:
            raise TusError(
                423, "TusError", "Upload is locked by another request\n", "ResourceLocked", http=423
            )
        bucket = await self._objects.bucket(upload.bucket)
        new = self._new(upload, caller)
        if not signed:
            await self._objects.check_upload(new, "storage.tus.upload.part", upload.size)
        if request.headers.get("upload-offset") != str(self._path(upload).stat().st_size):
            raise TusError(409, "TusError", "Upload-Offset conflict\n", "TusError", http=409)
        if upload.size is None and "upload-length" in request.headers:
            upload.size = self._declared(request, bucket)
            self._remember(upload)
        offset = await self._append(request, upload, bucket)
        headers = {"upload-offset": str(offset)}
        if upload.size is not None and offset == upload.size:
            await self._finish(upload, caller)
            headers["tus-complete"] = "1"
        return self._answer(204, headers)

    async def delete(self, upload: Upload, caller: Caller) -> Response:
        """DELETE: give it up."""
        await self._objects.check_upload(self._new(upload, caller), "storage.tus.upload.delete", upload.size)
        self._forget(upload.version)
        return self._answer(204, {})

    def find(self, upload_id: str) -> Upload:
        """The upload at this address. Raises TusError 404 if it is unknown, done or expired."""
        version = base64_text(upload_id.replace("-", "+").replace("_", "/")).rpartition("/")[2]
        with contextlib.suppress(FileNotFoundError, ValueError, TypeError):
            upload = Upload(**json.loads((self._folder / f"{uuid.UUID(version)}.json").read_text()))
            if upload.expires > time.time() and upload.id == upload_id:
                return upload
        raise TusError(404, "TusError", "The file for this url was not found\n", "TusError", http=404)

    def sweep(self) -> None:
        """Delete what expired."""
        for note in self._folder.glob("*.json"):
            with contextlib.suppress(ValueError, KeyError):
                if json.loads(note.read_text())["expires"] < time.time():
                    self._forget(note.stem)

    async def _append(self, request: Request, upload: Upload, bucket: Any) -> int:
        """Write what comes. A client that leaves keeps what arrived: that is the protocol's purpose."""
        limit = (
            min(self._limit, bucket["file_size_limit"] or self._limit) if upload.size is None else upload.size
        )
        self._busy.add(upload.id)
        try:
            with self._path(upload).open("ab", buffering=0) as file:
                async for chunk in request.stream():
                    if file.tell() + len(chunk) > limit:
                        file.truncate(min(file.tell(), limit))
                        if upload.size is None:
                            self._forget(upload.version)
                            raise TusError(
                                413, "TusError", "Maximum size exceeded\n", "EntityTooLarge", http=413
                            )
                        raise TusError(
                            400, "TusError", "Upload exceeds its Upload-Length\n", "TusError", http=400
                        )
                    file.write(chunk)
                return file.tell()
        except ClientGone:
            raise
        finally:
            self._busy.discard(upload.id)

    async def _finish(self, upload: Upload, caller: Caller) -> None:
        written = self._objects.store.adopt(self._path(upload))
        await self._objects.write(self._new(upload, caller), written)
        self._forget(upload.version)

    def _new(self, upload: Upload, caller: Caller) -> New:
        return New(
            upload.bucket,
            upload.name,
            caller,
            upload.upsert,
            upload.mime,
            upload.cache_control,
            upload.user_metadata,
        )

    def _declared(self, request: Request, bucket: Any) -> int | None:
        text = request.headers.get("upload-length", "")
        if not text and request.headers.get("upload-defer-length") == "1":
            return None
        if not text.isdigit() or len(text) > 15:
            raise TusError(
                400,
                "TusError",
                "Upload-Length or Upload-Defer-Length header required\n",
                "TusError",
                http=400,
            )
        limit = (
            min(self._limit, bucket["file_size_limit"])
            if bucket["file_size_limit"] is not None
            else self._limit
        )
        if int(text) > limit:
            error = too_large()
            raise TusError(413, "TusError", "Maximum size exceeded\n", error.code, http=413)
        return int(text)

    def _check_version(self, request: Request) -> None:
        if request.headers.get("tus-resumable") != "1.0.0":
            raise TusError(412, "TusError", "Tus-Resumable Required\n", "TusError", http=412)

    def _path(self, upload: Upload) -> Path:
        return self._folder / upload.version

    def _remember(self, upload: Upload) -> None:
        note = self._folder / f"{upload.version}.json"
        fresh = note.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(upload)))
        fresh.rename(note)

    def _forget(self, version: str) -> None:
        (self._folder / f"{version}.json").unlink(missing_ok=True)
        (self._folder / version).unlink(missing_ok=True)

    def _answer(self, status: int, headers: dict[str, str]) -> Response:
        return Response(status, b"", {
            "tus-resumable": "1.0.0", "access-control-allow-origin": "*",
            "access-control-expose-headers": HEADERS.strip(), **headers
        })  # fmt: skip


def plain(error: StorageError) -> Response:
    """An error as TUS clients read it."""
    headers = {
        "tus-resumable": "1.0.0",
        "content-type": "text/plain;charset=UTF-8",
        "access-control-allow-origin": "*",
    }
    return Response(
        error.true_status,
        error.message.encode(),
        {**headers, "access-control-expose-headers": HEADERS.strip()},
    )


def _metadata(header: str) -> dict[str, str]:
    if len(header) > MAX_METADATA:
        raise TusError(400, "TusError", "Upload-Metadata is invalid\n", "TusError", http=400)
    pairs = (pair.strip().partition(" ") for pair in header.split(",") if pair.strip())
    return {name: base64_text(value.strip()) for name, _, value in pairs}


def given(request: Request) -> dict[str, str]:
    """The pairs of the Upload-Metadata header."""
    return _metadata(request.headers.get("upload-metadata", ""))


def _header(values: dict[str, str]) -> str:
    return ",".join(f"{quote(k)} {base64.b64encode(v.encode()).decode()}" for k, v in values.items())


def _json(text: str) -> dict[str, Any] | None:
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(text)
        return value if isinstance(value, dict) else None
    return None
