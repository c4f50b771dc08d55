"""Connections to PostgreSQL and the one way a request uses them: a transaction with a role and its claims."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from stack.supabase.gauges import Gauges
from stack.supabase.pipeline import Pipeline, Statement
from stack.supabase.tokens import Caller

ACQUIRE_TIMEOUT_S = 10.0

AS_CALLER = (
    "select set_config('search_path',$1,true),set_config('role',$2,true),set_config('request.jwt.claims',$3,true),"
    "set_config('request.headers','{}',true),set_config('statement_timeout','30s',true)"
)


class Unavailable(Exception):
    """PostgreSQL cannot be reached, or went away in mid-request."""


class Database:
    """Up to ``size`` connections, made when first needed; the one used last is used next, its caches being warm.

    With ``role`` each takes on that role, the DSN being an administrator's.

    A library's pool starts tasks and makes a proxy for each use, a tenth of what a request costs here.
    """

    def __init__(
        self, dsn: str, gauges: Gauges, size: int, role: str | None = None, search_path: str = ""
    ) -> None:
        self._dsn, self._gauges, self._name = dsn, gauges, f"supabase-{role or 'rest'}"
        self._settings = {"role": role, "search_path": search_path, "timezone": "UTC"} if role else {}
        self._room = asyncio.Semaphore(size)
        self._idle: list[Pipeline] = []
        self._taken: set[Pipeline] = set()

    async def connect(self, woken: Callable[[], None] | None = None) -> Pipeline:
        """A connection of its own, outside the pool; ``woken`` is told of its notifications and of its end."""
        return await Pipeline.connect(self._dsn, self._name, woken, **self._settings)

    def close(self) -> None:
        """Cut every connection."""
        for connection in (*self._idle, *self._taken):
            connection.terminate()

    async def _take(self) -> Pipeline:
        """A live connection. Raises what connecting raises, or TimeoutError."""
        if self._room.locked():
            async with asyncio.timeout(ACQUIRE_TIMEOUT_S):
                await self._room.acquire()
        else:
            await self._room.acquire()
        try:
            while self._idle and self._idle[-1].is_closed():
                self._idle.pop()
            connection = self._idle.pop() if self._idle else await self.connect()
        except BaseException:
            self._room.release()
            raise
        self._taken.add(connection)
        return connection

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Pipeline]:
        """A connection outside any transaction. Raises Unavailable."""
        began = time.monotonic()
        try:
            connection = await self._take()
        except (OSError, TimeoutError) as error:
            raise Unavailable(str(error) or type(error).__name__) from error
        self._gauges.pool_wait(time.monotonic() - began)
        try:
            yield connection
        except ConnectionError as error:
            connection.terminate()
            raise Unavailable(str(error)) from error
        finally:
            if not connection.is_closed() and connection.is_in_transaction():
                connection.terminate()  # cancelled between two statements: what it would answer is unknown
            self._taken.discard(connection)
            if not connection.is_closed():
                self._idle.append(connection)
            self._room.release()

    @asynccontextmanager
    async def transaction(self, *first: Statement, keep: bool = True) -> AsyncIterator[Pipeline]:
        """A connection in a transaction that begins with ``first``, committed unless an exception leaves the block or it
        is not to be kept.
        """
        async with self.connection() as connection:
            try:
                await connection.run(("begin", ()), *first)
                yield connection
            except Exception:
                if not connection.is_closed():
                    await connection.run(("rollback", ()))
                raise
            await connection.run(("commit" if keep else "rollback", ()))

    @asynccontextmanager
    async def as_caller(
        self, caller: Caller, search_path: str, *first: Statement, keep: bool
    ) -> AsyncIterator[Pipeline]:
        """A transaction in which the database sees ``caller``: role and ``request.jwt.claims``."""
        settings = (AS_CALLER, (search_path, caller.role, caller.claims_json))
        async with self.transaction(settings, *first, keep=keep) as connection:
            yield connection
