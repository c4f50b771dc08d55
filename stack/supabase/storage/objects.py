"""Rows of ``storage.objects`` and ``storage.buckets``: policies are asked of PostgreSQL as the caller, always first."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from stack.supabase.database import Database
from stack.supabase.storage.errors import bad_key, no_bucket, no_object
from stack.supabase.storage.files import Store, Written
from stack.supabase.tokens import Caller

KEY = re.compile(r"[A-Za-z0-9_/!.*'() &$=@;:+,?-]+")
SEARCH_PATH = "storage, public, extensions"
COLUMNS = (
    "id::text, bucket_id, name, owner::text, owner_id, version, metadata, user_metadata, "
    "created_at, updated_at, last_accessed_at"
)


def stamp(value: datetime | None) -> str | None:
    """A time as the Storage server prints it: milliseconds, Z."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if value else None


def check_key(key: str) -> str:
    """``key`` if an object may be called so. Raises StorageError."""
    if not KEY.fullmatch(key) or len(key.encode()) > 1024:
        raise bad_key(key)
    return key


def owner_of(caller: Caller) -> tuple[str | None, str | None]:
    """The caller as ``owner`` (only if it is a UUID) and ``owner_id``."""
    owner_id = caller.user_id
    try:
        return str(uuid.UUID(owner_id or "")), owner_id
    except ValueError:
        return None, owner_id


@dataclass(frozen=True)
class New:
    """An object about to be: what the policies may look at, and what is stored."""

    bucket: str
    name: str
    caller: Caller
    upsert: bool
    mime: str
    cache_control: str
    user_metadata: dict[str, Any] | None


