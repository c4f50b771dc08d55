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
from stack.supabase.storage.body import BINARY, About, base64_text, check_mime, json_object
from stack.supabase.storage.call import Call
from stack.supabase.storage.errors import StorageError, left_out
from stack.supabase.storage.objects import New, Objects, check_key

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
NUMBER = r"0|[1-9]\d*"
MAX_METADATA = 64 * 1024
NOT_FOUND = "The file for this url was not found"


class Upload(BaseModel):
    """One upload under way; kept beside its bytes, so that it survives a restart."""

    bucket: str
    name: str
    version: str
    size: int
    about: About
    metadata_header: str
    expires: float
    done: bool = False

    @property
    def id(self) -> str:
        """The last part of its address."""
        whole = f"{self.bucket}/{self.name}/{self.version}".encode()
        return base64.urlsafe_b64encode(whole).decode().rstrip("=")

    def new(self, call: Call) -> New:
        """The object that it is to become; each request says anew whose it is, and whether it may overwrite."""
        return New(self.bucket, self.name, call.verified, call.upsert)


def _error(status: int, message: str, code: str = "TusError") -> StorageError:
    return StorageError(code, f"{message}\n", status, http=status)


class Tus:
    """The resumable part of the Storage wire: uploads at ``url``, kept for ``kept_s`` seconds."""

    def __init__(self, objects: Objects, url: str, kept_s: int) -> None:
        self._objects, self._url, self._kept_s = objects, f"{url}/storage/v1/upload/resumable", kept_s
        self._folder = objects.store.resumable
        self._busy: set[str] = set()

    async def handle(self, call: Call, upload_id: str) -> Response:
        """Answer one request, whose caller is known unless it only asks how far an upload is. Raises StorageError."""
        request, method = call.request, call.request.method
        if method == "OPTIONS":
            return self._options(call)
        if re.match("sign(/|$)", upload_id) or "upload-defer-length" in request.headers:
            raise left_out("a signed or unmeasured resumable upload")
        if request.headers.get("tus-resumable") != "1.0.0":
            raise _error(412, "Tus-Resumable Required")
        _check_headers(request)
        if method == "POST" and not upload_id:
            return await self._create(call)
        if method == "HEAD" and upload_id:
            return self._head(self._find(upload_id))
        if method == "PATCH" and upload_id:
            return await self._patch(call, upload_id)
        if method == "DELETE" and upload_id:
            return await self._terminate(call, self._find(upload_id))
        raise _error(404, NOT_FOUND)

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

    async def _create(self, call: Call) -> Response:
        """POST: begin an upload, perhaps with its first bytes."""
        headers = call.request.headers
        if "upload-length" not in headers:
            raise _error(400, "Upload-Length or Upload-Defer-Length header required")
        if "upload-metadata" not in headers:
            raise StorageError("InvalidRequest", "Metadata header is required")
        given, length = _metadata(headers["upload-metadata"]), int(headers["upload-length"])
        check_key(given.get("objectName", ""))
        bucket = await self._objects.bucket(given.get("bucketName", ""))
        if length > call.limit_of(bucket):
            raise _error(413, "Maximum size exceeded", "EntityTooLarge")
        mime, age = given.get("contentType"), given.get("cacheControl", "")
        cache = f"max-age={age}" if re.fullmatch(r"-?\d+", age) else "no-cache"
        pairs = {**given, "cacheControl": cache}.items()
        header = ",".join(f"{quote(k)} {base64.b64encode(v.encode()).decode()}" for k, v in pairs)
        upload = Upload(
            bucket=bucket["id"], name=given["objectName"], version=str(uuid.uuid4()), size=length, metadata_header=header,
            about=About(mime or BINARY, cache, json_object(given.get("metadata", ""))),
            expires=time.time() + self._kept_s,
        )  # fmt: skip
        await self._check(call, upload, "create")
        if mime:
            check_mime(mime, bucket["allowed_mime_types"])
        self._path(upload).touch()
        self._keep(upload)
        expires = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(upload.expires))
        answer = {**COMMON, **PLAIN, "location": f"{self._url}/{upload.id}", "upload-expires": expires}
        if headers.get("content-type") == PART:
            answer |= await self._append(call, upload)
        elif upload.size == 0:
            answer |= await self._finish(call, upload)
        return Response(201, b"", answer)

    async def _check(self, call: Call, upload: Upload, operation: str) -> None:
        """Raise unless the caller may upload this now."""
        about, doing = upload.about, f"storage.tus.upload.{operation}"
        announced = {"mimetype": about.mime, "contentLength": upload.size}
        await self._objects.check_upload(upload.new(call), doing, announced, about.user_metadata)

    def _head(self, upload: Upload) -> Response:
        """HEAD: how far it is."""
        return Response(200, b"", {
            **COMMON, **PLAIN, "cache-control": "no-store", "upload-metadata": upload.metadata_header,
            "upload-length": str(upload.size), "upload-offset": str(self._offset(upload)),
        })  # fmt: skip

    async def _patch(self, call: Call, upload_id: str) -> Response:
        """PATCH: more bytes, at the offset where the server stands."""
        headers = call.request.headers
        if "upload-offset" not in headers:
            raise _error(403, "Upload-Offset header required")
        if "content-type" not in headers:
            raise _error(403, "Content-Type header required")
        upload = self._find(upload_id)
        await self._check(call, upload, "part")
        if upload.id in self._busy:
            raise _error(423, "Upload is locked by another request", "ResourceLocked")
        if int(headers["upload-offset"]) != self._offset(upload):
            raise _error(409, "Upload-Offset conflict")
        return Response(204, b"", COMMON | await self._append(call, upload))

    async def _append(self, call: Call, upload: Upload) -> dict[str, str]:
        """Write what comes. A client that leaves keeps what arrived: that is the protocol's purpose."""
        offset, announced = self._offset(upload), call.request.headers.get("content-length", "0")
        if offset + int(announced) > upload.size:
            raise _error(413, "upload's size exceeded", "EntityTooLarge")
        if upload.done:
            return {"upload-offset": str(offset)}
        self._busy.add(upload.id)
        try:
            with self._path(upload).open("ab", buffering=0) as file:
                async for chunk in call.request.stream():
                    if file.tell() + len(chunk) > upload.size:
                        raise _error(413, "Maximum size exceeded", "EntityTooLarge")
                    file.write(chunk)
                offset = file.tell()
        finally:
            self._busy.discard(upload.id)
        done = await self._finish(call, upload) if offset == upload.size else {}
        return {"upload-offset": str(offset), **done}

    async def _finish(self, call: Call, upload: Upload) -> dict[str, str]:
        """Make the object. The upload's address goes on telling that it is whole, until it expires."""
        try:
            await self._objects.write(upload.new(call), self._path(upload), upload.about)
        except BaseException:
            self._forget(upload.version)
            raise
        self._keep(upload.model_copy(update={"done": True}))
        return {"tus-complete": "1"}

    async def _terminate(self, call: Call, upload: Upload) -> Response:
        """DELETE: give an unfinished upload up."""
        await self._check(call, upload, "delete")
        if upload.done:
            raise _error(400, "Cannot terminate an already completed upload")
        self._forget(upload.version)
        return Response(204, b"", dict(COMMON))

    def _find(self, upload_id: str) -> Upload:
        """The upload at this address. Raises StorageError 404 if it is unknown or expired."""
        version = base64_text(upload_id.replace("-", "+").replace("_", "/")).rpartition("/")[2]
        with contextlib.suppress(FileNotFoundError, ValueError):
            upload = Upload.model_validate_json(self._note(str(uuid.UUID(version))).read_text())
            if upload.expires > time.time() and upload.id == upload_id:
                return upload
        raise _error(404, NOT_FOUND)

    def _offset(self, upload: Upload) -> int:
        return upload.size if upload.done else self._path(upload).stat().st_size

    def _keep(self, upload: Upload) -> None:
        fresh = self._note(upload.version).with_suffix(".new")
        fresh.write_text(upload.model_dump_json())
        fresh.rename(self._note(upload.version))

    def _path(self, upload: Upload) -> Path:
        return self._folder / upload.version

    def _note(self, version: str) -> Path:
        return self._folder / f"{version}.json"

    def _forget(self, version: str) -> None:
        self._note(version).unlink(missing_ok=True)
        (self._folder / version).unlink(missing_ok=True)


def _check_headers(request: Request) -> None:
    """Raise for a header that the protocol does not know so; only a part's content type counts."""
    rules = {"upload-offset": NUMBER, "upload-length": NUMBER}
    rules |= {"content-type": re.escape(PART)} if request.method == "PATCH" else {}
    given = {name: request.headers[name] for name in rules if name in request.headers}
    if wrong := [name for name, value in given.items() if not re.fullmatch(rules[name], value)]:
        raise _error(400, f"Invalid {' '.join(wrong)}")


def _metadata(header: str) -> dict[str, str]:
    if len(header) > MAX_METADATA:
        raise _error(400, "Upload-Metadata is invalid")
    pairs = (pair.strip().partition(" ") for pair in header.split(",") if pair.strip())
    return {name: base64_text(value.strip()) for name, _, value in pairs}
