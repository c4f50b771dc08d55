"""Resumable uploads: the TUS protocol 1.0.0 with creation, creation-with-upload, termination and expiration (tus.io)."""

from __future__ import annotations

import base64
import contextlib
import re
import time
import uuid
from pathlib import Path
from urllib.parse import quote

from pydantic import BaseModel

from stack.supabase.http import Request, Response
from stack.supabase.storage.body import About, base64_text, check_mime, json_object
from stack.supabase.storage.call import Call
from stack.supabase.storage.errors import StorageError, left_out
from stack.supabase.storage.objects import New, Objects
from stack.supabase.tokens import Caller

HEADERS = (
    "Authorization, Content-Type, Location, Tus-Extension, Tus-Max-Size, Tus-Resumable, Tus-Version, Upload-Concat, "
    "Upload-Defer-Length, Upload-Length, Upload-Metadata, Upload-Offset, X-HTTP-Method-Override, X-Requested-With, "
    "X-Forwarded-Host, X-Forwarded-Proto, Forwarded, "
)
COMMON = {
    "tus-resumable": "1.0.0", "access-control-allow-origin": "*", "access-control-expose-headers": HEADERS.strip(),
}  # fmt: skip
PLAIN = {"content-type": "text/plain;charset=UTF-8"}
PART = "application/offset+octet-stream"
MAX_METADATA = 64 * 1024


class Upload(BaseModel):
    """One upload under way; kept beside its bytes, so that it survives a restart."""

    bucket: str
    name: str
    version: str
    size: int
    about: About
    metadata_header: str
    upsert: bool
    expires: float

    @property
    def id(self) -> str:
        """The last part of its address."""
        whole = f"{self.bucket}/{self.name}/{self.version}".encode()
        return base64.urlsafe_b64encode(whole).decode().rstrip("=")

    def new(self, caller: Caller) -> New:
        """The object that it is to become."""
        return New(self.bucket, self.name, caller, self.upsert, self.about)


def _error(status: int, message: str, code: str = "TusError") -> StorageError:
    return StorageError(code, f"{message}\n", status, http=status)