class Objects:
    """Objects in PostgreSQL and on disk, kept in step."""

    def __init__(self, database: Database, store: Store) -> None:
        self.database, self.store = database, store

    @asynccontextmanager
    async def as_caller(self, caller: Caller, operation: str) -> AsyncIterator[Any]:
        """A transaction in which policies see the caller and the operation under way."""
        async with self.database.as_caller(caller, SEARCH_PATH) as db:
            await db.fetchrow(
                "select set_config('storage.operation', $1, true), set_config('storage.allow_delete_query', 'true', true)",
                operation,
            )
            yield db

    async def bucket(self, bucket_id: str) -> Any:
        """The bucket, whoever asks. Raises StorageError."""
        async with self.database.connection() as db:
            row = await db.fetchrow("select * from storage.buckets where id = $1", bucket_id)
        if row is None:
            raise no_bucket()
        return row

    async def find(self, caller: Caller | None, bucket: str, name: str, operation: str) -> dict[str, Any]:
        """The object as ``caller`` may see it; None asks as the server itself. Raises StorageError."""
        sql = f"select {COLUMNS} from storage.objects where bucket_id = $1 and name = $2"
        if caller is None:
            async with self.database.connection() as db:
                row = await db.fetchrow(sql, bucket, name)
        else:
            async with self.as_caller(caller, operation) as db:
                row = await db.fetchrow(sql, bucket, name)
        if row is None:
            raise no_object()
        return dict(row)

    async def check_upload(self, new: New, operation: str, length: int | None) -> None:
        """Try the insert as the caller and take it back: a policy's refusal comes before any byte is read."""
        check_key(new.name)
        owner, owner_id = owner_of(new.caller)
        on_conflict = (
            " on conflict (bucket_id, name) do update set metadata = excluded.metadata, user_metadata = "
            "excluded.user_metadata, "
            "version = excluded.version, owner = excluded.owner, owner_id = excluded.owner_id"
        )
        sql = (
            "insert into storage.objects (bucket_id, name, owner, owner_id, version, metadata, user_metadata) "
            "values ($1, $2, $3, $4, '1', $5, $6)" + (on_conflict if new.upsert else "")
        )
        metadata = {"mimetype": new.mime} | ({"contentLength": length} if length is not None else {})
        async with self._taken_back(new.caller, operation) as db:
            await db.execute(sql, new.bucket, new.name, owner, owner_id, metadata, new.user_metadata)

    @asynccontextmanager
    async def _taken_back(self, caller: Caller, operation: str) -> AsyncIterator[Any]:
        try:
            async with self.as_caller(caller, operation) as db:
                yield db
                raise _Undo
        except _Undo:
            return

    async def write(self, new: New, written: Written) -> dict[str, Any]:
        """Make ``written`` the object's content, in one transaction; the former content is deleted after it."""
        owner, owner_id = owner_of(new.caller)
        version, at = str(uuid.uuid4()), stamp(datetime.now(UTC))
        metadata = {
            "eTag": f'"{written.md5}"', "size": written.size, "mimetype": new.mime, "cacheControl": new.cache_control,
            "lastModified": at, "contentLength": written.size, "httpStatusCode": 200,
        }  # fmt: skip
        try:
            self.store.keep(written, version)
            async with self.database.transaction() as db:
                old = await db.fetchval(
                    "select version from storage.objects where bucket_id = $1 and name = $2 for update",
                    new.bucket,
                    new.name,
                )
                row = await db.fetchrow(
                    "insert into storage.objects (bucket_id, name, owner, owner_id, version, metadata, user_metadata) "
                    "values ($1, $2, $3, $4, $5, $6, $7)"
                    + (" on conflict (bucket_id, name) do update set metadata = excluded.metadata, "
                       "version = excluded.version, "
                       "user_metadata = excluded.user_metadata, owner = excluded.owner, owner_id = excluded.owner_id"
                       if new.upsert else "")
                    + f" returning {COLUMNS}",
                    new.bucket, new.name, owner, owner_id, version, metadata, new.user_metadata or {},
                )  # fmt: skip
        except BaseException:
            self.store.delete(version)
            self.store.discard(written)
            raise
        self.store.delete(old)
        return dict(row)

    async def move(
        self, caller: Caller, bucket: str, source: str, to_bucket: str, target: str
    ) -> dict[str, Any]:
        """Give an object another name: SELECT and UPDATE policies are asked."""
        check_key(target)
        sql = (
            "update storage.objects set name = $3, bucket_id = $4, owner = coalesce($5, owner), owner_id "
            "= coalesce($6, owner_id) "
            f"where bucket_id = $1 and name = $2 returning {COLUMNS}"
        )
        owner, owner_id = owner_of(caller)
        async with self.as_caller(caller, "storage.object.move") as db:
            seen = await db.fetchval(
                "select true from storage.objects where bucket_id = $1 and name = $2", bucket, source
            )
            row = await db.fetchrow(sql, bucket, source, target, to_bucket, owner, owner_id) if seen else None
        if row is None:
            raise no_object()
        return dict(row)

    async def copy(self, new: New, bucket: str, source: str, copy_metadata: bool) -> dict[str, Any]:
        """A second object with the same bytes: SELECT on the source and INSERT (UPDATE to overwrite) are asked."""
        check_key(new.name)
        found = await self.find(new.caller, bucket, source, "storage.object.copy")
        metadata = dict(found["metadata"] or {})
        if not copy_metadata:
            metadata |= {
                "mimetype": new.mime or metadata.get("mimetype"),
                "cacheControl": new.cache_control or metadata.get("cacheControl"),
            }
        await self.check_upload(new, "storage.object.copy", metadata.get("size"))
        version = str(uuid.uuid4())
        metadata["lastModified"] = stamp(datetime.now(UTC))
        owner, owner_id = owner_of(new.caller)
        user_metadata = found["user_metadata"] if copy_metadata else new.user_metadata
        try:
            self.store.duplicate(found["version"], version)
            async with self.database.transaction() as db:
                old = await db.fetchval(
                    "select version from storage.objects where bucket_id = $1 and name = $2 for update",
                    new.bucket,
                    new.name,
                )
                row = await db.fetchrow(
                    "insert into storage.objects (bucket_id, name, owner, owner_id, version, metadata, user_metadata) "
                    "values ($1, $2, $3, $4, $5, $6, $7) on conflict (bucket_id, name) do update set "
                    "metadata = excluded.metadata, "
                    f"version = excluded.version, user_metadata = excluded.user_metadata returning {COLUMNS}",
                    new.bucket,
                    new.name,
                    owner,
                    owner_id,
                    version,
                    metadata,
                    user_metadata,
                )
        except FileNotFoundError as error:
            raise no_object() from error
        except BaseException:
            self.store.delete(version)
            raise
        self.store.delete(old)
        return dict(row)

    async def remove(self, caller: Caller, bucket: str, names: list[str]) -> list[dict[str, Any]]:
        """Delete those that the caller may delete, and answer with them."""
        async with self.as_caller(caller, "storage.object.delete_many") as db:
            rows = await db.fetch(
                f"delete from storage.objects where bucket_id = $1 and name = any($2) returning {COLUMNS}",
                bucket,
                names,
            )
        self.store.delete(*(row["version"] for row in rows))
        return [dict(row) for row in rows]


class _Undo(Exception):
    """Leaves a transaction that is not to be kept."""


def full(row: dict[str, Any]) -> dict[str, Any]:
    """An object as move, copy and remove answer with it."""
    return {
        "name": row["name"], "bucket_id": row["bucket_id"], "owner": row["owner"] or "", "owner_id": row["owner_id"] or "",
        "version": row["version"], "id": row["id"], "updated_at": stamp(row["updated_at"]),
        "created_at": stamp(row["created_at"]), "last_accessed_at": stamp(row["last_accessed_at"]),
        "metadata": row["metadata"], "user_metadata": row["user_metadata"],
    }  # fmt: skip


def listed(row: dict[str, Any]) -> dict[str, Any]:
    """An object, or a folder with nulls, as lists show it."""
    times = {k: stamp(row[k]) for k in ("updated_at", "created_at", "last_accessed_at")}
    return {"name": row["name"], "id": row["id"], **times, "metadata": row["metadata"]}
