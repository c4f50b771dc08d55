"""Buckets."""

from __future__ import annotations

import re
from typing import Any

from stack.supabase.pipeline import UniqueViolation
from stack.supabase.storage.call import Call
from stack.supabase.storage.errors import StorageError, bad_mime, bad_request, left_out
from stack.supabase.storage.objects import escaped, full, owner_of
from stack.supabase.storage.schema import FLAG, ORDER, TEXT, Schema, Unfit, count, fit, record

NAME = re.compile(r"(?! )[A-Za-z0-9_!.*'() &$=@;:+,?-]{1,100}(?<! )")
MIME = re.compile(r"[a-zA-Z0-9+.-]+/[a-zA-Z0-9+.-]+(;\s*charset=[a-zA-Z0-9-]+)?|.*\*", re.S)
SIZE = "^[0-9]+(?:\\.[0-9]+)?(?:[gG][bB]|[mM][bB]|[kK][bB]|[bB])$"
UNITS = {"gb": 10**9, "mb": 10**6, "kb": 10**3, "b": 1}
LIMIT: Schema = {
    "anyOf": [{**count(0), "nullable": True}, {"type": "string", "nullable": True, "pattern": SIZE}]
}
TYPES: Schema = {"type": "array", "nullable": True, "items": TEXT}
SETTINGS: dict[str, Schema] = {"public": FLAG, "file_size_limit": LIMIT, "allowed_mime_types": TYPES}
KIND: Schema = {"type": "string", "enum": ["STANDARD", "ANALYTICS"]}
CREATE = record("name", name=TEXT, id=TEXT, type=KIND, **SETTINGS)
CHANGE: Schema = {**record(**SETTINGS), "anyOf": [{"required": [name]} for name in SETTINGS]}
COLUMN: Schema = {"type": "string", "enum": ["id", "name", "created_at", "updated_at"]}
LIST = record(limit=count(1), offset=count(0), sortColumn=COLUMN, sortOrder=ORDER, search=TEXT)
SQL = (
    "select id, name, coalesce(owner::text, '') as owner, public, type::text, file_size_limit, allowed_mime_types, "
    "created_at, updated_at from storage.buckets"
)


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise StorageError("InvalidBucketName")


def _bytes(size: str) -> int:
    """A size in words, whose number counts to three digits (supabase/storage, limits.ts)."""
    unit = size.lstrip("0123456789.")
    return int(float(f"{float(size.removesuffix(unit)):.3g}") * UNITS[unit.lower()])


def _settings(call: Call, body: dict[str, Any]) -> dict[str, Any]:
    """Those of a bucket's settings that the body names, as they are stored. Raises StorageError."""
    out = {name: body[name] for name in SETTINGS if name in body}
    limit = out.get("file_size_limit")
    if isinstance(limit, str):
        limit = out["file_size_limit"] = _bytes(limit)
    if limit is not None and limit > call.limit:
        raise StorageError("EntityTooLarge")
    if types := out.get("allowed_mime_types"):
        for mime in types:
            if len(mime) > 1000 or (mime and not MIME.fullmatch(mime)):
                raise bad_mime(mime)
        out["allowed_mime_types"] = [mime for mime in types if mime]
    return out


async def create(call: Call) -> dict[str, Any]:
    """POST /bucket."""
    body = await call.json(CREATE)
    who, name = call.who, body["name"]
    _check_name(name)
    if body.get("type") == "ANALYTICS":
        raise left_out("an analytics bucket")
    owner, owner_id = owner_of(who)
    values = {
        "id": body.get("id") or name,
        "name": name,
        "owner": owner,
        "owner_id": owner_id,
        **_settings(call, body),
    }
    slots = ", ".join(f"${n}" for n in range(1, len(values) + 1))
    sql = f"insert into storage.buckets ({', '.join(values)}) values ({slots})"
    try:
        async with call.objects.as_caller(who, "storage.bucket.create") as db:
            await db.execute(sql, *values.values())
    except UniqueViolation as error:
        raise StorageError("BucketAlreadyExists") from error
    return {"name": name}


async def get(call: Call, bucket_id: str) -> dict[str, Any]:
    """GET /bucket/{id}."""
    async with call.objects.as_caller(call.who, "storage.bucket.get") as db:
        row = await db.fetchrow(f"{SQL} where id = $1", bucket_id)
    if row is None:
        raise StorageError("NoSuchBucket")
    shown = full(row)
    del shown["type"]  # only the list tells it
    return shown


async def every(call: Call) -> list[dict[str, Any]]:
    """GET /bucket: those whose name contains ``search``; without ``sortColumn`` in no order."""
    try:
        asked = fit(dict(call.query), LIST, "querystring")
    except Unfit as error:
        raise bad_request(str(error)) from error
    by = f" order by {asked['sortColumn']} {asked.get('sortOrder', 'asc')}" if "sortColumn" in asked else ""
    values = (f"%{escaped(asked.get('search', ''))}%", asked.get("limit"), asked.get("offset"))
    async with call.objects.as_caller(call.who, "storage.bucket.list") as db:
        return [
            full(row) for row in await db.fetch(f"{SQL} where name ilike $1{by} limit $2 offset $3", *values)
        ]


async def change(call: Call, bucket_id: str) -> dict[str, str]:
    """PUT /bucket/{id}: only what is named changes."""
    body = await call.json(CHANGE)
    who = call.who
    _check_name(bucket_id)
    changes = _settings(call, body)
    assign = "".join(f", {name} = ${n}" for n, name in enumerate(changes, 2))
    sql = f"update storage.buckets set updated_at = now(){assign} where id = $1 returning id"
    async with call.objects.as_caller(who, "storage.bucket.update") as db:
        if await db.fetchrow(sql, bucket_id, *changes.values()) is None:
            raise StorageError("NoSuchBucket")
    return {"message": "Successfully updated"}


async def delete(call: Call, bucket_id: str) -> dict[str, str]:
    """DELETE /bucket/{id}, once it is empty: whoever asks is told first whether it is."""
    who = call.who
    await call.objects.bucket(bucket_id)
    async with call.objects.database.connection() as db:
        if await db.fetchval("select true from storage.objects where bucket_id = $1 limit 1", bucket_id):
            raise StorageError("ResourceNotEmpty")
    async with call.objects.as_caller(who, "storage.bucket.delete") as db:
        if not await db.fetch("delete from storage.buckets where id = $1 returning true", bucket_id):
            raise StorageError("NoSuchBucket")
    return {"message": "Successfully deleted"}


async def empty(call: Call, bucket_id: str) -> dict[str, str]:
    """POST /bucket/{id}/empty, for the service role. The hosted service does it later; here it is done with the answer."""
    if call.who.role != "service_role":
        raise StorageError("AccessDenied", "Access denied: Invalid role", http=403)
    await get(call, bucket_id)
    async with call.objects.as_caller(call.who, "storage.bucket.empty") as db:
        rows = await db.fetch("delete from storage.objects where bucket_id = $1 returning version", bucket_id)
    call.objects.store.delete(*(row["version"] for row in rows))
    return {"message": "Empty bucket has been queued. Completion may take up to an hour."}
