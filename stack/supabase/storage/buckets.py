"""Buckets."""

from __future__ import annotations

import re
from typing import Any

import asyncpg

from stack.supabase.storage.errors import StorageError, bad_request, duplicate, no_bucket
from stack.supabase.storage.objects import Objects, owner_of, stamp
from stack.supabase.tokens import Caller

NAME = re.compile(r"[A-Za-z0-9_!.*'() &$=@;:+,?-]{1,100}")
UNITS = {"b": 1, "kb": 1000, "mb": 10**6, "gb": 10**9}
SQL = (
    "select id, name, owner::text, public, type::text, file_size_limit, allowed_mime_types, created_at, "
    "updated_at from storage.buckets"
)


def shown(row: Any, with_type: bool) -> dict[str, Any]:
    """A bucket as clients see it."""
    out = {"id": row["id"], "name": row["name"], "owner": row["owner"] or "", "public": row["public"]}
    if with_type:
        out["type"] = row["type"]
    return out | {
        "file_size_limit": row["file_size_limit"], "allowed_mime_types": row["allowed_mime_types"],
        "created_at": stamp(row["created_at"]), "updated_at": stamp(row["updated_at"]),
    }  # fmt: skip


def size_limit(value: Any) -> int | None:
    """Bytes, given as a number or as ``20MB``. Raises StorageError."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63):
        return value
    found = re.fullmatch(r"(\d{1,15}(?:\.\d+)?)(gb|mb|kb|b)?", str(value).strip().lower())
    if not found:
        raise StorageError(
            400,
            "InvalidParameter",
            "Invalid file size format, hint: use 20GB / 20MB / 30KB / 3B",
            "InvalidParameter",
        )
    return int(float(found[1]) * UNITS[found[2] or "b"])


def mime_types(value: Any) -> list[str] | None:
    """The allowed types. Raises StorageError."""
    if value is None:
        return None
    if not isinstance(value, list) or not all(
        isinstance(v, str) and re.fullmatch(r"[\w.+-]+/(\*|[\w.+-]+)|\*/\*", v) for v in value
    ):
        raise StorageError(422, "invalid_mime_type", "mime type is not valid", "InvalidMimeType")
    return [v.lower() for v in value]


def _name(value: Any) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value) or value != value.strip():
        raise StorageError(400, "Invalid Input", "Bucket name invalid", "InvalidBucketName")
    return value


async def create(objects: Objects, caller: Caller, body: dict[str, Any]) -> dict[str, Any]:
    """POST /bucket."""
    name = _name(body.get("name"))
    bucket_id = _name(body.get("id") or name)
    owner, owner_id = owner_of(caller)
    values = (
        bucket_id, name, owner, owner_id, bool(body.get("public", False)), size_limit(body.get("file_size_limit")),
        mime_types(body.get("allowed_mime_types")),
    )  # fmt: skip
    try:
        async with objects.as_caller(caller, "storage.bucket.create") as db:
            await db.execute(
                "insert into storage.buckets (id, name, owner, owner_id, public, file_size_limit, allowed_mime_types) "
                "values ($1, $2, $3, $4, $5, $6, $7)",
                *values,
            )
    except asyncpg.UniqueViolationError as error:
        raise duplicate(bucket=True) from error
    return {"name": name}


async def get(objects: Objects, caller: Caller, bucket_id: str) -> dict[str, Any]:
    """GET /bucket/{id}."""
    async with objects.as_caller(caller, "storage.bucket.get") as db:
        row = await db.fetchrow(f"{SQL} where id = $1", bucket_id)
    if row is None:
        raise no_bucket()
    return shown(row, with_type=False)


async def every(objects: Objects, caller: Caller, query: dict[str, str]) -> list[dict[str, Any]]:
    """GET /bucket."""
    column, order = query.get("sortColumn", "id"), query.get("sortOrder", "asc")
    if column not in ("id", "name", "created_at", "updated_at") or order not in ("asc", "desc"):
        raise bad_request("querystring/sortColumn must be equal to one of the allowed values")
    for name in ("limit", "offset"):
        if not query.get(name, "0").isdigit():
            raise bad_request(f"querystring/{name} must be integer")
    async with objects.as_caller(caller, "storage.bucket.list") as db:
        rows = await db.fetch(
            f"{SQL} where $1 = '' or name ilike '%' || $1 || '%' order by {column} {order} limit $2 offset $3",
            query.get("search", ""),
            int(query["limit"]) if query.get("limit") else None,
            int(query.get("offset") or 0),
        )
    return [shown(row, with_type=True) for row in rows]


async def change(objects: Objects, caller: Caller, bucket_id: str, body: dict[str, Any]) -> dict[str, str]:
    """PUT /bucket/{id}: only what is named changes."""
    changes: dict[str, Any] = {}
    if "public" in body:
        changes["public"] = bool(body["public"])
    if "file_size_limit" in body:
        changes["file_size_limit"] = size_limit(body["file_size_limit"])
    if "allowed_mime_types" in body:
        changes["allowed_mime_types"] = mime_types(body["allowed_mime_types"])
    assign = "".join(f", {name} = ${n}" for n, name in enumerate(changes, 2))
    async with objects.as_caller(caller, "storage.bucket.update") as db:
        row = await db.fetchrow(
            f"update storage.buckets set updated_at = now(){assign} where id = $1 returning id",
            bucket_id,
            *changes.values(),
        )
    if row is None:
        raise no_bucket()
    return {"message": "Successfully updated"}


async def delete(objects: Objects, caller: Caller, bucket_id: str) -> dict[str, str]:
    """DELETE /bucket/{id}, once it is empty."""
    try:
        async with objects.as_caller(caller, "storage.bucket.delete") as db:
            if not await db.fetchval("select true from storage.buckets where id = $1 for update", bucket_id):
                raise no_bucket()
            await db.execute("delete from storage.buckets where id = $1", bucket_id)
    except asyncpg.ForeignKeyViolationError as error:
        message = "The bucket you tried to delete is not empty"
        raise StorageError(409, "ResourceNotEmpty", message, "ResourceNotEmpty") from error
    return {"message": "Successfully deleted"}


async def empty(objects: Objects, caller: Caller, bucket_id: str) -> dict[str, str]:
    """POST /bucket/{id}/empty. The hosted service does it later; here it is done when the answer comes."""
    await get(objects, caller, bucket_id)
    async with objects.as_caller(caller, "storage.bucket.empty") as db:
        rows = await db.fetch("delete from storage.objects where bucket_id = $1 returning version", bucket_id)
    objects.store.delete(*(row["version"] for row in rows))
    return {"message": "Empty bucket has been queued. Completion may take up to an hour."}
