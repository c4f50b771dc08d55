"""Green by omission is impossible: whatever is taken out of a run that its plan requires closes the gate."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from core.events import ComponentDied, Gauge
from core.objective import load_objectives
from core.outcome import RunOutcome
from core.plan import load_plan
from reports import gate, judge
from tests.reports.made import Made

ROOT = Path(__file__).parents[2]
PLAN = load_plan("smoke", ROOT / "plans", load_objectives(ROOT / "reports" / "objectives.toml"))
MANIFEST = PLAN.manifest()


def whole_run(directory: Path) -> Made:
    objectives = [o.objective for o in PLAN.objectives]
    return Made(
        directory,
        checks=[(check, f"title of {check}", "platform", ["P6.1"]) for check in MANIFEST.checks],
        loads={p.name: p.duration for p in MANIFEST.profiles},
        objectives=list(MANIFEST.objectives),
        latency={o.id: o.limit / 10 for o in objectives if o.percentile},
        extra=[Gauge(o.metric, 0, o.unit, {"profile": "x"}) for o in objectives],
        samples={o.id: 3000 for o in objectives},
        labels={o.id: [dict.fromkeys(o.by, "one")] for o in objectives},
    )


def exit_code(made: Made) -> int:
    return gate(judge(made.write()))[1]


def test_the_whole_run_opens_the_gate(tmp_path):
    text, code = gate(judge(whole_run(tmp_path / "run").write()))
    assert code == 0, text
    assert "no statement about a release" in text


@pytest.mark.parametrize("check", MANIFEST.checks)
def test_without_a_check(tmp_path, check):
    made = whole_run(tmp_path / "run")
    made.skip = {check}
    assert exit_code(made) == 1


@pytest.mark.parametrize("profile", [p.name for p in MANIFEST.profiles])
def test_without_a_profile(tmp_path, profile):
    made = whole_run(tmp_path / "run")
    made.loads.pop(profile)
    # the manifest still wants it
    made.objectives = list(MANIFEST.objectives)
    directory = made.write()
    manifest_with_profile(directory)
    assert gate(judge(directory))[1] != 0


@pytest.mark.parametrize("profile", [p.name for p in MANIFEST.profiles])
def test_with_an_unfinished_profile(tmp_path, profile):
    made = whole_run(tmp_path / "run")
    made.unfinished_loads = {profile}
    assert exit_code(made) != 0


@pytest.mark.parametrize("objective", [o.id for o in MANIFEST.objectives])
def test_without_an_objectives_samples(tmp_path, objective):
    made = whole_run(tmp_path / "run")
    made.latency.pop(objective, None)
    made.extra.clear()
    assert exit_code(made) == 1


@pytest.mark.parametrize("objective", [o.id for o in MANIFEST.objectives if o.percentile])
def test_with_too_few_samples(tmp_path, objective):
    made = whole_run(tmp_path / "run")
    made.samples[objective] = 20
    assert exit_code(made) == 1


@pytest.mark.parametrize("check", MANIFEST.checks)
@pytest.mark.parametrize("outcome", ["missed", "broken", "not_covered"])
def test_with_a_check_that_is_not_met(tmp_path, check, outcome):
    made = whole_run(tmp_path / "run")
    made.outcomes = {check: {"outcome": outcome, "message": "made"}}
    assert exit_code(made) == (3 if outcome == "broken" else 1)


@pytest.mark.parametrize("outcome", [RunOutcome.INTERRUPTED, RunOutcome.BROKEN])
def test_a_run_that_did_not_complete(tmp_path, outcome):
    made = whole_run(tmp_path / "run")
    made.outcome = outcome
    assert exit_code(made) == 3


def test_a_killed_run(tmp_path):
    made = whole_run(tmp_path / "run")
    made.finished = False
    assert exit_code(made) == 3


def test_a_run_without_data(tmp_path):
    made = whole_run(tmp_path / "run")
    made.skip, made.latency = set(MANIFEST.checks), {}
    assert exit_code(made) in (1, 3)


def test_a_component_that_died(tmp_path):
    made = whole_run(tmp_path / "run")
    made.extra = [ComponentDied("postgres", -9, "logs/postgres.log")]
    text, code = gate(judge(made.write()))
    assert code == 3
    assert "postgres" in text


def manifest_with_profile(directory: Path) -> None:
    """Puts the plan's whole list of profiles back into the journal's manifest."""
    [path] = (directory / "journal").glob("main-*.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for event in lines:
        if event["type"] == "plan.resolved":
            event["manifest"]["profiles"] = [asdict(load) for load in MANIFEST.profiles]
    path.write_text("".join(json.dumps(event) + "\n" for event in lines))
