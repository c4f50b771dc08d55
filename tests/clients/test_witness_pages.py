"""Without SQL the witness of rows asks the REST API, which gives a page: 1,000 rows on hosted projects."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from clients.services import catalogue
from clients.services.database import DatabaseClient
from core.run import Run
from core.target import resolve
from tests.clients.strange import environment

LIMIT = 7


class Paging(BaseHTTPRequestHandler):
    """A REST API of so many rows that gives LIMIT at most, in an order of its own unless one is asked for."""

    rows: ClassVar[list[dict[str, object]]] = []

    def do_GET(self) -> None:
        """One page."""
        asked = parse_qs(urlsplit(self.path).query)
        rows = sorted(self.rows, key=lambda row: str(row["id"])) if "order" in asked else self.rows
        start = int(asked.get("offset", ["0"])[0])
        page = rows[start : start + LIMIT]
        body = json.dumps(page).encode()
        self.send_response(206 if len(page) < len(rows) else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-range", f"{start}-{start + len(page) - 1}/{len(rows)}")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.mark.parametrize("number", [0, 1, LIMIT, LIMIT + 1, 5 * LIMIT, 5 * LIMIT + 3])
def test_the_witness_reads_every_page(number, tmp_path):
    rows = [{"id": f"{n * 7919 % 1000:04d}", "payload": {"n": n}} for n in range(number)]
    handler = type("Handler", (Paging,), {"rows": rows})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    variables = environment(9) | {"VITE_SUPABASE_URL": address, "SUPABASE_DB_URL": ""}
    run = Run.begin(tmp_path, resolve("embedded", catalogue(), environment=variables), "test")
    client = DatabaseClient(run)
    try:
        found = client.witness_rows("audit_log")
    finally:
        client.close()
        server.shutdown()
        server.server_close()
    assert sorted(str(row["id"]) for row in found) == sorted(str(row["id"]) for row in rows)
