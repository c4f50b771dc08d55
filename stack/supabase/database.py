"""Connections to PostgreSQL and the one way a request uses them: a transaction with a role and its claims."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from stack.supabase.gauges import Gauges
from stack.supabase.tokens import Caller

ACQUIRE_TIMEOUT_S = 10.0

# PostgREST docs, "Transactions": role and settings first, in a statement of their own, the query after. The user-defined
# settings are transaction-local, so a connection goes back to the pool as it came.
AS_CALLER = (
    "select set_config('search_path',$1,true),set_config('role',$2,true),set_config('request.jwt.claims',$3,true),"
    "set_config('request.method',$4,true),set_config('request.path',$5,true),set_config('request.headers',$6,true)"
)


class Unavailable(Exception):
    """PostgreSQL cannot be reached, or went away in mid-request."""


class _Connection(asyncpg.Connection):
    """Every setting is made transaction-local, so the pool's reset query (one more round trip) has nothing to do."""

    def get_reset_query(self) -> str:
        return ""


async def _read_json(connection: Any) -> None:
    """Let jsonb columns arrive as Python values, on the connections that read rows and not ready-made JSON."""
    await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")


class Database:
    """One pool. ``role`` is taken on connection, for an administrator's DSN that acts as a service's own role."""

    def __init__(
        self, dsn: str, gauges: Gauges, size: int, role: str | None = None, search_path: str | None = None
    ) -> None:
        self._dsn, self._gauges, self._size = dsn, gauges, size
        self._settings = {"application_name": f"supabase-{role or 'rest'}"}
        if role:
            self._settings["role"] = role
        if search_path:
            self._settings["search_path"] = search_path
        self._pool: Any = None

    async def open(self) -> None:
        """Connect."""
        self._pool = await asyncpg.create_pool(
            self._dsn,
            min_size=min(2, self._size),
            max_size=self._size,
            connection_class=_Connection,
            server_settings=self._settings,
            statement_cache_size=500,
            timeout=5,
            max_inactive_connection_lifetime=0,
            init=_read_json if self._settings.get("role") else None,
        )

    async def close(self) -> None:
        """Drop every connection."""
        if self._pool:
            self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """A connection outside any transaction. Raises Unavailable."""
        began = time.monotonic()
        try:
            connection = await self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S)
        except (
            OSError,
            TimeoutError,
            asyncpg.InterfaceError,
            asyncpg.PostgresConnectionError,
            asyncpg.CannotConnectNowError,
            asyncpg.TooManyConnectionsError,
        ) as error:
            raise Unavailable(str(error) or type(error).__name__) from error
        self._gauges.pool_wait(time.monotonic() - began)
        try:
            yield connection
        except (
            asyncpg.PostgresConnectionError,
            asyncpg.InterfaceError,
            asyncpg.AdminShutdownError,
            asyncpg.CrashShutdownError,
            ConnectionError,
        ) as error:
            raise Unavailable(str(error)) from error
        finally:
            await self._pool.release(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """A connection in a transaction, committed unless an exception leaves the block."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def as_caller(
        self,
        caller: Caller,
        search_path: str,
        method: str = "",
        path: str = "",
        headers: str = "{}",
        read_only: bool = False,
    ) -> AsyncIterator[Any]:
        """A transaction in which the database sees ``caller``: role, ``request.jwt.claims`` and the request."""
        async with self.connection() as connection, connection.transaction(readonly=read_only):
            await connection.fetchrow(
                AS_CALLER, search_path, caller.role, caller.claims_json, method, path, headers
            )
            yield connection
