"""Buckets."""

from __future__ import annotations

import re
from typing import Any

import asyncpg

from stack.supabase.storage.call import Call
from stack.supabase.storage.errors import StorageError, left_out
from stack.supabase.storage.objects import owner_of, stamp

NAME = re.compile(r"(?! )[A-Za-z0-9_!.*'() &$=@;:+,?-]{1,100}(?<! )")
MIME = re.compile(r"[\w.+-]+/(\*|[\w.+-]+)|\*/\*")
SQL = (
    "select id, name, coalesce(owner::text, '') as owner, public, type::text, file_size_limit, allowed_mime_types, "
    "created_at, updated_at from storage.buckets"
)


def _shown(row: Any) -> dict[str, Any]:
    """A bucket as clients see it."""
    return {**row, "created_at": stamp(row["created_at"]), "updated_at": stamp(row["updated_at"])}


def _settings(body: dict[str, Any]) -> dict[str, Any]:
    """Those of a bucket's settings that the body names. Raises StorageError."""
    out: dict[str, Any] = {"public": bool(body["public"])} if "public" in body else {}
    if "file_size_limit" in body:
        limit = out["file_size_limit"] = body["file_size_limit"]
        if isinstance(limit, str):
            raise left_out("a size limit in words")
        if limit is not None and (type(limit) is not int or not 0 <= limit < 2**63):
            hint = "Invalid file size format, hint: use 20GB / 20MB / 30KB / 3B"
            raise StorageError("InvalidParameter", hint)
    if "allowed_mime_types" in body:
        types = body["allowed_mime_types"]
        listed = isinstance(types, list | None) and all(isinstance(t, str) for t in types or ())
        if not listed or not all(map(MIME.fullmatch, types or ())):
            raise StorageError("InvalidMimeType", status=422)
        out["allowed_mime_types"] = types and [t.lower() for t in types]
    return out


async def create(call: Call) -> dict[str, Any]:
    """POST /bucket."""
    body = await call.json()
    name, bucket_id = body.get("name"), body.get("id") or body.get("name")
    if not all(isinstance(n, str) and NAME.fullmatch(n) for n in (name, bucket_id)):
        raise StorageError("InvalidBucketName")
    owner, owner_id = owner_of(call.who)
    values = {"id": bucket_id, "name": name, "owner": owner, "owner_id": owner_id, **_settings(body)}
    slots = ", ".join(f"${n}" for n in range(1, len(values) + 1))
    sql = f"insert into storage.buckets ({', '.join(values)}) values ({slots})"
    try:
        async with call.objects.as_caller(call.who, "bucket.create") as db:
            await db.execute(sql, *values.values())
    except asyncpg.UniqueViolationError as error:
        raise StorageError("BucketAlreadyExists") from error
    return {"name": name}


async def get(call: Call, bucket_id: str) -> dict[str, Any]:
    """GET /bucket/{id}."""
    async with call.objects.as_caller(call.who, "bucket.get") as db:
        row = await db.fetchrow(f"{SQL} where id = $1", bucket_id)
    if row is None:
        raise StorageError("NoSuchBucket")
    shown = _shown(row)
    del shown["type"]  # only the list tells it
    return shown


async def every(call: Call) -> list[dict[str, Any]]:
    """GET /bucket."""
    if call.query:
        raise left_out("a list of some of the buckets")
    async with call.objects.as_caller(call.who, "bucket.list") as db:
        return [_shown(row) for row in await db.fetch(f"{SQL} order by id")]


async def change(call: Call, bucket_id: str) -> dict[str, str]:
    """PUT /bucket/{id}: only what is named changes."""
    changes = _settings(await call.json())
    assign = "".join(f", {name} = ${n}" for n, name in enumerate(changes, 2))
    sql = f"update storage.buckets set updated_at = now(){assign} where id = $1 returning id"
    async with call.objects.as_caller(call.who, "bucket.update") as db:
        if await db.fetchrow(sql, bucket_id, *changes.values()) is None:
            raise StorageError("NoSuchBucket")
    return {"message": "Successfully updated"}


async def delete(call: Call, bucket_id: str) -> dict[str, str]:
    """DELETE /bucket/{id}, once it is empty."""
    try:
        async with call.objects.as_caller(call.who, "bucket.delete") as db:
            if not await db.fetchval("select true from storage.buckets where id = $1 for update", bucket_id):
                raise StorageError("NoSuchBucket")
            await db.execute("delete from storage.buckets where id = $1", bucket_id)
    except asyncpg.ForeignKeyViolationError as error:
        raise StorageError("ResourceNotEmpty") from error
    return {"message": "Successfully deleted"}


async def empty(call: Call, bucket_id: str) -> dict[str, str]:
    """POST /bucket/{id}/empty. The hosted service does it later; here it is done when the answer comes."""
    await get(call, bucket_id)
    async with call.objects.as_caller(call.who, "bucket.empty") as db:
        rows = await db.fetch("delete from storage.objects where bucket_id = $1 returning version", bucket_id)
    call.objects.store.delete(*(row["version"] for row in rows))
    return {"message": "Empty bucket has been queued. Completion may take up to an hour."}
