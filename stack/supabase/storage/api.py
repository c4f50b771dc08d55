"""/storage/v1: buckets, objects, signed URLs, resumable uploads."""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import Any
from urllib.parse import unquote

import asyncpg

from stack.supabase.config import Config
from stack.supabase.database import Database, Unavailable
from stack.supabase.http import JSON, Request, Response, json_response
from stack.supabase.storage import body, buckets, listing, serve, tus
from stack.supabase.storage.errors import (
    StorageError,
    bad_request,
    bad_signature,
    bad_token,
    denied,
    from_postgres,
    no_bucket,
    no_object,
    unavailable,
)
from stack.supabase.storage.files import Store
from stack.supabase.storage.objects import New, Objects, check_key, full, stamp
from stack.supabase.tokens import Caller, Signer, TokenError, caller

PREFIX = "/storage/v1"
UPLOAD_URL_S = 2 * 3600
SWEEP_S = 60
JWS_ERRORS = {"malformed": "JWS Protected Header is invalid", "signature": "signature verification failed",
              "expired": '"exp" claim timestamp check failed',
              "algorithm": '"alg" (Algorithm) Header Parameter value not allowed'}  # fmt: skip


class Storage:
    """The Storage wire over one database and one folder."""

    def __init__(self, database: Database, signer: Signer, config: Config) -> None:
        self._signer, self._limit = signer, config.options.file_size_limit
        self.objects = Objects(database, Store(config.state / "storage"))
        self._tus = tus.Tus(self.objects, config.url, self._limit, config.options.upload_expiry)

    async def sweep(self) -> None:
        """Forget unfinished uploads as they expire, for as long as the process lives."""
        while True:
            self._tus.sweep()
            await asyncio.sleep(SWEEP_S)

    async def handle(self, request: Request) -> Response:
        """Answer one request. Raises StorageError."""
        path = unquote(request.raw_path.partition("?")[0]).removeprefix(PREFIX).removeprefix("/")
        try:
            return await self._route(request, path)
        except StorageError as error:
            if path.startswith("upload/resumable"):
                return tus.plain(error)
            raise
        except Unavailable as error:
            raise unavailable() from error
        except asyncpg.PostgresError as error:
            refusal = from_postgres(error)
            if path.startswith("upload/resumable"):
                return tus.plain(refusal)
            raise refusal from error
        except UnicodeEncodeError as error:
            raise bad_request("the request holds text that is not Unicode") from error

    # ---- who asks

    def _caller(self, request: Request) -> Caller:
        token = re.sub(r"^Bearer\s+", "", request.headers.get("authorization", ""), flags=re.I)
        if not token:
            raise StorageError(
                400, "Error", "headers must have required property 'authorization'", "InvalidRequest"
            )
        try:
            return self._signer.caller(token)
        except TokenError as error:
            raise denied(JWS_ERRORS.get(error.kind, str(error))) from error

    def _anyone(self, request: Request) -> Caller | None:
        try:
            return self._caller(request)
        except StorageError:
            return None

    def _signed(self, token: str, scope: str, bucket: str, name: str) -> dict[str, Any]:
        try:
            claims = self._signer.unseal(token)
        except TokenError as error:
            raise bad_token(JWS_ERRORS.get(error.kind, str(error))) from error
        if claims.get("scope") != scope or claims.get("url") != f"{bucket}/{name}":
            raise bad_signature()
        return claims

    # ---- where to

    async def _route(self, request: Request, path: str) -> Response:
        head, _, rest = path.partition("/")
        if head == "bucket":
            return await self._bucket(request, rest)
        if head == "object":
            return await self._object(request, rest)
        if head == "upload" and rest.split("/")[0] == "resumable":
            return await self._resumable(request, rest.removeprefix("resumable").strip("/"))
        if head in ("status", "health", "version"):
            return Response(200, b"ok", {"content-type": "text/plain"})
        if path.startswith("render/image/sign/") and request.method in ("GET", "HEAD"):
            return await self._render_signed(
                request, *path.removeprefix("render/image/sign/").partition("/")[::2]
            )
        if head in ("render", "s3", "iceberg", "vector", "cdn", "object-lifecycle"):
            raise StorageError(
                501,
                "NotImplemented",
                f"/storage/v1/{head} is not part of the embedded target",
                "NotImplemented",
            )
        raise self._no_route(request)

    def _no_route(self, request: Request) -> StorageError:
        return StorageError(
            404, "Not Found", f"Route {request.method}:{request.path} not found", "NotFound", http=404
        )

    async def _bucket(self, request: Request, rest: str) -> Response:
        who, method = self._caller(request), request.method
        bucket_id, _, action = rest.partition("/")
        if not bucket_id and method == "POST":
            return json_response(await buckets.create(self.objects, who, await self._json(request)))
        if not bucket_id and method == "GET":
            return json_response(await buckets.every(self.objects, who, dict(request.params())))
        if action == "empty" and method == "POST":
            return json_response(await buckets.empty(self.objects, who, bucket_id))
        if bucket_id and not action:
            if method in ("GET", "HEAD"):
                return json_response(await buckets.get(self.objects, who, bucket_id))
            if method == "PUT":
                return json_response(
                    await buckets.change(self.objects, who, bucket_id, await self._json(request))
                )
            if method == "DELETE":
                return json_response(await buckets.delete(self.objects, who, bucket_id))
        raise self._no_route(request)

    async def _object(self, request: Request, rest: str) -> Response:
        method = request.method
        first, _, after = rest.partition("/")
        bucket, _, name = after.partition("/")
        reading = method in ("GET", "HEAD")
        if first in ("move", "copy") and method == "POST" and not after:
            return await (self._move(request) if first == "move" else self._copy(request))
        if first in ("list", "list-v2") and method == "POST":
            return await self._list(request, first, bucket)
        if first == "sign" and name and reading:
            return await self._get_signed(request, bucket, name)
        if first == "sign" and method == "POST":
            return await (self._sign(request, bucket, name) if name else self._sign_many(request, bucket))
        if first == "upload" and bucket == "sign" and method in ("POST", "PUT"):
            bucket, _, name = name.partition("/")
            return await (self._sign_upload if method == "POST" else self._upload_signed)(
                request, bucket, name
            )
        if first == "public" and name and reading:
            return await self._get_public(request, bucket, name)
        if first == "info" and reading:
            return await self._info(request, after)
        if first == "authenticated" and name and reading:
            return await self._get(request, bucket, name)
        bucket, _, name = rest.partition("/")
        if name and reading:
            return await self._get(request, bucket, name)
        if name and method in ("POST", "PUT"):
            return await self._upload(request, bucket, name, method == "PUT")
        if method == "DELETE" and bucket:
            return await self._delete(request, bucket, name)
        raise self._no_route(request)

    async def _json(self, request: Request) -> dict[str, Any]:
        raw = await request.body()
        try:
            value = json.loads(raw or b"{}")
        except (ValueError, RecursionError) as error:
            raise bad_request(f"Body is not valid JSON: {error}") from error
        if not isinstance(value, dict):
            raise bad_request("body must be object")
        return value

    # ---- bytes in

    async def _upload(self, request: Request, bucket_id: str, name: str, put: bool) -> Response:
        who = self._caller(request)
        upsert = put or request.headers.get("x-upsert") == "true"
        row = await self._receive(request, bucket_id, name, who, upsert, None)
        return json_response({"Key": f"{bucket_id}/{name}", "Id": row["id"]})

    async def _receive(
        self,
        request: Request,
        bucket_id: str,
        name: str,
        who: Caller,
        upsert: bool,
        signed: dict[str, Any] | None,
    ) -> dict[str, Any]:
        bucket = await self.objects.bucket(bucket_id)
        limit = (
            min(self._limit, bucket["file_size_limit"])
            if bucket["file_size_limit"] is not None
            else self._limit
        )
        given = await body.incoming(request, bucket["allowed_mime_types"], limit)
        new = New(bucket_id, name, who, upsert, given.mime, given.cache_control, given.user_metadata)
        if signed is None:
            await self.objects.check_upload(new, "storage.object.upload", given.length)
        else:
            check_key(name)
            if not upsert:
                await self._must_be_new(bucket_id, name)
        written = await self.objects.store.receive(given.chunks, limit)
        return await self.objects.write(new, written)

    async def _must_be_new(self, bucket: str, name: str) -> None:
        try:
            await self.objects.find(None, bucket, name, "")
        except StorageError:
            return
        raise StorageError(409, "Duplicate", "The resource already exists", "KeyAlreadyExists")

    async def _sign_upload(self, request: Request, bucket_id: str, name: str) -> Response:
        who = self._caller(request)
        await self.objects.bucket(bucket_id)
        upsert = request.headers.get("x-upsert") == "true"
        mime = request.headers.get("content-type", "application/octet-stream")
        await self.objects.check_upload(
            New(bucket_id, name, who, upsert, mime, "no-cache", None), "storage.object.sign_upload_url", None
        )
        now = int(time.time())
        token = self._signer.seal({
            "owner": who.user_id, "url": f"{bucket_id}/{name}", "upsert": upsert, "scope": "upload",
            "iat": now, "exp": now + UPLOAD_URL_S
        })  # fmt: skip
        return json_response({"url": f"/object/upload/sign/{bucket_id}/{name}?token={token}", "token": token})

    async def _upload_signed(self, request: Request, bucket_id: str, name: str) -> Response:
        token = dict(request.params()).get("token", "")
        claims = self._signed(token, "upload", bucket_id, name)
        who = caller({"role": "service_role", "sub": claims.get("owner")})
        await self._receive(request, bucket_id, name, who, bool(claims.get("upsert")), claims)
        return json_response({"Key": f"{bucket_id}/{name}"})

    # ---- bytes out

    async def _get(self, request: Request, bucket_id: str, name: str) -> Response:
        who = self._anyone(request)
        bucket = await self.objects.bucket(bucket_id)
        if who is None and not bucket["public"]:
            raise no_bucket()
        row = await self.objects.find(
            None if bucket["public"] else who, bucket_id, name, "storage.object.get_authenticated"
        )
        return serve.asset(request, self.objects.store, row, dict(request.params()))

    async def _get_public(self, request: Request, bucket_id: str, name: str) -> Response:
        if not (await self.objects.bucket(bucket_id))["public"]:
            raise no_bucket()
        row = await self.objects.find(None, bucket_id, name, "storage.object.get_public")
        return serve.asset(request, self.objects.store, row, dict(request.params()))

    async def _get_signed(self, request: Request, bucket_id: str, name: str) -> Response:
        query = dict(request.params())
        claims = self._signed(query.get("token", ""), "download", bucket_id, name)
        row = await self.objects.find(None, bucket_id, name, "storage.object.get_signed")
        return serve.asset(request, self.objects.store, row, query, claims.get("exp"))

    async def _render_signed(self, request: Request, bucket_id: str, name: str) -> Response:
        """Vector images are never resized, so they can be served; resizing pixels is left out."""
        response = await self._get_signed(request, bucket_id, name)
        if not response.headers.get("content-type", "").startswith("image/svg"):
            raise StorageError(
                501,
                "NotImplemented",
                "image transformation is not part of the embedded target",
                "NotImplemented",
            )
        return response

    async def _info(self, request: Request, path: str) -> Response:
        """GET /object/info/[public/|authenticated/]{bucket}/{name}."""
        kind, _, rest = path.partition("/")
        if kind not in ("public", "authenticated"):
            kind, rest = "authenticated", path
        bucket_id, _, name = rest.partition("/")
        bucket = await self.objects.bucket(bucket_id)
        who = None if kind == "public" else self._anyone(request)
        if who is None and not bucket["public"]:
            raise no_bucket()
        row = await self.objects.find(
            None if bucket["public"] else who, bucket_id, name, "storage.object.info"
        )
        metadata = row["metadata"] or {}
        modified = str(metadata.get("lastModified") or stamp(row["updated_at"]))
        headers = {"etag": metadata.get("eTag", ""), "last-modified": serve.http_date(modified),
                   "cache-control": metadata.get("cacheControl", "no-cache"), "content-type": JSON}  # fmt: skip
        return json_response({
            "id": row["id"], "name": row["name"], "version": row["version"], "bucket_id": bucket_id,
            "size": metadata.get("size"), "content_type": metadata.get("mimetype"),
            "cache_control": metadata.get("cacheControl"),
            "etag": metadata.get("eTag"), "metadata": row["user_metadata"], "last_modified": stamp(row["updated_at"]),
            "created_at": stamp(row["created_at"]),
        }, headers=headers)  # fmt: skip

    async def _sign(self, request: Request, bucket_id: str, name: str) -> Response:
        who, given = self._caller(request), await self._json(request)
        seconds = self._seconds(given)
        await self.objects.find(who, bucket_id, name, "storage.object.sign")
        kind = "render/image" if given.get("transform") else "object"
        return json_response({"signedURL": self._url(bucket_id, name, seconds, kind)})

    async def _sign_many(self, request: Request, bucket_id: str) -> Response:
        who, given = self._caller(request), await self._json(request)
        seconds, paths = self._seconds(given), self._names(given, "paths")
        async with self.objects.as_caller(who, "storage.object.sign_many") as db:
            rows = await db.fetch(
                "select name from storage.objects where bucket_id = $1 and name = any($2)", bucket_id, paths
            )
        seen = {row["name"] for row in rows}
        missing = "Either the object does not exist or you do not have access to it"
        return json_response([
            {"error": None if p in seen else missing, "path": p,
             "signedURL": self._url(bucket_id, p, seconds) if p in seen else None}
            for p in paths
        ])  # fmt: skip

    def _url(self, bucket_id: str, name: str, seconds: int, kind: str = "object") -> str:
        now = int(time.time())
        token = self._signer.seal(
            {"url": f"{bucket_id}/{name}", "scope": "download", "iat": now, "exp": now + seconds}
        )
        return f"/{kind}/sign/{bucket_id}/{name}?token={token}"

    def _seconds(self, given: dict[str, Any]) -> int:
        value = given.get("expiresIn")
        value = int(value) if isinstance(value, str) and value.isdigit() and len(value) < 12 else value
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 10**12:
            raise bad_request(
                "body/expiresIn must be >= 1"
                if "expiresIn" in given
                else "body must have required property 'expiresIn'"
            )
        return value

    def _names(self, given: dict[str, Any], field: str) -> list[str]:
        names = given.get(field)
        if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
            raise bad_request(f"body/{field} must be a non-empty array of strings")
        if len(names) > 1000:
            raise bad_request("Bulk object requests are limited to 1000 objects per request.")
        return [n for n in names if "\0" not in n]

    # ---- the rest

    async def _list(self, request: Request, kind: str, bucket_id: str) -> Response:
        who, given = self._caller(request), await self._json(request)
        await self.objects.bucket(bucket_id)
        async with self.objects.as_caller(who, f"storage.object.{kind.replace('-', '_')}") as db:
            return json_response(
                await (listing.search if kind == "list" else listing.page)(db, bucket_id, given)
            )

    async def _move(self, request: Request) -> Response:
        who, given = self._caller(request), await self._json(request)
        bucket, source, target = (self._text(given, f) for f in ("bucketId", "sourceKey", "destinationKey"))
        await self.objects.move(who, bucket, source, given.get("destinationBucket") or bucket, target)
        return json_response({"message": "Successfully moved"})

    async def _copy(self, request: Request) -> Response:
        who, given = self._caller(request), await self._json(request)
        bucket, source, target = (self._text(given, f) for f in ("bucketId", "sourceKey", "destinationKey"))
        metadata = given.get("metadata") or {}
        new = New(
            given.get("destinationBucket") or bucket,
            target,
            who,
            request.headers.get("x-upsert") == "true",
            metadata.get("mimetype", ""),
            metadata.get("cacheControl", ""),
            None,
        )
        row = await self.objects.copy(new, bucket, source, given.get("copyMetadata", True) is not False)
        return json_response({"Key": f"{new.bucket}/{target}", "Id": row["id"], **full(row)})

    def _text(self, given: dict[str, Any], field: str) -> str:
        value = given.get(field)
        if not isinstance(value, str) or not value:
            raise bad_request(f"body must have required property '{field}'")
        return value

    async def _delete(self, request: Request, bucket_id: str, name: str) -> Response:
        who = self._caller(request)
        if not name:
            names = self._names(await self._json(request), "prefixes")
            return json_response([full(row) for row in await self.objects.remove(who, bucket_id, names)])
        if not await self.objects.remove(who, bucket_id, [name]):
            raise no_object()
        return json_response({"message": "Successfully deleted"})

    async def _resumable(self, request: Request, rest: str) -> Response:
        signed = rest == "sign" or rest.startswith("sign/")
        upload_id = rest.removeprefix("sign").strip("/") if signed else rest
        method = request.headers.get("x-http-method-override", request.method)
        if method == "OPTIONS":
            return self._tus.options()
        if method == "HEAD" and upload_id:
            return await self._tus.head(self._tus.find(upload_id))
        upload = self._tus.find(upload_id) if upload_id else None
        upsert = request.headers.get("x-upsert") == "true"
        if signed:
            who, upsert = self._signature(request, upload)
        else:
            who = self._caller(request)
        if method == "POST" and upload is None:
            return await self._tus.create(request, who, upsert, signed)
        if upload is not None and method == "PATCH":
            return await self._tus.patch(request, upload, who, signed)
        if upload is not None and method == "DELETE":
            return await self._tus.delete(upload, who)
        raise tus.TusError(404, "TusError", "The file for this url was not found\n", "TusError", http=404)

    def _signature(self, request: Request, upload: tus.Upload | None) -> tuple[Caller, bool]:
        if upload is not None:
            bucket, name = upload.bucket, upload.name
        else:
            pairs = tus.given(request)
            bucket, name = pairs.get("bucketName", ""), pairs.get("objectName", "")
        claims = self._signed(request.headers.get("x-signature", ""), "upload", bucket, name)
        return caller({"role": "service_role", "sub": claims.get("owner")}), bool(claims.get("upsert"))
