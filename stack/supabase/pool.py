"""A small connection pool. asyncpg's own starts two tasks and a proxy for each use, a tenth of what a request costs here."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any


class Pool:
    """Up to ``size`` connections, made when first needed; the one used last is used next, its caches being warm."""

    def __init__(self, connect: Callable[[], Awaitable[Any]], size: int) -> None:
        self._connect, self._size = connect, size
        self._idle: list[Any] = []
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._open: set[Any] = set()
        self._made = 0

    async def take(self, patience: float) -> Any:
        """A live connection. Raises what connecting raises, or TimeoutError after ``patience`` seconds of waiting."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
            self._lose(connection)
        if self._made < self._size:
            return await self._make()
        turn: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(patience):
                connection = await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and turn.result() is not None:
                self.give(turn.result())
            raise
        return connection if connection is not None else await self._make()

    def give(self, connection: Any) -> None:
        """Take a connection back; a closed one makes room for a new one."""
        if connection.is_closed():
            self._lose(connection)
            self._wake(None)
        elif not self._wake(connection):
            self._idle.append(connection)

    def close(self) -> None:
        """Cut every connection."""
        for connection in self._open:
            connection.terminate()

    async def _make(self) -> Any:
        self._made += 1
        try:
            connection = await self._connect()
        except BaseException:
            self._made -= 1
            self._wake(None)
            raise
        self._open.add(connection)
        return connection

    def _lose(self, connection: Any) -> None:
        self._open.discard(connection)
        self._made -= 1

    def _wake(self, connection: Any) -> bool:
        """Hand ``connection``, or the room for a new one (None), to whoever has waited longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(connection)
                return True
        return False
