"""Serves a run's folder on loopback, since traces and Allure do not open from a file address."""

from __future__ import annotations

import contextlib
import webbrowser
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class _Handler(SimpleHTTPRequestHandler):
    extensions_map = {  # noqa: RUF012 (the base class's own attribute)
        **SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".jsonl": "text/plain",
        ".log": "text/plain",
    }

    def do_GET(self) -> None:
        """Only for this machine's own names, so that no page elsewhere can read a report by a trick with DNS."""
        host = (self.headers.get("Host") or "").rsplit(":", 1)[0]
        if host not in ("127.0.0.1", "localhost", "[::1]"):
            self.send_error(403)
            return
        super().do_GET()

    def end_headers(self) -> None:
        """Nothing is cached: a run judged again shows its new pages."""
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def server(run_dir: Path, port: int = 0) -> tuple[ThreadingHTTPServer, str]:
    """A server of the run's folder (not started) and the address of its front page."""
    http = ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, directory=str(run_dir)))
    return http, f"http://127.0.0.1:{http.server_address[1]}/report/index.html"


def serve(run_dir: Path, port: int = 0, *, browser: bool = True) -> None:
    """Serves until Ctrl-C; opens a browser if there is one."""
    http, url = server(run_dir, port)
    print(f"The report is at {url}   (Ctrl-C ends it)", flush=True)
    if browser:
        with contextlib.suppress(webbrowser.Error):
            webbrowser.open(url)
    with http, contextlib.suppress(KeyboardInterrupt):
        http.serve_forever()
