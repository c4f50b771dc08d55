"""Connections to PostgreSQL: libpq in pipeline mode, so that a REST request's whole transaction is one round trip.

A pipeline up to its Sync is one implicit transaction (PostgreSQL documentation, "Pipelining"): settings and query go out
together, and what fails takes everything back. Values travel in text form; PostgreSQL reads each as what it is cast to.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import selectors
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import psycopg
from psycopg.adapt import Transformer
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus, TransactionStatus

STATEMENTS_KEPT = 500
CONNECT_TIMEOUT_S = 5
GOING = ("57P01", "57P02", "57P03", "08006", "08003")
Statement = tuple[str, Sequence[str | None]]


class SqlError(Exception):
    """PostgreSQL refused a statement. Nothing of its pipeline was kept."""

    def __init__(
        self, sqlstate: str, message: str, detail: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.sqlstate, self.message, self.detail, self.hint = sqlstate, message, detail, hint


class UniqueViolation(SqlError):
    """The row exists already."""


class DataError(SqlError):
    """A value that no column can hold."""


KINDS: dict[str, type[SqlError]] = {"23505": UniqueViolation}


class _Sockets:
    """Watches every connection's socket, by a selector of its own.

    libuv, and so uvloop, stops watching a socket that is in error, as after PostgreSQL crashed, and calls no reader.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._selector = selectors.DefaultSelector()
        loop.add_reader(self._selector, self._ready)

    def watch(self, socket: int, ready: Callable[[], None]) -> None:
        """Call ``ready`` whenever there is something to read."""
        self._selector.register(socket, selectors.EVENT_READ, ready)

    def writing(self, socket: int, on: bool) -> None:
        """Call it also whenever there is room to write."""
        key = self._selector.get_key(socket)
        self._selector.modify(socket, selectors.EVENT_READ | selectors.EVENT_WRITE * on, key.data)

    def forget(self, socket: int) -> None:
        """Watch it no more."""
        with contextlib.suppress(KeyError, ValueError, OSError):  # closed already by libpq
            self._selector.unregister(socket)

    def _ready(self) -> None:
        for key, _ in self._selector.select(0):
            key.data()


_sockets = functools.cache(_Sockets)


