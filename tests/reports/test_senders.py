"""Alerts: told once, to the right person, again when they change, and when they are over."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from core.errors import ConfigError
from reports.history.store import History
from reports.judging.judge import judge
from reports.judging.mutes import Mute, load_mutes
from reports.senders import SendContext, send_all
from tests.reports.made import Made


class Receiver(ThreadingHTTPServer):
    """Keeps what was posted; answers with `status`."""

    status = 200

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    def messages(self, path: str) -> list[dict[str, Any]]:
        return [json.loads(body) for at, body in self.got if at == path]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.got.append((self.path, body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join(5)


@pytest.fixture
def night(tmp_path: Path, receiver: Receiver):
    history = History(tmp_path / "history.sqlite")

    def run(name: str, age: float, mutes: str = "", **changes: Any) -> list[str]:
        directory = Made(tmp_path / name, age_days=age, commit=f"c{name}", **changes).write()
        verdict = judge(directory, waivers=[], history=history)
        history.record(verdict)
        (tmp_path / "alerts.toml").write_text(mutes)
        environ = {
            "ASSAY_WEBHOOK": receiver.url("/harness"),
            "ASSAY_WEBHOOK_PLATFORM": receiver.url("/platform"),
        }
        environ["ASSAY_HEARTBEAT_URL"] = receiver.url("/beat/{exit}")
        return send_all(verdict, SendContext(directory, history, environ, tmp_path / "alerts.toml"))

    return run


MISSED: dict[str, Any] = {"outcomes": {"kv.hit-and-miss": {"outcome": "missed", "message": "stale"}}}


def test_told_once_then_recovered(night, receiver: Receiver) -> None:
    night("1", 4)
    assert receiver.messages("/platform") == []
    night("2", 3, **MISSED)
    night("3", 2, **MISSED)
    (opened,) = receiver.messages("/platform")
    assert opened["assay"]["event"] == "opened"
    assert opened["assay"]["commits"] == "c1..c2"
    assert opened["assay"]["last_good"].startswith("1")
    assert "stale" in opened["text"]
    night("4", 1)
    recovered = receiver.messages("/platform")[-1]
    assert recovered["assay"]["event"] == "recovered"
    assert len(receiver.messages("/platform")) == 2
    assert [path for path, _ in receiver.got if path.startswith("/beat")] == [
        "/beat/0",
        "/beat/1",
        "/beat/1",
        "/beat/0",
    ]


def test_broken_goes_to_the_harness_and_recovers_nothing(night, receiver: Receiver) -> None:
    night("1", 4, **MISSED)
    night("2", 3, finished=False)
    assert [m["assay"]["key"] for m in receiver.messages("/harness")] == ["run"]
    night("3", 2, **MISSED)
    assert len(receiver.messages("/platform")) == 1
    assert receiver.messages("/harness")[-1]["assay"]["event"] == "recovered"


def test_a_flood_is_one_message(night, receiver: Receiver) -> None:
    from tests.reports.made import CHECKS

    night("1", 1, outcomes={c[0]: {"outcome": "missed"} for c in CHECKS})
    (one,) = receiver.messages("/platform")
    assert len(one["assay"]["alerts"]) == len(CHECKS)


def test_mutes_silence_until_they_end(night, receiver: Receiver) -> None:
    mute = '[[mute]]\nkey = "kv.*"\nowner = "ada"\nreason = "vendor"\nuntil = {}\n'
    lines = night("1", 3, mutes=mute.format("2099-01-01"), **MISSED)
    assert receiver.messages("/platform") == []
    assert "webhook: 1 alert muted" in lines
    assert not Mute(key="kv.*", owner="ada", reason="vendor", until=dt.date(2020, 1, 1)).covers(
        "kv.x", dt.date(2026, 1, 1)
    )


def test_a_receiver_that_refuses_is_told_and_tried_again(night, receiver: Receiver) -> None:
    receiver.status = 500
    lines = night("1", 2, **MISSED)
    assert any("webhook: could not be sent" in line for line in lines)
    assert "127.0.0.1" not in " ".join(lines)
    receiver.status = 200
    receiver.got.clear()
    night("2", 1, **MISSED)
    assert len(receiver.messages("/platform")) == 1


def test_a_wrong_mute_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "alerts.toml").write_text('[[mute]]\nkey = "x"\n')
    with pytest.raises(ConfigError, match=r"alerts\.toml line 1: mute\[0\]\.\w+ is missing"):
        load_mutes(tmp_path / "alerts.toml")


def test_metrics_reach_a_collector(tmp_path: Path, receiver: Receiver) -> None:
    directory = Made(tmp_path / "run").write()
    verdict = judge(directory, waivers=[])
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url("")}
    lines = send_all(verdict, SendContext(directory, History(tmp_path / "h.sqlite"), environ))
    assert lines == ["otlp: metrics sent"]
    ((path, body),) = receiver.got
    assert path == "/v1/metrics"
    assert b"assay_objective_value" in body


def test_nothing_is_sent_without_an_address(tmp_path: Path) -> None:
    directory = Made(tmp_path / "run").write()
    assert (
        send_all(judge(directory, waivers=[]), SendContext(directory, History(tmp_path / "h.sqlite"), {}))
        == []
    )
