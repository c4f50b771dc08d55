"""A place on this machine that takes what a run sends out: OpenTelemetry metrics and alerts to a webhook."""

from __future__ import annotations

import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Collector:
    """Keeps each body that is posted to `/FOLDER/...` in `received/` of that folder of `root`."""

    def __init__(self, root: Path) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.headers.get("Content-Encoding") in ("gzip", "deflate"):
                    body = zlib.decompress(body, zlib.MAX_WBITS | 32)
                case, _, rest = self.path.strip("/").partition("/")
                folder = root / case / "received"
                folder.mkdir(parents=True, exist_ok=True)
                ending = "otlp" if "metrics" in rest else "json"
                (folder / f"{len(list(folder.iterdir()))}.{ending}").write_bytes(body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Takes nothing more."""
        self._server.shutdown()
        self._server.server_close()
