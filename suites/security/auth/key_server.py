"""A server of keys that an attacker would run: it tells who came to ask for them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class KeyServer:
    """Answers every address with one key set, and remembers what was asked."""

    def __init__(self, jwk: Mapping[str, str]) -> None:
        self.asked: list[str] = []
        body, asked = json.dumps({"keys": [dict(jwk)]}).encode(), self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Where the key set is."""
        return f"http://127.0.0.1:{self._server.server_port}/auth/v1/.well-known/jwks.json"

    def close(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@contextmanager
def key_server(jwk: Mapping[str, str]) -> Iterator[KeyServer]:
    """A key server as long as it is needed."""
    server = KeyServer(jwk)
    try:
        yield server
    finally:
        server.close()
