"""Connections to PostgreSQL and the one way a request uses them: a transaction with a role and its claims."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from stack.supabase.gauges import Gauges
from stack.supabase.pipeline import Pipeline
from stack.supabase.pool import Pool
from stack.supabase.tokens import Caller

ACQUIRE_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5.0

AS_CALLER = (
    "select set_config('search_path',$1,true),set_config('role',$2,true),set_config('request.jwt.claims',$3,true),"
    "set_config('request.headers','{}',true),set_config('statement_timeout','30s',true)"
)


class Unavailable(Exception):
    """PostgreSQL cannot be reached, or went away in mid-request."""


# What asyncpg says when it is gone; InternalClientError, when a goodbye of the server came between two of our messages.
GONE = (
    OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError,
    asyncpg.AdminShutdownError, asyncpg.CrashShutdownError, asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError,
)  # fmt: skip


class Database:
    """One pool. With ``role``, which a connection of an administrator's DSN takes on, it is asyncpg's and jsonb arrives as
    Python values (Auth, Storage); without one its connections are Pipelines (REST).
    """

    def __init__(
        self, dsn: str, gauges: Gauges, size: int, role: str | None = None, search_path: str | None = None
    ) -> None:
        self._dsn, self._gauges, self._role = dsn, gauges, role
        settings = {"application_name": f"supabase-{role}", "role": role, "search_path": search_path}
        self._settings = {name: value for name, value in settings.items() if value}
        self._pool = Pool(self.connect, size)

    async def connect(self, woken: Callable[[], None] | None = None) -> Any:
        """A connection of its own, outside the pool; ``woken`` is told of a Pipeline's notifications and of its end."""
        if self._role is None:
            return await Pipeline.connect(self._dsn, "supabase-rest", woken)
        made = await asyncpg.connect(self._dsn, server_settings=self._settings, timeout=CONNECT_TIMEOUT_S)
        await made.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
        return made

    def close(self) -> None:
        """Cut every connection."""
        self._pool.close()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """A connection outside any transaction. Raises Unavailable."""
        began = time.monotonic()
        try:
            connection = await self._pool.take(ACQUIRE_TIMEOUT_S)
        except (*GONE, TimeoutError) as error:
            raise Unavailable(str(error) or type(error).__name__) from error
        self._gauges.pool_wait(time.monotonic() - began)
        try:
            yield connection
        except GONE as error:
            if isinstance(error, asyncpg.InterfaceError) and not connection.is_closed():
                raise
            connection.terminate()
            raise Unavailable(str(error)) from error
        finally:
            if not connection.is_closed() and connection.is_in_transaction():
                connection.terminate()  # cancelled between two statements: what it would answer is unknown
            self._pool.give(connection)

    @asynccontextmanager
    async def transaction(self, keep: bool = True) -> AsyncIterator[Any]:
        """A connection in a transaction, committed unless an exception leaves the block or it is not to be kept."""
        async with self.connection() as connection:
            await connection.execute("BEGIN")
            try:
                yield connection
            except Exception:
                if not connection.is_closed():
                    await connection.execute("ROLLBACK")
                raise
            await connection.execute("COMMIT" if keep else "ROLLBACK")

    @asynccontextmanager
    async def as_caller(self, caller: Caller, search_path: str, keep: bool) -> AsyncIterator[Any]:
        """A transaction in which the database sees ``caller``: role and ``request.jwt.claims``."""
        async with self.transaction(keep) as connection:
            await connection.fetchrow(AS_CALLER, search_path, caller.role, caller.claims_json)
            yield connection
