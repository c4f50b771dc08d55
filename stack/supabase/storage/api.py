"""/storage/v1: which handler answers what; objects, signed URLs."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import asyncpg

from stack.supabase.config import Config
from stack.supabase.database import Database, Unavailable
from stack.supabase.http import JSON, Request, Response, Routes, json_response
from stack.supabase.storage import body, buckets, listing, serve
from stack.supabase.storage.call import Call
from stack.supabase.storage.errors import StorageError, bad_request, from_postgres, left_out, unavailable
from stack.supabase.storage.files import Store
from stack.supabase.storage.objects import New, Objects, full, stamp
from stack.supabase.storage.tus import Tus
from stack.supabase.tokens import Signer, caller

PREFIX = "/storage/v1/"
UPLOAD_URL_S = 2 * 3600
SWEEP_S = 60
MISSING = "Either the object does not exist or you do not have access to it"


async def upload(call: Call, bucket_id: str, name: str) -> dict[str, Any]:
    """POST (PUT overwrites) /object/{bucket}/{name}."""
    new = New(bucket_id, name, call.who, call.upsert or call.request.method == "PUT")
    row = await _receive(call, new, signed=False)
    return {"Key": f"{bucket_id}/{name}", "Id": row["id"]}


async def _receive(call: Call, new: New, signed: bool) -> dict[str, Any]:
    objects, bucket = call.objects, await call.objects.bucket(new.bucket)
    with objects.store.desk() as folder:
        types, limit = bucket["allowed_mime_types"], call.limit_of(bucket)
        given = await body.receive(call.request, Path(folder), types, limit)
        new = replace(new, about=given.about)
        await objects.check_upload(new, "object.upload_signed" if signed else "object.upload", given.size)
        return await objects.write(new, given.path)


async def sign_upload(call: Call, bucket_id: str, name: str) -> dict[str, Any]:
    """POST /object/upload/sign/{bucket}/{name}: a URL at which somebody may upload in the caller's place."""
    await call.objects.bucket(bucket_id)
    mime = call.request.headers.get("content-type", "application/octet-stream")
    new = New(bucket_id, name, call.who, call.upsert, body.About(mime))
    await call.objects.check_upload(new, "object.sign_upload_url", None)
    path, owner = f"{bucket_id}/{name}", call.who.user_id
    token = call.seal("upload", path, UPLOAD_URL_S, owner=owner, upsert=call.upsert)
    return {"url": f"/object/upload/sign/{path}?token={token}", "token": token}


async def upload_signed(call: Call, bucket_id: str, name: str) -> dict[str, Any]:
    """PUT /object/upload/sign/{bucket}/{name}?token=."""
    claims = call.unseal("upload", f"{bucket_id}/{name}")
    who = caller({"role": "service_role", "sub": claims.get("owner")})
    await _receive(call, New(bucket_id, name, who, bool(claims.get("upsert"))), signed=True)
    return {"Key": f"{bucket_id}/{name}"}


async def _seen(call: Call, bucket_id: str, name: str, operation: str) -> dict[str, Any]:
    """The object, if its bucket is public or the caller may see it. Raises StorageError."""
    bucket = await call.objects.bucket(bucket_id)
    who = None if bucket["public"] else call.anyone
    if who is None and not bucket["public"]:
        raise StorageError("NoSuchBucket")
    return await call.objects.find(who, bucket_id, name, operation)


async def get(call: Call, bucket_id: str, name: str) -> Response:
    """GET /object/[authenticated/]{bucket}/{name}."""
    row = await _seen(call, bucket_id, name, "object.get_authenticated")
    return serve.asset(call.request, call.objects.store, row, call.query)


async def get_public(call: Call, bucket_id: str, name: str) -> Response:
    """GET /object/public/{bucket}/{name}."""
    if not (await call.objects.bucket(bucket_id))["public"]:
        raise StorageError("NoSuchBucket")
    return await get(call, bucket_id, name)


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


async def info(call: Call, bucket_id: str, name: str) -> Response:
    """GET /object/info/[public/|authenticated/]{bucket}/{name}."""
    row = await _seen(call, bucket_id, name, "object.info")
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


async def sign(call: Call, bucket_id: str, name: str) -> dict[str, Any]:
    """POST /object/sign/{bucket}/{name}: a URL at which the object can be had for a time."""
    who, given = call.who, await call.json()
    seconds = _seconds(given)
    await call.objects.find(who, bucket_id, name, "object.sign")
    return {"signedURL": _url(call, f"{bucket_id}/{name}", seconds, bool(given.get("transform")))}


