"""/storage/v1: which handler answers what; objects, signed URLs."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from stack.supabase.config import Config
from stack.supabase.database import Database, Unavailable
from stack.supabase.http import JSON, Request, Response, Routes, json_response
from stack.supabase.pipeline import SqlError
from stack.supabase.storage import body, buckets, listing, serve
from stack.supabase.storage.call import Call
from stack.supabase.storage.errors import StorageError, bad_request, from_postgres, left_out, unavailable
from stack.supabase.storage.files import Store
from stack.supabase.storage.objects import New, Objects, check_key, full, stamp
from stack.supabase.storage.schema import FLAG, TEXT, Schema, count, record
from stack.supabase.storage.tus import Tus
from stack.supabase.tokens import Signer, caller

PREFIX = "/storage/v1/"
UPLOAD_URL_S = 2 * 3600
SWEEP_S = 60
FURTHEST_S = (2**53 - 1) // 1000  # a link's end, in seconds since 1970 (supabase/storage, jwt.ts)
KEYS: Schema = {"type": "array", "items": TEXT, "minItems": 1}
SIGN = record("expiresIn", expiresIn=count(1), transform=record())
SIGN_MANY = record("expiresIn paths", expiresIn=count(1), paths={**KEYS, "maxItems": 1000})
REMOVE = record("prefixes", prefixes=KEYS)
PLACES = {"bucketId": TEXT, "sourceKey": TEXT, "destinationBucket": TEXT, "destinationKey": TEXT}
MOVE = record("bucketId sourceKey destinationKey", **PLACES)
COPY = record(
    "sourceKey bucketId destinationKey",
    copyMetadata=FLAG,
    metadata=record(cacheControl=TEXT, mimetype=TEXT),
    **PLACES,
)
MISSING = "Either the object does not exist or you do not have access to it"


async def upload(call: Call, bucket_id: str, name: str) -> dict[str, Any]:
    """POST (PUT overwrites) /object/{bucket}/{name}."""
    put = call.request.method == "PUT"
    operation = "storage.object.upload_update" if put else "storage.object.upload"
    row = await _receive(call, New(bucket_id, name, call.who, call.upsert or put), operation)
    return {"Key": f"{bucket_id}/{name}", "Id": row["id"]}


async def _receive(call: Call, new: New, operation: str) -> dict[str, Any]:
    objects, bucket = call.objects, await call.objects.bucket(new.bucket)

    async def admit(about: body.About) -> None:
        check_key(new.name)
        await objects.check_upload(new, operation, _announced(call, about.mime), about.user_metadata)

    with objects.store.desk() as folder:
        types, limit = body.rules(new.name, bucket["allowed_mime_types"], call.limit_of(bucket))
        path, about = await body.receive(call.request, Path(folder), types, limit, admit)
        return await objects.write(new, path, replace(about, user_metadata=about.user_metadata or {}))


def _announced(call: Call, mime: str | None) -> dict[str, Any]:
    """What policies may see of an upload's metadata before it is there."""
    length = call.request.headers.get("content-length", "")
    known = {"mimetype": mime, "contentLength": int(length) if length.isdigit() else None}
    return {name: value for name, value in known.items() if value is not None}


async def sign_upload(call: Call, bucket_id: str, name: str) -> dict[str, Any]:
    """POST /object/upload/sign/{bucket}/{name}: a URL at which somebody may upload in the caller's place."""
    new, headers = New(bucket_id, name, call.who, call.upsert), call.request.headers
    about = body.json_object(body.base64_text(headers.get("x-metadata", "")))
    announced = _announced(call, headers.get("content-type"))
    await call.objects.check_upload(new, "storage.object.sign_upload_url", announced, about)
    path, owner = f"{bucket_id}/{name}", call.who.user_id
    token = call.seal("upload", path, UPLOAD_URL_S, owner=owner, upsert=call.upsert)
    return {"url": f"/object/upload/sign/{path}?token={token}", "token": token}


async def upload_signed(call: Call, bucket_id: str, name: str) -> dict[str, Any]:
    """PUT /object/upload/sign/{bucket}/{name}?token=."""
    claims = call.unseal("upload", f"{bucket_id}/{name}")
    who = caller({"role": "service_role", "sub": claims.get("owner")})
    new = New(bucket_id, name, who, bool(claims.get("upsert")))
    await _receive(call, new, "storage.object.upload_signed")
    return {"Key": f"{bucket_id}/{name}"}


async def _seen(call: Call, door: str | None, bucket_id: str, name: str, operation: str) -> dict[str, Any]:
    """The object, if its bucket is public or the caller may see it. At the door ``public/`` the bucket must be, at
    ``authenticated/`` the caller must have a good token. Raises StorageError.
    """
    if door == "authenticated/":
        _ = call.who
    bucket = await call.objects.bucket(bucket_id)
    who = None if bucket["public"] or door == "public/" else call.anyone
    if who is None and not bucket["public"]:
        raise StorageError("NoSuchBucket")
    check_key(name)
    return await call.objects.find(who, bucket_id, name, operation)


