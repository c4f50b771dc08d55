"""Rows of ``storage.objects`` and ``storage.buckets``: policies are asked of PostgreSQL as the caller, always first."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stack.supabase.database import Database
from stack.supabase.pipeline import Pipeline, UniqueViolation
from stack.supabase.storage.body import About
from stack.supabase.storage.errors import StorageError
from stack.supabase.storage.files import Store, measure
from stack.supabase.tokens import Caller

KEY = re.compile(r"[A-Za-z0-9_/!.*'() &$=@;:+,?-]+")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-5][0-9a-f]{3}-[089ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE)
LONGEST_KEY = 1024  # bytes (Amazon S3, "Object key naming")
Row = dict[str, Any]
OPERATION = (
    "select set_config('storage.operation', $1, true), set_config('storage.allow_delete_query', 'true', true)"
)
SEARCH_PATH = "storage, public, extensions"
COLUMNS = (
    "name, bucket_id, coalesce(owner::text, '') as owner, coalesce(owner_id, '') as owner_id, version, id::text, "
    "updated_at, created_at, last_accessed_at, metadata, user_metadata"
)
ONE = f"select {COLUMNS} from storage.objects where bucket_id = $1 and name = $2"
INSERT = (
    "insert into storage.objects as o (bucket_id, name, owner, owner_id, version, metadata, user_metadata) "
    "values ($1, $2, $3, $4, $5, $6, $7)"
)
# An owner or metadata that nobody names stays.
OVERWRITE = (
    f"{INSERT} on conflict (bucket_id, name) do update set metadata = excluded.metadata, version = excluded.version, "
    "user_metadata = coalesce(excluded.user_metadata, o.user_metadata), owner = coalesce(excluded.owner, o.owner), "
    f"owner_id = coalesce(excluded.owner_id, o.owner_id) returning {COLUMNS}"
)
MOVE = (
    "update storage.objects set name = $3, bucket_id = $4, owner = coalesce($5, owner), owner_id = coalesce($6, owner_id), "
    "version = $7, metadata = coalesce(metadata, '{}') || $8::jsonb where bucket_id = $1 and name = $2 returning true"
)
LOCK = "select pg_advisory_xact_lock(hashtextextended($1 || '/' || $2, 0))"


def stamp(value: datetime | None) -> str | None:
    """A time as the Storage server prints it: milliseconds, Z."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if value else None


def escaped(text: str) -> str:
    """``text`` with LIKE's wildcards as letters."""
    return re.sub(r"([\\%_])", r"\\\1", text)


def owner_of(caller: Caller) -> tuple[str | None, str | None]:
    """The caller as ``owner`` (only if it is a UUID) and ``owner_id``."""
    owner_id = caller.user_id
    return owner_id if UUID.fullmatch(owner_id or "") else None, owner_id


def check_key(name: str) -> None:
    """Raise StorageError unless an object may be called so."""
    if not KEY.fullmatch(name):
        raise StorageError("InvalidKey", f"Invalid key: {name}")


@dataclass(frozen=True)
class New:
    """An object about to be: where, and whose."""

    bucket: str
    name: str
    caller: Caller
    upsert: bool

    def values(self, version: str, metadata: Row, user_metadata: Row | None) -> tuple[Any, ...]:
        """The row, for INSERT and OVERWRITE."""
        return self.bucket, self.name, *owner_of(self.caller), version, metadata, user_metadata