async def sign_many(call: Call, bucket_id: str) -> list[dict[str, Any]]:
    """POST /object/sign/{bucket}."""
    who, given = call.who, await call.json()
    seconds, paths = _seconds(given), _names(given, "paths")
    sql = "select name from storage.objects where bucket_id = $1 and name = any($2)"
    async with call.objects.as_caller(who, "object.sign_many") as db:
        seen = {row["name"] for row in await db.fetch(sql, bucket_id, paths)}
    return [
        {"error": None, "path": p, "signedURL": _url(call, f"{bucket_id}/{p}", seconds)} if p in seen
        else {"error": MISSING, "path": p, "signedURL": None}
        for p in paths
    ]  # fmt: skip


def _url(call: Call, path: str, seconds: int, transformed: bool = False) -> str:
    kind = "render/image" if transformed else "object"
    return f"/{kind}/sign/{path}?token={call.seal('download', path, seconds)}"


def _seconds(given: dict[str, Any]) -> int:
    value = given.get("expiresIn")
    if "expiresIn" not in given:
        raise bad_request("body must have required property 'expiresIn'")
    if isinstance(value, bool) or not str(value).isdecimal() or not 1 <= int(value or 0) < 10**12:
        raise bad_request("body/expiresIn must be >= 1")
    return int(value or 0)


def _names(given: dict[str, Any], field: str) -> list[str]:
    names = given.get(field)
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise bad_request(f"body/{field} must be a non-empty array of strings")
    if len(names) > 1000:
        raise bad_request("Bulk object requests are limited to 1000 objects per request.")
    return [n for n in names if "\0" not in n]


async def list_objects(call: Call, version: str, bucket_id: str) -> Any:
    """POST /object/list[-v2]/{bucket}."""
    who, given = call.who, await call.json()
    await call.objects.bucket(bucket_id)
    async with call.objects.as_caller(who, f"object.{version.replace('-', '_')}") as db:
        return await (listing.search if version == "list" else listing.page)(db, bucket_id, given)


async def _transfer(call: Call) -> tuple[str, str, New]:
    """Bucket and key of an object, and what is to be made of it."""
    given = await call.json()
    for field in ("bucketId", "sourceKey", "destinationKey"):
        if not isinstance(given.get(field), str) or not given[field]:
            raise bad_request(f"body must have required property '{field}'")
    if "metadata" in given or given.get("copyMetadata") is False:
        raise left_out("copying an object with other metadata")
    target = str(given.get("destinationBucket") or given["bucketId"])
    return given["bucketId"], given["sourceKey"], New(target, given["destinationKey"], call.who, call.upsert)


async def move(call: Call) -> dict[str, Any]:
    """POST /object/move."""
    bucket_id, source, new = await _transfer(call)
    await call.objects.move(new, bucket_id, source)
    return {"message": "Successfully moved"}


async def copy(call: Call) -> dict[str, Any]:
    """POST /object/copy."""
    bucket_id, source, new = await _transfer(call)
    row = await call.objects.copy(new, bucket_id, source)
    return {"Key": f"{new.bucket}/{new.name}", "Id": row["id"], **full(row)}


async def remove(call: Call, bucket_id: str) -> list[dict[str, Any]]:
    """DELETE /object/{bucket}."""
    names = _names(await call.json(), "prefixes")
    return [full(row) for row in await call.objects.remove(call.who, bucket_id, names)]


async def remove_one(call: Call, bucket_id: str, name: str) -> dict[str, Any]:
    """DELETE /object/{bucket}/{name}."""
    if not await call.objects.remove(call.who, bucket_id, [name]):
        raise StorageError("NoSuchKey")
    return {"message": "Successfully deleted"}


async def status(_: Call) -> Response:
    """GET /status."""
    return Response(200, b"ok", {"content-type": "text/plain"})


# The first that fits: * is one part of a path, ** the rest of it.
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
    "POST object/(list|list-v2)/*": list_objects,
    "GET object/sign/*/**": get_signed,
    "POST object/sign/*/**": sign,
    "POST object/sign/*": sign_many,
    "POST object/upload/sign/*/**": sign_upload,
    "PUT object/upload/sign/*/**": upload_signed,
    "GET object/public/*/**": get_public,
    "GET object/info/(?:public/|authenticated/)?*/**": info,
    "GET object/(?:authenticated/)?*/**": get,
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
        try:
            if resumable:
                return await self._tus.handle(call, path.removeprefix("upload/resumable").strip("/"))
            return await self._route(call, path)
        except asyncpg.PostgresError as error:
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
        method = "GET" if call.request.method == "HEAD" else call.request.method
        handler, parts, _ = ROUTES.find(method, path)
        if handler:
            found = await handler(call, *parts)
            return found if isinstance(found, Response) else json_response(found)
        head = path.partition("/")[0]
        if head in ("render", "s3", "iceberg", "vector", "cdn", "object-lifecycle"):
            raise left_out(f"/storage/v1/{head}")
        raise StorageError("NotFound", f"Route {call.request.method}:{call.request.path} not found", http=404)
