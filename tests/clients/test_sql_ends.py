"""The SQL witness waits for no answer without end: a server that is silent or drips after the query."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from clients import http
from clients.sql import Sql
from core.errors import ServiceError
from core.permit import EVERYTHING, Permit

READY = b"R" + struct.pack("!ii", 8, 0) + b"Z" + struct.pack("!i", 5) + b"I"


class Database:
    """Lets everybody in as PostgreSQL does, and then sends `drop` again and again."""

    def __init__(self, drop: bytes) -> None:
        self._drop = drop
        self.over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.dsn = f"postgresql://u:p@127.0.0.1:{self._listener.getsockname()[1]}/x?sslmode=disable&gssencmode=disable"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while not self.over.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._speak, args=(client,), daemon=True).start()

    def _speak(self, client: socket.socket) -> None:
        with client:
            client.recv(65536)
            client.sendall(READY)
            client.recv(65536)
            try:
                while not self.over.wait(0.02):
                    client.sendall(self._drop)
            except OSError:
                return  # the client has had enough

    def close(self) -> None:
        self.over.set()
        self._listener.close()


NOTICE = b"N" + struct.pack("!i", 4 + 9) + b"SNOTICE\0\0"
ROWS = b"T" + struct.pack("!ih", 6, 0) + b"D" + struct.pack("!ih", 6, 0)


@pytest.fixture(params=[b"", b"N", NOTICE, ROWS], ids=["silence", "part", "notices", "rows"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    served = Database(request.param)
    yield served
    served.close()


def test_a_statement_without_end_ends(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "TOTAL", 0.4)
    sql = Sql(database.dsn, Permit(EVERYTHING, frozenset({"127.0.0.1"})))
    with pytest.raises(ServiceError, match=r"^supabase\.database: SQL "):
        sql.rows("select 1")
    sql.close()