async def get(call: Call, door: str | None, bucket_id: str, name: str) -> Response:
    """GET /object/[public/|authenticated/]{bucket}/{name}."""
    row = await _seen(call, door, bucket_id, name, "storage.object.get_authenticated")
    return serve.asset(call.request, call.objects.store, row, call.query)


async def head(call: Call, door: str | None, bucket_id: str, name: str) -> Response:
    """HEAD /object/[public/|authenticated/]{bucket}/{name}."""
    row = await _seen(call, door, bucket_id, name, "object.head_authenticated_info")
    return serve.head(call.request, row)


async def info(call: Call, door: str | None, bucket_id: str, name: str) -> Response:
    """GET /object/info/[public/|authenticated/]{bucket}/{name}."""
    row = await _seen(call, door, bucket_id, name, "object.get_authenticated_info")
    metadata = row["metadata"] or {}
    modified = str(metadata.get("lastModified") or stamp(row["updated_at"]))
    headers = {"etag": metadata.get("eTag", ""), "last-modified": serve.http_date(modified),
               "cache-control": metadata.get("cacheControl", "no-cache"), "content-type": JSON}  # fmt: skip
    return json_response({
        "id": row["id"], "name": row["name"], "version": row["version"], "bucket_id": bucket_id,
        "size": metadata.get("size"), "content_type": metadata.get("mimetype"),
        "cache_control": metadata.get("cacheControl"), "etag": metadata.get("eTag"), "metadata": row["user_metadata"],
        "last_modified": stamp(row["updated_at"]), "created_at": stamp(row["created_at"]),
    }, headers=headers)  # fmt: skip


async def get_signed(call: Call, bucket_id: str, name: str) -> Response:
    """GET /object/sign/{bucket}/{name}?token=."""
    claims = call.unseal("download", f"{bucket_id}/{name}")
    row = await call.objects.find(None, bucket_id, name)
    return serve.asset(call.request, call.objects.store, row, call.query, claims.get("exp"))


async def render_signed(call: Call, bucket_id: str, name: str) -> Response:
    """GET /render/image/sign/…: vector images are never resized, so they can be served; resizing pixels is left out."""
    response = await get_signed(call, bucket_id, name)
    if not response.headers.get("content-type", "").startswith("image/svg"):
        raise left_out("image transformation")
    return response


async def sign(call: Call, bucket_id: str, name: str) -> dict[str, Any]:
    """POST /object/sign/{bucket}/{name}: a URL at which the object can be had for a time."""
    given, who = await call.json(SIGN), call.who
    check_key(name)
    await call.objects.find(who, bucket_id, name, "storage.object.sign")
    return {"signedURL": _url(call, f"{bucket_id}/{name}", given["expiresIn"], bool(given.get("transform")))}


async def sign_many(call: Call, bucket_id: str) -> list[dict[str, Any]]:
    """POST /object/sign/{bucket}."""
    given, who = await call.json(SIGN_MANY), call.who
    seconds, paths = given["expiresIn"], given["paths"]
    sql = "select name from storage.objects where bucket_id = $1 and name = any($2)"
    async with call.objects.as_caller(who, "storage.object.sign_many") as db:
        seen = {row["name"] for row in await db.fetch(sql, bucket_id, paths)}
    return [
        {"error": None, "path": p, "signedURL": _url(call, f"{bucket_id}/{p}", seconds)} if p in seen
        else {"error": MISSING, "path": p, "signedURL": None}
        for p in paths
    ]  # fmt: skip


def _url(call: Call, path: str, seconds: int, transformed: bool = False) -> str:
    if seconds > FURTHEST_S - time.time():
        raise StorageError("InvalidParameter", "Invalid Parameter expiresIn")
    kind = "render/image" if transformed else "object"
    return f"/{kind}/sign/{path}?token={call.seal('download', path, seconds)}"


async def search(call: Call, bucket_id: str) -> Any:
    """POST /object/list/{bucket}."""
    given = await call.json(listing.SEARCH)
    async with call.objects.as_caller(call.who, "storage.object.list") as db:
        return await listing.search(db, bucket_id, given)


async def page(call: Call, bucket_id: str) -> Any:
    """POST /object/list-v2/{bucket}."""
    given = await call.json(listing.PAGE)
    async with call.objects.as_caller(call.verified, "storage.object.list_v2") as db:
        return await listing.page(db, bucket_id, given)


def _target(call: Call, given: dict[str, Any]) -> tuple[New, str, str]:
    """What is to be made, and the bucket and key of the object that it is made from."""
    bucket_id = given["bucketId"]
    new = New(given.get("destinationBucket") or bucket_id, given["destinationKey"], call.who, call.upsert)
    return new, bucket_id, given["sourceKey"]


async def move(call: Call) -> dict[str, Any]:
    """POST /object/move."""
    given = await call.json(MOVE)
    await call.objects.move(*_target(call, given))
    return {"message": "Successfully moved"}


