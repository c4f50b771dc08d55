"""History: what is compared with what, the regression rules, two writers at once, and the database of a team."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import ConfigError
from reports.history.regression import BASE, change_point, compare
from reports.history.store import History
from reports.judging.judge import judge
from reports.judging.model import RunVerdict
from tests.reports.made import Made
from tests.reports.together import record_together

Judged = Callable[..., RunVerdict]


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "history.sqlite")


def nights(
    tmp_path: Path,
    history: History,
    count: int,
    *,
    plan: str = "nightly",
    shift: tuple[int, float] = (0, 1.0),
):
    rng = np.random.default_rng(11)
    for i in range(count):
        factor = shift[1] if i >= count - shift[0] else 1.0
        made = Made(tmp_path / f"night-{i:02d}", seed=i, plan=plan, age_days=60 - i, commit=f"{i:07x}")
        made.latency = {"perf.rooms": 6.0 * factor * float(rng.lognormal(0, 0.03))}
        made.samples, made.loads, made.objectives = {"perf.rooms": 600}, {"rooms": 30}, made.objectives[2:]
        history.record(judge(made.write(), waivers=[], history=history))


def tonight(
    tmp_path: Path, history: History, name: str = "tonight", factor: float = 1.0, **more: Any
) -> RunVerdict:
    made = Made(tmp_path / name, seed=99, plan="nightly", latency={"perf.rooms": 6.0 * factor}, **more)
    made.samples, made.loads, made.objectives = {"perf.rooms": 600}, {"rooms": 30}, made.objectives[2:]
    return judge(made.write(), waivers=[], history=history)


def rooms(verdict: RunVerdict):
    return next(o for o in verdict.objectives if o.id == "perf.rooms")


def test_a_short_history_is_learning(tmp_path: Path, history: History) -> None:
    nights(tmp_path, history, 7)
    found = rooms(tonight(tmp_path, history))
    assert found.regression.text == "learning 7/30"
    assert len(found.trend) == 7


def test_a_jump_warns_a_shift_blocks_and_better_is_told(tmp_path: Path, history: History) -> None:
    nights(tmp_path, history, 33)
    assert rooms(tonight(tmp_path, history, "same")).regression.state == "steady"
    jump = tonight(tmp_path, history, "jump", 1.4)
    assert rooms(jump).regression.state == "jump"
    assert jump.exit == 0


def test_three_slow_nights_block_and_name_the_commits(tmp_path: Path, history: History) -> None:
    nights(tmp_path, history, 35, shift=(2, 1.3))
    verdict = tonight(tmp_path, history, factor=1.3)
    found = rooms(verdict)
    assert found.state == "met"
    assert found.regression.state == "shift"
    assert found.regression.commits == f"{32:07x}..{33:07x}"
    assert verdict.exit == 1
    assert "3 runs in a row" in verdict.causes[0].text


def test_smoke_only_warns_of_a_shift(tmp_path: Path, history: History) -> None:
    nights(tmp_path, history, 35, plan="smoke", shift=(2, 1.3))
    made = Made(tmp_path / "now", plan="smoke", latency={"perf.rooms": 7.8})
    made.samples, made.loads, made.objectives = {"perf.rooms": 600}, {"rooms": 30}, made.objectives[2:]
    verdict = judge(made.write(), waivers=[], history=history)
    assert rooms(verdict).regression.state == "shift"
    assert verdict.exit == 0


def test_improvement_is_told(tmp_path: Path, history: History) -> None:
    nights(tmp_path, history, 35, shift=(2, 0.7))
    assert rooms(tonight(tmp_path, history, factor=0.7)).regression.state == "better"


def test_other_plans_targets_and_vantages_are_not_compared(tmp_path: Path, history: History) -> None:
    nights(tmp_path, history, 3, plan="gate")
    assert rooms(tonight(tmp_path, history)).trend == []


def test_last_decided_value_and_its_age(tmp_path: Path, history: History) -> None:
    history.record(judge(Made(tmp_path / "old", live=True, plan="nightly", age_days=3).write(), waivers=[]))
    plain = Made(tmp_path / "new", live=True, plan="smoke")
    plain.objectives = plain.objectives[:1]
    verdict = judge(plain.write(), waivers=[], history=history)
    found = rooms(verdict)
    assert found.state == "not_in_plan"
    assert "last decided 3 days ago" in found.reason
    assert verdict.exit == 0


def test_too_old_a_value_closes_a_live_gate(tmp_path: Path, history: History) -> None:
    history.record(judge(Made(tmp_path / "old", live=True, plan="nightly", age_days=20).write(), waivers=[]))
    plain = Made(tmp_path / "new", live=True, plan="smoke")
    plain.objectives = plain.objectives[:1]
    verdict = judge(plain.write(), waivers=[], history=history)
    assert verdict.exit == 1
    assert "older than the 14 days" in rooms(verdict).reason


def test_newly_failing_and_recovered(tmp_path: Path, history: History) -> None:
    before = Made(tmp_path / "a", age_days=1, outcomes={"ga4.event": {"outcome": "missed"}})
    history.record(judge(before.write(), waivers=[]))
    now = judge(
        Made(tmp_path / "b", outcomes={"kv.hit-and-miss": {"outcome": "missed"}}).write(),
        waivers=[],
        history=history,
    )
    assert now.since_last["newly_failing"] == ["kv.hit-and-miss"]
    assert now.since_last["recovered"] == ["ga4.event"]


def test_a_run_recorded_twice_is_one(tmp_path: Path, history: History) -> None:
    verdict = judge(Made(tmp_path / "run").write(), waivers=[])
    history.record(verdict)
    history.record(verdict)
    assert len(history.runs()) == 1


def test_retention_forgets_the_old(tmp_path: Path, history: History) -> None:
    for name, age in (("old", 400.0), ("new", 1.0)):
        history.record(judge(Made(tmp_path / name, age_days=age).write(), waivers=[]))
    assert history.prune(365) == 1
    assert [r["run"] for r in history.runs()] == ["new"]


def test_two_writers_at_once(tmp_path: Path) -> None:
    verdicts = [judge(Made(tmp_path / f"r{i}").write(), waivers=[]) for i in range(8)]
    assert record_together(tmp_path / "shared.sqlite", verdicts, times=3) == []
    assert len(History(tmp_path / "shared.sqlite").runs()) == 8


def test_a_history_that_cannot_be_opened_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no database, and long enough to be taken for one" * 40)
    with pytest.raises(ConfigError, match="history cannot be opened"):
        History(tmp_path / "file")


def test_compare_needs_positive_values_and_a_base() -> None:
    assert compare([1.0] * 5, 0.0).state == "learning"
    assert compare([1.0] * (BASE - 1), 1.0).text == f"learning {BASE - 1}/{BASE}"
    assert compare([1.0] * 40, 1.0).state == "steady"
    assert compare([10.0] * 40, 8.0, worse_is_higher=False).state == "jump"


def test_change_point_is_found() -> None:
    assert change_point([1.0, 1.1, 0.9, 1.0, 2.0, 2.1, 1.9]) == 4