class Tus:
    """The resumable part of the Storage wire: uploads at ``url``, kept for ``kept_s`` seconds."""

    def __init__(self, objects: Objects, url: str, kept_s: int) -> None:
        self._objects, self._url, self._kept_s = objects, f"{url}/storage/v1/upload/resumable", kept_s
        self._folder = objects.store.resumable
        self._busy: set[str] = set()

    async def handle(self, call: Call, upload_id: str) -> Response:
        """Answer one request. Raises StorageError."""
        method = call.request.method
        if method == "OPTIONS":
            return self._options(call)
        if re.match("sign(/|$)", upload_id) or "upload-defer-length" in call.request.headers:
            raise left_out("a signed or unmeasured resumable upload")
        if method == "HEAD" and upload_id:
            return self._head(self._find(upload_id))
        upload, who = self._find(upload_id) if upload_id else None, call.who
        if method in ("POST", "PATCH") and call.request.headers.get("tus-resumable") != "1.0.0":
            raise _error(412, "Tus-Resumable Required")
        if upload is None and method == "POST":
            return await self._create(call, who)
        if upload is not None and method == "PATCH":
            return await self._patch(call.request, upload, who)
        if upload is not None and method == "DELETE":
            await self._objects.check_upload(upload.new(who), "tus.upload.delete", upload.size)
            self._forget(upload.version)
            return Response(204, b"", dict(COMMON))
        raise _error(404, "The file for this url was not found")

    def refused(self, error: StorageError) -> Response:
        """An error as TUS clients read it: the true status and a plain text."""
        return Response(error.true_status, error.message.encode(), COMMON | PLAIN)

    def sweep(self) -> None:
        """Delete what expired."""
        for note in self._folder.glob("*.json"):
            with contextlib.suppress(ValueError):
                if Upload.model_validate_json(note.read_text()).expires < time.time():
                    self._forget(note.stem)

    def _options(self, call: Call) -> Response:
        return Response(204, b"", {
            **COMMON, "tus-version": "1.0.0", "tus-max-size": str(call.limit),
            "tus-extension": "creation,creation-with-upload,creation-defer-length,termination,expiration",
            "access-control-allow-headers": HEADERS + "Authorization, X-Upsert, Upload-Expires, ApiKey, x-signature",
            "access-control-allow-methods": "POST, HEAD, PATCH, OPTIONS, DELETE", "access-control-max-age": "86400",
        })  # fmt: skip

    async def _create(self, call: Call, who: Caller) -> Response:
        """POST: begin an upload, perhaps with its first bytes."""
        request, given = call.request, _metadata(call.request.headers.get("upload-metadata", ""))
        bucket = await self._objects.bucket(given.get("bucketName", ""))
        length = request.headers.get("upload-length", "")
        if not re.fullmatch(r"\d{1,15}", length):
            raise _error(400, "Upload-Length header required")
        if int(length) > call.limit_of(bucket):
            raise _error(413, "Maximum size exceeded", "EntityTooLarge")
        mime = given.get("contentType") or "application/octet-stream"
        check_mime(mime, bucket["allowed_mime_types"])
        age = given.get("cacheControl", "")
        cache = f"max-age={age}" if re.fullmatch(r"-?\d+", age) else "no-cache"
        pairs = {**given, "cacheControl": cache}.items()
        header = ",".join(f"{quote(k)} {base64.b64encode(v.encode()).decode()}" for k, v in pairs)
        upload = Upload(
            bucket=bucket["id"], name=given.get("objectName", ""), version=str(uuid.uuid4()), size=int(length),
            about=About(mime, cache, json_object(given.get("metadata", ""))), metadata_header=header, upsert=call.upsert,
            expires=time.time() + self._kept_s,
        )  # fmt: skip
        await self._objects.check_upload(upload.new(who), "tus.upload.create", upload.size)
        self._path(upload).touch()
        self._note(upload.version).with_suffix(".new").write_text(upload.model_dump_json())
        self._note(upload.version).with_suffix(".new").rename(self._note(upload.version))
        expires = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(upload.expires))
        headers = {**COMMON, **PLAIN, "location": f"{self._url}/{upload.id}", "upload-expires": expires}
        if request.headers.get("content-type", "").startswith(PART):
            headers |= await self._append(request, upload, who)
        elif upload.size == 0:
            headers |= await self._finish(upload, who)
        return Response(201, b"", headers)

    def _head(self, upload: Upload) -> Response:
        """HEAD: how far it is."""
        return Response(200, b"", {
            **COMMON, **PLAIN, "cache-control": "no-store", "upload-metadata": upload.metadata_header,
            "upload-length": str(upload.size), "upload-offset": str(self._path(upload).stat().st_size),
        })  # fmt: skip

    async def _patch(self, request: Request, upload: Upload, who: Caller) -> Response:
        """PATCH: more bytes, at the offset where the server stands."""
        if not request.headers.get("content-type", "").startswith(PART):
            raise _error(415, f"Content-Type must be {PART}")
        if upload.id in self._busy:
            raise _error(423, "Upload is locked by another request", "ResourceLocked")
        await self._objects.check_upload(upload.new(who), "tus.upload.part", upload.size)
        if request.headers.get("upload-offset") != str(self._path(upload).stat().st_size):
            raise _error(409, "Upload-Offset conflict")
        return Response(204, b"", COMMON | await self._append(request, upload, who))

    async def _append(self, request: Request, upload: Upload, who: Caller) -> dict[str, str]:
        """Write what comes. A client that leaves keeps what arrived: that is the protocol's purpose."""
        self._busy.add(upload.id)
        try:
            with self._path(upload).open("ab", buffering=0) as file:
                async for chunk in request.stream():
                    if file.tell() + len(chunk) > upload.size:
                        raise _error(400, "Upload exceeds its Upload-Length")
                    file.write(chunk)
                offset = file.tell()
        finally:
            self._busy.discard(upload.id)
        done = await self._finish(upload, who) if offset == upload.size else {}
        return {"upload-offset": str(offset), **done}

    async def _finish(self, upload: Upload, who: Caller) -> dict[str, str]:
        try:
            await self._objects.write(upload.new(who), self._path(upload))
        finally:
            self._forget(upload.version)
        return {"tus-complete": "1"}

    def _find(self, upload_id: str) -> Upload:
        """The upload at this address. Raises StorageError 404 if it is unknown, done or expired."""
        version = base64_text(upload_id.replace("-", "+").replace("_", "/")).rpartition("/")[2]
        with contextlib.suppress(FileNotFoundError, ValueError):
            upload = Upload.model_validate_json(self._note(str(uuid.UUID(version))).read_text())
            if upload.expires > time.time() and upload.id == upload_id:
                return upload
        raise _error(404, "The file for this url was not found")

    def _path(self, upload: Upload) -> Path:
        return self._folder / upload.version

    def _note(self, version: str) -> Path:
        return self._folder / f"{version}.json"

    def _forget(self, version: str) -> None:
        self._note(version).unlink(missing_ok=True)
        (self._folder / version).unlink(missing_ok=True)


def _metadata(header: str) -> dict[str, str]:
    if len(header) > MAX_METADATA:
        raise _error(400, "Upload-Metadata is invalid")
    pairs = (pair.strip().partition(" ") for pair in header.split(",") if pair.strip())
    return {name: base64_text(value.strip()) for name, _, value in pairs}
