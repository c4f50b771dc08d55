"""What a check asked and what came back: kept for its page, masked, capped, and only its own."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients import exchanges, http
from core.errors import ServiceError
from core.permit import EVERYTHING, Permit
from core.secret import Redactor

PERMIT = Permit(EVERYTHING, frozenset({"127.0.0.1"}))


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked += 1  # type: ignore[attr-defined]
        body = json.dumps({"number": self.server.asked, "refresh_token": "v1xq0", "to": "eve@real.example"})  # type: ignore[attr-defined]
        data = gzip.compress(body.encode()) if "packed" in self.path else body.encode()
        self.send_response(500 if "ill" in self.path else 200)
        self.send_header("Content-Type", "application/json")
        if "packed" in self.path:
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def place() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.asked = 0  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    exchanges.begin()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    exchanges.begin()


def _kept(*secrets: str) -> list[tuple[str, str, str, int]]:
    found = exchanges.kept("a.check", 1, Redactor(secrets))
    return [(e.service, e.asked.partition("://")[2].partition("/")[2], e.answer, e.times) for e in found]


def test_the_last_answer_is_kept_masked_and_the_same_question_counted(place: str) -> None:
    with http.client("sentry", PERMIT) as client:
        for _ in range(3):
            client.get(f"{place}/packed?name=hunter2hunter2")
    assert _kept("hunter2hunter2") == [
        ("sentry", "packed?name=***", '200 {"number": 3, "refresh_token": "***", "to": "***"}', 3)
    ]


def test_a_busy_platform_does_not_push_a_witness_out_and_errors_are_kept(place: str) -> None:
    with http.client("r2", PERMIT) as witness, http.client("platform", PERMIT) as us:
        witness.get(f"{place}/object")
        for number in range(20):
            us.get(f"{place}/page/{number}")
        with pytest.raises(ServiceError):
            witness.get(f"{place}/ill")
    found = _kept()
    assert [asked for _, asked, _, _ in found] == ["object", *[f"page/{n}" for n in range(15, 20)], "ill"]
    assert found[-1][2] == "500"
    with pytest.raises(ServiceError), http.client("r2", PERMIT) as nobody:
        nobody.get("http://127.0.0.1:9/x")
    assert _kept()[-1][2].startswith("no answer")
    exchanges.begin()
    assert _kept() == []


def test_rows_are_kept_as_the_database_gave_them() -> None:
    exchanges.begin()
    exchanges.note_rows("supabase.database", "select  id\n from posts where id = %s", (7,), [{"id": 7}] * 5)
    (kept,) = exchanges.kept("a.check", 1, Redactor())
    assert kept.asked == "SQL select id from posts where id = %s with (7,)"
    assert kept.answer == '5 rows [{"id": 7}, {"id": 7}, {"id": 7}]'


def test_what_is_no_text_is_told_and_not_shown() -> None:
    exchanges.begin()
    exchanges.note("r2", "GET /picture", "200", b"\x89PNG\x00\xff" * 50)
    exchanges.note("r2", "GET /cut", "200", ("ü" * exchanges.LONGEST).encode()[1:])
    exchanges.note("r2", "GET /half", "200", ("x" + "ü" * exchanges.LONGEST).encode())
    found = [e.answer for e in exchanges.kept("a.check", 1, Redactor())]
    assert found[:2] == ["200 a body that is no text"] * 2
    assert found[2].startswith("200 xü")


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 4500), st.text("ab0", min_size=12, max_size=12))
def test_no_part_of_a_secret_is_left_wherever_the_answer_is_cut(at: int, secret: str) -> None:
    exchanges.begin()
    exchanges.note("r2", f"GET /?x={secret}", "200", b"-" * at + secret.encode() + b"-" * 700)
    (kept,) = exchanges.kept("a.check", 1, Redactor([secret]))
    assert not {"a", "b", "0"} & set(kept.answer.removeprefix("200"))
    assert kept.asked == "GET /?x=***"