class Objects:
    """Objects in PostgreSQL and on disk, kept in step."""

    def __init__(self, database: Database, store: Store) -> None:
        self.database, self.store = database, store

    @asynccontextmanager
    async def as_caller(self, caller: Caller, operation: str, keep: bool = True) -> AsyncIterator[Pipeline]:
        """A transaction in which policies see the caller and the operation under way; taken back unless to ``keep``."""
        async with self.database.as_caller(caller, SEARCH_PATH, (OPERATION, (operation,)), keep=keep) as db:
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
        return row

    async def check_upload(
        self, new: New, operation: str, metadata: Row, user_metadata: Row | None = None
    ) -> None:
        """Try the write as the caller and take it back: INSERT policies are asked; to overwrite, SELECT and UPDATE too.

        Raises StorageError if it exists, PostgresError where a policy refuses.
        """
        try:
            async with self.as_caller(new.caller, operation, keep=False) as db:
                await db.fetchrow(
                    OVERWRITE if new.upsert else INSERT, *new.values("1", metadata, user_metadata)
                )
        except UniqueViolation as error:
            raise StorageError("KeyAlreadyExists") from error

    async def write(self, new: New, path: Path, about: About) -> Row:
        """Make the file at ``path`` the object's content, in one transaction; the former content is deleted after it."""
        if len(new.name.encode()) > LONGEST_KEY:
            raise StorageError("InternalError")
        version, (size, md5) = str(uuid.uuid4()), await asyncio.to_thread(measure, path)
        metadata = {
            "eTag": f'"{md5}"', "size": size, "mimetype": about.mime, "cacheControl": about.cache_control,
            "lastModified": stamp(datetime.now(UTC)), "contentLength": size, "httpStatusCode": 200,
        }  # fmt: skip
        self.store.keep(path, version)
        return await self._put(new, version, metadata, about.user_metadata)

    async def _put(self, new: New, version: str, metadata: Row, user_metadata: Row | None) -> Row:
        """Point the row at ``version``, whose bytes lie there already: they go if PostgreSQL refuses, else the old ones.

        Policies were asked before; of two who make the same object at once the later one's content stays.
        """
        try:
            async with self.database.transaction() as db:
                await db.fetchrow(LOCK, new.bucket, new.name)
                old = await db.fetchrow(ONE, new.bucket, new.name)
                row = await db.fetchrow(OVERWRITE, *new.values(version, metadata, user_metadata))
        except BaseException:
            self.store.delete(version)
            raise
        self.store.delete((old or {}).get("version"))
        return row or {}

    async def move(self, new: New, bucket: str, source: str) -> None:
        """Give an object another name: SELECT and UPDATE policies are asked. Its content becomes a new version."""
        check_key(new.name)
        version, changed = str(uuid.uuid4()), {"lastModified": stamp(datetime.now(UTC))}
        values = (bucket, source, new.name, new.bucket, *owner_of(new.caller), version, changed)
        async with self.as_caller(new.caller, "storage.object.move", keep=False) as db:
            if not await db.fetchrow(ONE, bucket, source) or not await db.fetchval(MOVE, *values):
                raise StorageError("NoSuchKey")
        old = (await self.find(None, bucket, source))["version"]
        if (bucket, source) == (new.bucket, new.name):
            return
        self._duplicate(old, version)
        try:
            async with self.database.transaction() as db:
                moved = await db.fetchval(MOVE, *values)
        except BaseException:
            self.store.delete(version)
            raise
        self.store.delete(old if moved else version)
        if not moved:
            raise StorageError("NoSuchKey")

    async def copy(self, new: New, bucket: str, source: str, changes: Row | None, about: Row | None) -> Row:
        """A second object with the same bytes: SELECT on the source and INSERT (UPDATE to overwrite) are asked.

        With ``changes`` to its metadata it gets ``about`` for its custom metadata, else the source's.
        """
        check_key(new.name)
        found = await self.find(new.caller, bucket, source, "storage.object.copy")
        metadata = {**(found["metadata"] or {}), **(changes or {})}
        custom = found["user_metadata"] if changes is None else about
        await self.check_upload(new, "storage.object.copy", metadata, custom)
        version = str(uuid.uuid4())
        self._duplicate(found["version"], version)
        return await self._put(new, version, {**metadata, "lastModified": stamp(datetime.now(UTC))}, custom)

    def _duplicate(self, version: str, as_version: str) -> None:
        try:
            self.store.duplicate(version, as_version)
        except FileNotFoundError as error:
            raise StorageError("NoSuchKey") from error

    async def remove(self, caller: Caller, bucket: str, names: list[str], operation: str) -> list[Row]:
        """Delete those that the caller may delete, and answer with them."""
        sql = f"delete from storage.objects where bucket_id = $1 and name = any($2) returning {COLUMNS}"
        async with self.as_caller(caller, operation) as db:
            rows = await db.fetch(sql, bucket, names)
        self.store.delete(*(row["version"] for row in rows))
        return rows


def full(row: Row) -> Row:
    """An object as copy, remove and lists answer with it."""
    return {name: stamp(value) if name.endswith("_at") else value for name, value in row.items()}
