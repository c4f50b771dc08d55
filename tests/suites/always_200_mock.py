"""A mock of each service that always answers 200 with something plausible, and keeps nothing.

The liar stands before the real services as a proxy; requests to the one service that it plays are answered
by a lie, all others reach the truth. A lie is made from the request alone: names, sizes and sums that were
sent come back as if stored, identifiers are made up, lists hold one likely entry.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.suites.mock_payloads import plausible_answer

VARIABLES = {
    "supabase.auth": ("VITE_SUPABASE_URL",),
    "supabase.database": ("VITE_SUPABASE_URL",),
    "supabase.storage": ("VITE_SUPABASE_URL",),
    "r2": ("R2_ENDPOINT",),
    "kv": ("CLOUDFLARE_API_URL",),
    "rooms": ("PLATFORM_URL",),
    "builder": ("BUILDER_API_URL", "BUILDER_WRITE_URL"),
    "sentry": ("SENTRY_URL",),
    "datadog": ("DATADOG_API_URL", "DATADOG_INTAKE_URL"),
    "ga4": ("GA4_DATA_URL", "GA4_COLLECT_URL"),
    "mixpanel": ("MIXPANEL_DATA_URL", "MIXPANEL_API_URL"),
    "platform": ("PLATFORM_URL",),
}
"""The addresses of each service that lead to the liar."""
PATHS = {
    "supabase.auth": "/auth/v1/",
    "supabase.database": "/rest/v1/",
    "supabase.storage": "/storage/v1/",
    "rooms": "/api/rooms/",
}
"""Services that share an address with others: the liar plays these paths alone."""


class Always200Mock:
    """Plays one service. `environment` is that of the real target, its addresses of the service led here."""

    def __init__(self, service: str, environment: Mapping[str, str]) -> None:
        self.service = service
        self.answered = 0
        self._truth = {name: environment[name] for name in VARIABLES[service]}
        self._client = httpx.Client(trust_env=False, timeout=30)
        mock = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length) if length else b""
                status, headers, content = mock.answer(self.command, self.path, dict(self.headers), body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _any

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{self._server.server_port}"
        self.environment = {
            **environment,
            **{name: f"{base}/{name}{urlsplit(url).path}".rstrip("/") for name, url in self._truth.items()},
        }
        if service in ("platform", "rooms", "supabase.auth", "supabase.database", "supabase.storage"):
            self.environment[VARIABLES[service][0]] = base  # these services own their address's whole path

    def answer(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """A lie, or the truth where another service is asked."""
        name, rest = self._led(path)
        playing = self.service not in PATHS or rest.startswith(PATHS[self.service])
        if not playing:
            return self._forward(method, self._truth[name] + rest, headers, body)
        self.answered += 1
        if headers.get("Upgrade"):
            return 200, {"Content-Type": "text/plain"}, b"OK"
        kind, content = plausible_answer(self.service, method, rest, body)
        return 200, {"Content-Type": kind, "ETag": '"abc"', "X-Cache": "hit", "X-Trace": "a" * 32}, content

    def _led(self, path: str) -> tuple[str, str]:
        first, _, rest = path.lstrip("/").partition("/")
        if first in self._truth and len(self._truth) + (self.service in PATHS) >= 1 and first.isupper():
            prefix = urlsplit(self._truth[first]).path
            return first, "/" + rest.removeprefix(prefix.lstrip("/")).lstrip("/")
        return next(iter(self._truth)), path

    def _forward(
        self, method: str, url: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        kept = {k: v for k, v in headers.items() if k.lower() not in ("host", "content-length", "connection")}
        try:
            answer = self._client.request(method, url, headers=kept, content=body)
        except httpx.HTTPError as error:  # the truth is away
            return 502, {"Content-Type": "text/plain"}, str(error).encode()
        drop = ("content-length", "transfer-encoding", "connection", "content-encoding")
        back = {k: v for k, v in answer.headers.items() if k.lower() not in drop}
        return answer.status_code, back, answer.content

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._client.close()