async def copy(call: Call) -> dict[str, Any]:
    """POST /object/copy; with ``copyMetadata: false`` the copy has the metadata of the body and ``x-metadata``."""
    given = await call.json(COPY)
    new, bucket_id, source = _target(call, given)
    changes = {k: v for k, v in given.get("metadata", {}).items() if k in ("cacheControl", "mimetype")}
    custom = body.json_object(body.base64_text(call.request.headers.get("x-metadata", "")))
    kept = given.get("copyMetadata", True)
    row = await call.objects.copy(new, bucket_id, source, None if kept else changes, custom)
    return {"Key": f"{new.bucket}/{new.name}", "Id": row["id"], **full(row)}


async def remove(call: Call, bucket_id: str) -> list[dict[str, Any]]:
    """DELETE /object/{bucket}."""
    given = await call.json(REMOVE)
    removed = await call.objects.remove(call.who, bucket_id, given["prefixes"], "storage.object.delete_many")
    return [full(row) for row in removed]


async def remove_one(call: Call, bucket_id: str, name: str) -> dict[str, Any]:
    """DELETE /object/{bucket}/{name}: whoever asks is told whether it exists."""
    who = call.who
    await call.objects.find(None, bucket_id, name)
    if not await call.objects.remove(who, bucket_id, [name], "storage.object.delete"):
        raise StorageError("AccessDenied")
    return {"message": "Successfully deleted"}


async def status(_: Call) -> Response:
    """GET /status."""
    return Response()


# The first that fits: * is one part of a path, ** the rest of it. HEAD is answered as GET where no line names it.
ROUTES = Routes({
    "GET status": status,
    "POST bucket": buckets.create,
    "GET bucket": buckets.every,
    "POST bucket/*/empty": buckets.empty,
    "GET bucket/*": buckets.get,
    "PUT bucket/*": buckets.change,
    "DELETE bucket/*": buckets.delete,
    "POST object/move": move,
    "POST object/copy": copy,
    "POST object/list/*": search,
    "POST object/list-v2/*": page,
    "GET|HEAD object/sign/*/**": get_signed,
    "POST object/sign/*/**": sign,
    "POST object/sign/*": sign_many,
    "POST object/upload/sign/*/**": sign_upload,
    "PUT object/upload/sign/*/**": upload_signed,
    "GET object/info/(public/|authenticated/)?*/**": info,
    "GET object/(public/|authenticated/)?*/**": get,
    "HEAD object/(public/|authenticated/)?*/**": head,
    "POST|PUT object/*/**": upload,
    "DELETE object/*/**": remove_one,
    "DELETE object/*": remove,
    "GET render/image/sign/*/**": render_signed,
})  # fmt: skip


class Storage:
    """The Storage wire over one database and one folder."""

    def __init__(self, database: Database, signer: Signer, config: Config) -> None:
        self._signer, self._limit = signer, config.options.file_size_limit
        self.objects = Objects(database, Store(config.state / "storage"))
        self._tus = Tus(self.objects, config.url, config.options.upload_expiry)

    async def sweep(self) -> None:
        """Forget unfinished uploads as they expire, for as long as the process lives."""
        while True:
            self._tus.sweep()
            await asyncio.sleep(SWEEP_S)

    async def handle(self, request: Request) -> Response:
        """Answer one request. Raises StorageError."""
        path = unquote(request.raw_path.partition("?")[0]).removeprefix(PREFIX)
        call = Call(request, self.objects, self._signer, self._limit)
        resumable = path.startswith("upload/resumable")
        if resumable and request.method not in ("HEAD", "OPTIONS"):
            _ = call.verified  # refused as JSON, before the resumable protocol is spoken
        try:
            if resumable:
                return await self._tus.handle(call, path.removeprefix("upload/resumable").strip("/"))
            return await self._route(call, path)
        except SqlError as error:
            refusal = from_postgres(error)
        except StorageError as error:
            refusal = error
        except Unavailable:
            refusal = unavailable()
        except UnicodeEncodeError:
            refusal = bad_request("the request holds text that is not Unicode")
        if resumable:
            return self._tus.refused(refusal)
        raise refusal

    async def _route(self, call: Call, path: str) -> Response:
        method = call.request.method
        handler, parts, _ = ROUTES.find(method, path)
        if handler is None and method == "HEAD":
            handler, parts, _ = ROUTES.find("GET", path)
        if handler:
            found = await handler(call, *parts)
            return found if isinstance(found, Response) else json_response(found)
        head = path.partition("/")[0]
        if head in ("render", "s3", "iceberg", "vector", "cdn", "object-lifecycle"):
            raise left_out(f"/storage/v1/{head}")
        asked = "?".join(filter(None, (call.request.raw_path, call.request.query))).removeprefix(PREFIX)
        missing = {"error": "Not Found", "message": f"Route {method}:/{asked} not found"}
        if head in ("bucket", "object"):
            missing |= {"statusCode": "404", "code": "InvalidRequest"}
            return json_response(missing, 404, {"content-type": "application/json"})
        return json_response({**missing, "statusCode": 404}, 404)
