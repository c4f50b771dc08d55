"""A watch: incidents open by burn rate and end once, each is told once, and nothing is lost with its process."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from core.errors import ConfigError
from core.permit import Permit
from core.target import Target
from runner.watch import probing
from runner.watch.burn import Outcome, availability, budget_left, burning, recovered
from runner.watch.clock import SteadyClock
from runner.watch.probing import Round
from runner.watch.status import FILES, write_status
from runner.watch.store import Probed, Store
from runner.watch.watching import Watch, WatchRequest

EVERY = 30.0


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, object]]]:
    """What a webhook's receiver got."""
    got: list[dict[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *words: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("ASSAY_WEBHOOK", f"http://127.0.0.1:{server.server_port}/")
    yield got
    server.shutdown()
    server.server_close()


class Driven:
    """A watch on a made-up service, round by round."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.at, self.said = folder, 1_800_000_000.0, list[str]()
        self.start()

    def start(self) -> None:
        self.store = Store(self.folder)
        request = WatchRequest("live", Path("target.toml"), self.folder, mutes=self.folder / "alerts.toml")
        self.watch = Watch(request, self.store, SteadyClock(), self.said.append)

    def rounds(self, *well: bool) -> None:
        for one in well:
            self.at += EVERY
            self.store.add([Probed(self.at, "kv: API", one, 0.01, "fine" if one else "answers 503")])
            self.watch.judge(self.at)


@pytest.fixture
def driven(tmp_path: Path) -> Iterator[Driven]:
    found = Driven(tmp_path)
    yield found
    found.store.close()


def events(got: list[dict[str, object]]) -> list[object]:
    return [one["assay"]["event"] for one in got]  # type: ignore[index]


def test_an_outage_is_told_once_and_its_end_once(driven: Driven, webhook: list[dict[str, object]]) -> None:
    driven.rounds(*[True] * 20, *[False] * 10, *[True] * 20)
    assert events(webhook) == ["opened", "recovered"]
    assert "answers 503" in str(webhook[0]["text"])
    (incident,) = driven.store.incidents()
    assert incident.ended is not None
    assert incident.ended - incident.opened == pytest.approx(
        11 * EVERY
    )  # from the second failure to the third success


def test_one_lost_probe_is_no_incident(driven: Driven, webhook: list[dict[str, object]]) -> None:
    driven.rounds(*[True] * 5, False, *[True] * 30)
    assert webhook == []


def test_flapping_is_one_incident(driven: Driven, webhook: list[dict[str, object]]) -> None:
    driven.rounds(*[True] * 10, *[False, True, False, True] * 10, *[True] * 5)
    assert events(webhook) == ["opened", "recovered"]


def test_a_killed_watch_goes_on_and_tells_nothing_twice(
    driven: Driven, webhook: list[dict[str, object]]
) -> None:
    driven.rounds(*[True] * 10, *[False] * 4)
    driven.store.close()
    driven.start()
    driven.rounds(*[False] * 3, *[True] * 5)
    assert events(webhook) == ["opened", "recovered"]
    assert len(driven.store.outcomes("kv: API")) == 22


def test_what_no_webhook_took_is_told_at_the_next_round(
    driven: Driven, monkeypatch: pytest.MonkeyPatch, webhook
) -> None:
    there = os.environ["ASSAY_WEBHOOK"]
    monkeypatch.setenv("ASSAY_WEBHOOK", "http://127.0.0.1:9/")
    driven.rounds(*[False] * 4)
    assert webhook == []
    monkeypatch.setenv("ASSAY_WEBHOOK", there)
    driven.rounds(False)
    assert events(webhook) == ["opened"]


def test_a_mute_silences_until_its_day(driven: Driven, webhook: list[dict[str, object]]) -> None:
    mute = '[[mute]]\nkey = "kv: *"\nowner = "ada"\nreason = "moving"\nuntil = {}\n'
    (driven.folder / "alerts.toml").write_text(mute.format("2999-01-01"))
    driven.rounds(*[False] * 4)
    assert webhook == []
    (driven.folder / "alerts.toml").write_text(mute.format("2020-01-01"))
    driven.rounds(*[True] * 4)
    assert events(webhook) == ["recovered"]


def test_one_watch_a_folder(driven: Driven) -> None:
    with pytest.raises(ConfigError, match="another watch"):
        Store(driven.folder)


@given(st.lists(st.booleans(), min_size=1, max_size=300))
def test_the_numbers_are_those_of_the_probes(well: list[bool]) -> None:
    outcomes = [Outcome(number * EVERY, one) for number, one in enumerate(well)]
    now = len(well) * EVERY
    found = availability(outcomes, 0)
    assert found.share == sum(well) / len(well)
    assert budget_left(outcomes, now, 0.999) == pytest.approx(1 - (1 - sum(well) / len(well)) * 1000)
    if all(well):
        assert burning(outcomes, now, 0.999) is None
    if recovered(outcomes, -1, 3):
        assert well[-3:] == [True] * 3


def test_a_clock_set_back_keeps_stamps_in_order_and_one_set_forward_is_followed() -> None:
    wall, steady = [1000.0], [0.0]
    clock = SteadyClock(900, wall=lambda: wall[0], steady=lambda: steady[0])
    seen = [clock.now()]
    for jump in (10, -3600, 10, 7200, 10):
        wall[0] += jump
        steady[0] += 10
        seen.append(clock.now())
    assert [after - before for before, after in pairwise(seen)] == [10, 10, 10, 3590, 10]
    assert SteadyClock(5000, wall=lambda: 1000.0, steady=lambda: 0.0).now() == 5000


def test_the_page_its_json_and_its_metrics_agree(driven: Driven, webhook: list[dict[str, object]]) -> None:
    driven.rounds(*[True] * 8, *[False] * 2)
    permit = Permit(frozenset(), frozenset())
    target = Target(kind="live", name="shop<script>", capabilities={}, permit=permit, services=(), engines={})
    write_status(driven.store, driven.folder, target, driven.at, 0.999)
    page, status, metrics = ((driven.folder / name).read_text("utf-8") for name in FILES)
    assert "<script>" not in page
    assert "Does not answer: kv: API" in page
    (service,) = json.loads(status)["services"]
    assert service["day"] == "80.000% of 10"
    families = {f.name: f.samples[0].value for f in text_string_to_metric_families(metrics)}
    assert families["assay_watch_availability_ratio"] == 0.8
    assert families["assay_watch_incident_open"] == 1


class Asked(ModuleType):
    """A service's module whose probe is counted."""

    def __init__(self, every: float) -> None:
        super().__init__("asked")
        self.times, self.every, self.fails = list[float](), every, False
        self.SERVICE = SimpleNamespace(id="mixpanel", capabilities=("platform.api",))
        self.PROBE_EVERY = every
        self.now = 0.0

    def probes(self, run: object) -> dict[str, object]:
        def probe() -> str:
            self.times.append(self.now)
            if self.fails:
                raise RuntimeError("away")
            return "there"

        return {"API": probe}


def test_a_service_with_a_small_quota_is_asked_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mixpanel allows 60 exports an hour: a watch of its own must leave room for the checks."""
    module = Asked(300.0)
    monkeypatch.setattr(probing, "modules", lambda: [module])
    run = SimpleNamespace(target=SimpleNamespace(has=lambda capability: True))
    round_ = Round(run, str)  # type: ignore[arg-type]
    for second in range(0, 3600, 30):
        module.now = float(second)
        module.fails = 1200 <= second < 1800
        round_.ask(module.now)
    round_.close()
    assert len(module.times) <= 30
    assert sum(1200 <= at < 1800 for at in module.times) >= 7, "while it is away it is asked each minute"
    assert {b - a for a, b in pairwise(module.times)} <= {60.0, 300.0}
