"""What a platform lacks is shown, counted and closes nothing; what a plan must cover closes; what vanished is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.events import CheckCollected, CheckFinished
from core.load_events import LoadLeft
from core.outcome import CheckOutcome
from core.passport import Passport
from reports import gate
from reports.history.store import History
from reports.judging.judge import judge
from reports.judging.model import RunVerdict
from tests.reports.made import Made

HAS = {"cache.kv": "required", "storage.r2": "required", "rooms.websocket": "absent"}


def checked(name: str, need: str, outcome: CheckOutcome) -> list[object]:
    passport = Passport(name, "A check", "platform", ("KV",), "kv", (need,))
    finished = CheckFinished(name, 1, outcome, f"{outcome} it is", "kv", "", "", 0.1)
    return [CheckCollected(name, passport, "node"), finished]


def made(path: Path, rooms: CheckOutcome = CheckOutcome.NOT_APPLICABLE, **more: object) -> Made:
    extra = [
        *checked("kv.one", "cache.kv", CheckOutcome.MET),
        *checked("rooms.one", "rooms.websocket", rooms),
    ]
    return Made(path, capabilities=HAS, extra=extra, **more)  # type: ignore[arg-type]


def judged(path: Path, **more: object) -> RunVerdict:
    return judge(made(path, **more).write(), waivers=[])  # type: ignore[arg-type]


def test_how_much_is_covered_stands_on_every_front_page(tmp_path: Path) -> None:
    verdict = judged(tmp_path / "run")
    assert verdict.coverage.statement == "covers 1 of 3 capabilities"
    assert verdict.coverage.untried == ["storage.r2"]
    assert "capabilities covers 1 of 3 capabilities" in gate(verdict)[0]
    assert verdict.exit == 0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("storage.r2", "the plan must cover storage.r2, and no check of it ran"),
        ("rooms.websocket", "the plan must cover rooms.websocket, and the target does not have it"),
    ],
)
def test_what_a_plan_must_cover_closes(tmp_path: Path, name: str, said: str) -> None:
    verdict = judged(tmp_path / "run", must_cover=(name,))
    assert (verdict.exit, [c.text for c in verdict.causes]) == (1, [said])
    assert verdict.headline == "Gate closed: 1 capability not covered"
    assert judged(tmp_path / "other", must_cover=("cache.kv",)).exit == 0


def test_what_the_target_had_in_the_run_before_is_told(tmp_path: Path) -> None:
    history = History(tmp_path / "history.sqlite")
    before = made(tmp_path / "before", rooms=CheckOutcome.MET, age_days=1)
    before.capabilities = {**HAS, "rooms.websocket": "required"}
    history.record(judge(before.write(), waivers=[], history=history))
    verdict = judge(made(tmp_path / "now").write(), waivers=[], history=history)
    assert verdict.coverage.vanished == ["rooms.websocket"]
    assert verdict.coverage.statement.endswith("gone since the run before: rooms.websocket")
    history.close()


def test_a_load_of_what_the_target_lacks_closes_nothing_and_one_that_is_not_permitted_does(
    tmp_path: Path,
) -> None:
    left = LoadLeft("rooms", False, "the target has no rooms.websocket")
    one = Made(tmp_path / "run")
    planned = one.manifest()
    one.loads.pop("rooms")
    one.latency.pop("perf.rooms")
    one.samples.pop("perf.rooms")
    one.extra = [left]
    one.manifest = lambda: planned  # type: ignore[method-assign]  # the plan wants it still
    verdict = judge(one.write(), waivers=[])
    rooms = next(o for o in verdict.objectives if o.id == "perf.rooms")
    assert (rooms.state, rooms.reason) == ("not_applicable", "the target has no rooms.websocket")
    assert next(p for p in verdict.profiles if p.name == "rooms").state == "not_applicable"
    assert verdict.exit == 0, verdict.causes
    one.directory = tmp_path / "refused"
    one.extra = [LoadLeft("rooms", True, "the target's permit does not give load")]
    verdict = judge(one.write(), waivers=[])
    assert verdict.exit == 1
    assert {(c.who, c.state) for c in verdict.causes} == {
        ("perf.rooms", "not_covered"),
        ("rooms", "not_covered"),
    }
