"""A server that answers every request in one strange way, and a run whose services all live there."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from clients.services import catalogue
from core.run import Run
from core.target import resolve

HTML = b"<!doctype html><html><body>It works!</body></html>"
STRANGE = {
    "html": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(HTML) + HTML,
    "bad gateway": b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nnginx",
    "cut": b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"half": ',
    "redirect": b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere.example/\r\nContent-Length: 0\r\n\r\n",
    "nothing": b"",
}
"""What the server sends before it closes; `silence` and `huge` are done by hand."""
KINDS = (*STRANGE, "silence", "huge")


class StrangeServer:
    """One thread a connection; each request gets the same strange answer."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(5)
            connection.recv(65536)
            if self.kind == "silence":
                self._over.wait(20)
            elif self.kind == "huge":
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                )
                block = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
                while not self._over.is_set():
                    connection.sendall(block)
            else:
                connection.sendall(STRANGE[self.kind])
                connection.shutdown(socket.SHUT_WR)
                connection.recv(65536)

    def close(self) -> None:
        self._over.set()
        self._listener.close()


def environment(port: int) -> dict[str, str]:
    """Every service's variables, all leading to one port."""
    base = f"http://127.0.0.1:{port}"
    values = {}
    for service in catalogue():
        for variable in service.variables:
            if variable.name == "SUPABASE_DB_URL":
                values[variable.name] = f"postgresql://u:p@127.0.0.1:{port}/x"
            elif variable.name == "SENTRY_DSN":
                values[variable.name] = f"http://{'a' * 32}@127.0.0.1:{port}/1"
            else:
                values[variable.name] = base if variable.url else "x" * 32
    return values


@contextlib.contextmanager
def strange_run(kind: str, folder: Path) -> Iterator[Run]:
    server = StrangeServer(kind)
    target = resolve("embedded", catalogue(), environment=environment(server.port))
    run = Run.begin(folder / f"run-{int(time.time())}", target, "test")
    try:
        yield run
    finally:
        server.close()
        run.journal.close()
