"""Rows of ``storage.objects`` and ``storage.buckets``: policies are asked of PostgreSQL as the caller, always first."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stack.supabase.database import Database
from stack.supabase.storage.body import About
from stack.supabase.storage.errors import StorageError
from stack.supabase.storage.files import Store, measure
from stack.supabase.tokens import Caller

KEY = re.compile(r"[A-Za-z0-9_/!.*'() &$=@;:+,?-]+")
Row = dict[str, Any]
OPERATION = (
    "select set_config('storage.operation', $1, true), set_config('storage.allow_delete_query', 'true', true)"
)
SILENT = About()
SEARCH_PATH = "storage, public, extensions"
COLUMNS = (
    "name, bucket_id, coalesce(owner::text, '') as owner, coalesce(owner_id, '') as owner_id, version, id::text, "
    "updated_at, created_at, last_accessed_at, metadata, user_metadata"
)
ONE = f"select {COLUMNS} from storage.objects where bucket_id = $1 and name = $2"
INSERT = (
    "insert into storage.objects (bucket_id, name, owner, owner_id, version, metadata, user_metadata) "
    "values ($1, $2, $3, $4, $5, $6, $7)"
)
OVERWRITE = (
    " on conflict (bucket_id, name) do update set metadata = excluded.metadata, version = excluded.version, "
    "user_metadata = excluded.user_metadata, owner = excluded.owner, owner_id = excluded.owner_id"
)
MOVE = (
    "update storage.objects set name = $3, bucket_id = $4, owner = coalesce($5, owner), "
    "owner_id = coalesce($6, owner_id) where bucket_id = $1 and name = $2 returning true"
)


def stamp(value: datetime | None) -> str | None:
    """A time as the Storage server prints it: milliseconds, Z."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if value else None


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
    about: About = SILENT

    def check_key(self) -> None:
        """Raise StorageError unless an object may be called so."""
        if not KEY.fullmatch(self.name) or len(self.name.encode()) > 1024:
            raise StorageError("InvalidKey", f"Invalid key: {self.name}")

    async def insert(self, db: Any, version: str, metadata: Row) -> Any:
        """The row, made or overwritten."""
        sql = f"{INSERT}{OVERWRITE if self.upsert else ''} returning {COLUMNS}"
        values = (
            self.bucket,
            self.name,
            *owner_of(self.caller),
            version,
            metadata,
            self.about.user_metadata or {},
        )
        return await db.fetchrow(sql, *values)


class Objects:
    """Objects in PostgreSQL and on disk, kept in step."""

    def __init__(self, database: Database, store: Store) -> None:
        self.database, self.store = database, store

    @asynccontextmanager
    async def as_caller(self, caller: Caller, operation: str, keep: bool = True) -> AsyncIterator[Any]:
        """A transaction in which policies see the caller and the operation under way; taken back unless to ``keep``."""
        async with self.database.as_caller(caller, SEARCH_PATH, keep) as db:
            await db.fetchrow(OPERATION, f"storage.{operation}")
            yield db

    async def bucket(self, bucket_id: str) -> Any:
        """The bucket, whoever asks. Raises StorageError."""
        async with self.database.connection() as db:
            row = await db.fetchrow("select * from storage.buckets where id = $1", bucket_id)
        if row is None:
            raise StorageError("NoSuchBucket")
        return row

    async def find(self, caller: Caller | None, bucket: str, name: str, operation: str = "") -> Row:
        """The object as ``caller`` may see it; None asks as the server itself. Raises StorageError."""
        asking = self.as_caller(caller, operation) if caller else self.database.connection()
        async with asking as db:
            row = await db.fetchrow(ONE, bucket, name)
        if row is None:
            raise StorageError("NoSuchKey")
        return dict(row)

    async def check_upload(self, new: New, operation: str, length: int | None) -> None:
        """Try the insert as the caller and take it back. Raises PostgresError where a policy refuses."""
        new.check_key()
        metadata = {"mimetype": new.about.mime} | ({} if length is None else {"contentLength": length})
        async with self.as_caller(new.caller, operation, keep=False) as db:
            await new.insert(db, "1", metadata)

    async def write(self, new: New, path: Path) -> Row:
        """Make the file at ``path`` the object's content, in one transaction; the former content is deleted after it."""
        version, (size, md5) = str(uuid.uuid4()), await asyncio.to_thread(measure, path)
        metadata = {
            "eTag": f'"{md5}"', "size": size, "mimetype": new.about.mime, "cacheControl": new.about.cache_control,
            "lastModified": stamp(datetime.now(UTC)), "contentLength": size, "httpStatusCode": 200,
        }  # fmt: skip
        self.store.keep(path, version)
        return await self._put(new, version, metadata)

    async def _put(self, new: New, version: str, metadata: Row) -> Row:
        """Point the row at ``version``, whose bytes lie there already: they go if PostgreSQL refuses, else the old ones."""
        lock = "select version from storage.objects where bucket_id = $1 and name = $2 for update"
        try:
            async with self.database.transaction() as db:
                old = await db.fetchval(lock, new.bucket, new.name)
                row = await new.insert(db, version, metadata)
        except BaseException:
            self.store.delete(version)
            raise
        self.store.delete(old)
        return dict(row)

    async def move(self, new: New, bucket: str, source: str) -> None:
        """Give an object another name: SELECT and UPDATE policies are asked."""
        new.check_key()
        async with self.as_caller(new.caller, "object.move") as db:
            values = (bucket, source, new.name, new.bucket, *owner_of(new.caller))
            if not await db.fetchrow(ONE, bucket, source) or not await db.fetchval(MOVE, *values):
                raise StorageError("NoSuchKey")

    async def copy(self, new: New, bucket: str, source: str) -> Row:
        """A second object with the same bytes: SELECT on the source and INSERT (UPDATE to overwrite) are asked."""
        found, version = await self.find(new.caller, bucket, source, "object.copy"), str(uuid.uuid4())
        metadata = {**(found["metadata"] or {}), "lastModified": stamp(datetime.now(UTC))}
        await self.check_upload(new, "object.copy", metadata.get("size"))
        try:
            self.store.duplicate(found["version"], version)
        except FileNotFoundError as error:
            raise StorageError("NoSuchKey") from error
        return await self._put(
            replace(new, about=About(user_metadata=found["user_metadata"])), version, metadata
        )

    async def remove(self, caller: Caller, bucket: str, names: list[str]) -> list[Row]:
        """Delete those that the caller may delete, and answer with them."""
        sql = f"delete from storage.objects where bucket_id = $1 and name = any($2) returning {COLUMNS}"
        async with self.as_caller(caller, "object.delete_many") as db:
            rows = await db.fetch(sql, bucket, names)
        self.store.delete(*(row["version"] for row in rows))
        return [dict(row) for row in rows]


def full(row: Row) -> Row:
    """An object as copy and remove answer with it."""
    return {name: stamp(value) if name.endswith("_at") else value for name, value in row.items()}


def listed(row: Row) -> Row:
    """An object, or a folder with nulls, as lists show it."""
    names = ("name", "id", "updated_at", "created_at", "last_accessed_at", "metadata")
    return full({name: row[name] for name in names})
