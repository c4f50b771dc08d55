"""A recording proxy before one origin: passes everything on, and remembers each request's line and headers."""

from __future__ import annotations

import re
import socket
import threading
from urllib.parse import urlsplit

_HEAD = re.compile(rb"([A-Z]{3,7}) (\S+) HTTP/1\.1\r\n((?:[^\r\n]+\r\n)*)\r\n")


class RecordingProxy:
    """Listens on a port of its own. `requests` are (method, path, headers in small letters)."""

    def __init__(self, origin: str) -> None:
        parts = urlsplit(origin)
        self._to = (parts.hostname or "", parts.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.connections = 0
        self.requests: list[tuple[str, str, str]] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def of(self, method: str, path: str = "") -> list[str]:
        """Paths of requests with this method (`*` for any) whose path holds `path`."""
        return [p for m, p, _ in self.requests if method in ("*", m) and path in p]

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._to, timeout=30)
            server.settimeout(None)
        except OSError:
            client.close()
            return
        back = threading.Thread(target=_pass, args=(server, client, lambda data: None), daemon=True)
        back.start()
        kept = bytearray()

        def see(data: bytes) -> None:
            kept.extend(data)
            end = 0
            for head in _HEAD.finditer(bytes(kept)):
                method, path, headers = (part.decode("latin-1") for part in head.groups())
                self.requests.append((method, path, headers.lower()))
                end = head.end()
            del kept[: max(end, len(kept) - 20_000)]

        _pass(client, server, see)
        back.join()
        client.close()
        server.close()

    def close(self) -> None:
        """Takes no further connection."""
        self._listener.close()


def _pass(one: socket.socket, other: socket.socket, see: object) -> None:
    try:
        while data := one.recv(65536):
            see(data)  # type: ignore[operator]
            other.sendall(data)
    except OSError:
        pass
    for end in (one, other):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue
