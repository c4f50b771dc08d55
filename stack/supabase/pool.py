"""A small connection pool: a library's starts tasks and makes a proxy for each use, a tenth of what a request costs here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any


class Pool:
    """Up to ``size`` connections, made when first needed; the one used last is used next, its caches being warm."""

    def __init__(self, connect: Callable[[], Awaitable[Any]], size: int) -> None:
        self._connect, self._room = connect, asyncio.Semaphore(size)
        self._idle: list[Any] = []
        self._taken: set[Any] = set()

    async def take(self, patience: float) -> Any:
        """A live connection. Raises what connecting raises, or TimeoutError after ``patience`` seconds of waiting."""
        if self._room.locked():
            async with asyncio.timeout(patience):
                await self._room.acquire()
        else:
            await self._room.acquire()
        try:
            connection = next(self._live(), None) or await self._connect()
        except BaseException:
            self._room.release()
            raise
        self._taken.add(connection)
        return connection

    def _live(self) -> Any:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                yield connection

    def give(self, connection: Any) -> None:
        """Take a connection back; a closed one makes room for a new one."""
        self._taken.discard(connection)
        if not connection.is_closed():
            self._idle.append(connection)
        self._room.release()

    def close(self) -> None:
        """Cut every connection."""
        for connection in (*self._idle, *self._taken):
            connection.terminate()