class Pipeline:
    """One connection; one request at a time."""

    def __init__(
        self, connection: psycopg.AsyncConnection[Any], woken: Callable[[], None] | None = None
    ) -> None:
        self._owner, self._pg, self._woken = connection, connection.pgconn, woken
        self._reader = Transformer(connection)
        self._loop = asyncio.get_running_loop()
        self._watcher = _sockets(self._loop)
        self._known: dict[str, bytes] = {}
        self._prepared, self._unsent = 0, False
        self._turn: asyncio.Future[list[Any]] | None = None
        self._results: list[Any] = []
        self._socket = self._pg.socket
        self._pg.nonblocking = 1
        self._pg.enter_pipeline_mode()
        self._watcher.watch(self._socket, self._ready)

    @classmethod
    async def connect(
        cls, dsn: str, name: str, woken: Callable[[], None] | None = None, **settings: str
    ) -> Pipeline:
        """Connect. ``woken`` is called when PostgreSQL notifies, or closes the connection. Raises ConnectionError."""
        options = " ".join(f"-c {setting}={value}" for setting, value in settings.items())
        try:
            made = await psycopg.AsyncConnection.connect(
                dsn,
                autocommit=True,
                application_name=name,
                connect_timeout=CONNECT_TIMEOUT_S,
                options=options,
            )
        except psycopg.OperationalError as error:
            raise ConnectionError(str(error)) from error
        return cls(made, woken)

    def is_closed(self) -> bool:
        """Whether it can be used no more."""
        return self._pg.status != ConnStatus.OK

    def is_in_transaction(self) -> bool:
        """Whether a transaction was begun and not ended, or an answer is still owed."""
        return self._turn is not None or self._pg.transaction_status != TransactionStatus.IDLE

    def terminate(self) -> None:
        """Cut it."""
        if self._socket >= 0:
            self._watcher.forget(self._socket)
            self._socket = -1
            self._pg.finish()
            self._wake(None)

    async def run(self, *statements: Statement) -> list[Any]:
        """Execute all in one go; their results in order. Raises SqlError, or ConnectionError if PostgreSQL went away."""
        encoded = [[None if v is None else _text(v) for v in values] for _, values in statements]
        try:
            fresh = self._send([text for text, _ in statements], encoded)
            self._turn = self._loop.create_future()
            self._flush()
            results = await self._turn
        except psycopg.Error as error:
            self.terminate()
            raise ConnectionError(str(error)) from error
        except BaseException:
            self.terminate()
            raise
        failed = next((r for r in results if r.status == ExecStatus.FATAL_ERROR), None)
        if failed is None and not self.is_closed():
            return [r for r in results if r.status == ExecStatus.TUPLES_OK]
        for text in fresh:
            self._known.pop(text, None)
        raise self._error(failed)

    async def execute(self, sql: str, *values: Any) -> None:
        """Execute one statement. Raises as ``run``."""
        await self.run((sql, [plain(value) for value in values]))

    async def fetch(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """One statement's rows, by column, as Python values: jsonb as what it holds. Raises as ``run``."""
        result, *_ = await self.run((sql, [plain(value) for value in values])) or [None]
        if result is None:
            return []
        names = [(result.fname(n) or b"").decode() for n in range(result.nfields)]
        self._reader.set_pgresult(result)
        return self._reader.load_rows(0, result.ntuples, lambda row: dict(zip(names, row, strict=True)))

    async def fetchrow(self, sql: str, *values: Any) -> dict[str, Any] | None:
        """The first row, or None."""
        return next(iter(await self.fetch(sql, *values)), None)

    async def fetchval(self, sql: str, *values: Any) -> Any:
        """The first column of the first row, or None."""
        return next(iter((await self.fetchrow(sql, *values) or {}).values()), None)

    def _send(self, texts: list[str], encoded: list[list[bytes | None]]) -> list[str]:
        fresh = []
        if len(self._known) > STATEMENTS_KEPT:
            self._known.clear()
            self._pg.send_query_params(b"DEALLOCATE ALL", None)
        for text, values in zip(texts, encoded, strict=True):
            name = self._known.get(text)
            if name is None:
                self._prepared += 1
                name = self._known[text] = b"s%d" % self._prepared
                self._pg.send_prepare(name, text.encode())
                fresh.append(text)
            self._pg.send_query_prepared(name, values)
        self._pg.pipeline_sync()
        return fresh

    def _error(self, failed: Any) -> Exception:
        if failed is None or self.is_closed():
            self.terminate()
            return ConnectionError("PostgreSQL closed the connection")
        state, message, detail, hint = (
            (failed.error_field(f) or b"").decode("utf-8", "replace") or None
            for f in (DiagnosticField.SQLSTATE, DiagnosticField.MESSAGE_PRIMARY, DiagnosticField.MESSAGE_DETAIL,
                      DiagnosticField.MESSAGE_HINT)
        )  # fmt: skip
        stale = "cached plan" in (
            message or ""
        )  # a table has other columns than when its statement was prepared
        if state is None or state in GOING or stale:
            self.terminate()
            return ConnectionError(message or "PostgreSQL is going away")
        kind = KINDS.get(state, DataError if state.startswith("22") else SqlError)
        return kind(state, message or "", detail, hint)

    def _flush(self) -> None:
        unsent = bool(self._pg.flush())
        if unsent is not self._unsent:
            self._unsent = unsent
            self._watcher.writing(self._socket, unsent)

    def _ready(self) -> None:
        if self._socket < 0:
            return  # cut by what another socket of the same batch brought
        try:
            if self._unsent:
                self._flush()
            self._pg.consume_input()
            while self._turn and not self._pg.is_busy():
                result = self._pg.get_result()
                if result is None:
                    if self.is_closed():
                        break
                    continue
                if result.status == ExecStatus.PIPELINE_SYNC:
                    return self._wake(self._results)
                self._results.append(result)
            if self._pg.notifies() and self._woken:
                self._woken()
        except psycopg.Error:
            self.terminate()
        if self.is_closed():
            self.terminate()

    def _wake(self, results: list[Any] | None) -> None:
        turn, self._turn, self._results = self._turn, None, []
        if turn and not turn.done():
            turn.set_result(results or [])
        if results is None and self._woken:
            self._woken()


def plain(value: Any) -> str | None:
    """A Python value in PostgreSQL's text form: a dictionary as JSON, a list as an array of its items."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict):
        return json.dumps(value)
    if isinstance(value, list | tuple | set):
        return f"{{{','.join(_item(plain(item)) for item in value)}}}"
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _item(text: str | None) -> str:
    """One item of an array (PostgreSQL documentation, "Array Input and Output Syntax")."""
    if text is None:
        return "NULL"
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"'


def _text(value: str) -> bytes:
    """A value for libpq, which would end it at a NUL. Raises SqlError as PostgreSQL itself would."""
    if "\0" in value:
        raise DataError("22021", 'invalid byte sequence for encoding "UTF8": 0x00')
    return value.encode()
