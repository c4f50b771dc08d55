"""Green by omission is impossible; each cause has its verdict, its exit code and its words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from core.clock import now_ns
from core.errors import ConfigError
from core.event_lines import to_line
from core.events import (
    ComponentDied,
    Gauge,
    LedgerPlanned,
    ManifestObjective,
    PartEnded,
    PartKind,
    PlatformVersion,
)
from core.evidence import Evidence
from core.journal import Journal
from core.load_events import GeneratorHealth, LoadLevel, LoadSteady, LoadUserFailed, WorkerLost
from core.outcome import CheckOutcome, LoadOutcome, RunOutcome
from core.secret import Redactor
from reports.judging.gate import gate
from reports.judging.invalidation import _window
from reports.judging.judge import judge
from reports.judging.measurements import TICK_NS
from reports.judging.model import RunVerdict, Waiver
from reports.judging.run_record import died
from tests.reports.made import CHECKS, Made, made_samples

Judged = Callable[..., RunVerdict]
PROFILES = {"perf.database": "database", "perf.upload": "upload", "perf.rooms": "rooms"}


def objective(verdict: RunVerdict, identifier: str) -> Any:
    return next(o for o in verdict.objectives if o.id == identifier)


def test_a_passing_run_opens_the_gate(judged: Judged) -> None:
    verdict = judged()
    assert (verdict.state, verdict.exit) == ("met", 0)
    assert not verdict.causes
    text, code = gate(verdict)
    assert code == 0
    assert "harness proved; no statement about a release" in text


@pytest.mark.parametrize("missing", [c[0] for c in CHECKS])
def test_removing_any_check_closes_the_gate(judged: Judged, missing: str) -> None:
    verdict = judged(skip={missing})
    assert verdict.exit == 1
    assert [c.who for c in verdict.causes] == [missing]
    assert missing in gate(verdict)[0]


@pytest.mark.parametrize("metric", PROFILES)
def test_removing_the_samples_of_any_objective_closes_the_gate(judged: Judged, metric: str) -> None:
    latency = {m: 5.0 for m in PROFILES if m != metric}
    verdict = judged(latency=latency)
    assert verdict.exit == 1
    assert objective(verdict, metric).state == "unknown"


@pytest.mark.parametrize("metric", PROFILES)
def test_removing_any_profile_closes_the_gate(tmp_path: Path, metric: str) -> None:
    made = Made(tmp_path / "run")
    directory = made.write()
    for path in (directory / "journal").glob("load-*.jsonl"):
        kept = [line for line in path.read_text().splitlines() if f'"{PROFILES[metric]}"' not in line]
        path.write_text("\n".join(kept) + "\n")
    verdict = judge(directory, waivers=[])
    assert verdict.exit == 1
    assert any(c.kind == "profile" and c.who == PROFILES[metric] for c in verdict.causes)


def test_a_block_of_samples_that_vanished_is_broken(tmp_path: Path) -> None:
    made = Made(tmp_path / "run", loads={"database": 30}, latency={"perf.database": 14.0}, load_count=9001)
    made.objectives = made.objectives[:1]
    verdict = judge(made.write(), waivers=[])
    assert verdict.exit == 3
    assert "1 of the 9,001 samples" in objective(verdict, "perf.database").reason


def test_an_objective_that_left_the_file_is_broken(judged: Judged) -> None:
    verdict = judged(objectives=[ManifestObjective("perf.gone", None, 1, "database", True)])
    assert verdict.exit == 3
    assert objective(verdict, "perf.gone").state == "broken"


@pytest.mark.parametrize("outcome", ["missed", "broken", "unknown", "not_covered"])
def test_every_outcome_but_met_closes_the_gate(judged: Judged, outcome: str) -> None:
    verdict = judged(outcomes={"kv.hit-and-miss": {"outcome": CheckOutcome(outcome), "message": "because"}})
    assert verdict.exit == (3 if outcome == "broken" else 1)
    assert verdict.counts()[outcome] == 1


def test_what_is_not_applicable_closes_nothing_and_is_counted(judged: Judged) -> None:
    """Every check of a service that the platform does not have: the service, its requirement and the gate say so."""
    silent = {"outcome": "not_applicable", "message": "not applicable: the target has no cache.kv"}
    kv = [c[0] for c in CHECKS if c[2] == "kv"]
    verdict = judged(outcomes=dict.fromkeys(kv, silent))
    assert (verdict.exit, verdict.counts()["not_applicable"]) == (0, len(kv))
    assert next(s for s in verdict.services if s.id == "kv").state == "not_applicable"
    assert next(r for r in verdict.requirements if r.id == "KV").state == "not_applicable"
    assert f"inapplicable {kv[0]}" in gate(verdict)[0]
    assert "required check met" in verdict.headline or "required checks met" in verdict.headline


def test_an_outcome_that_nobody_knows_is_broken(tmp_path: Path) -> None:
    directory = Made(tmp_path / "run").write()
    path = next((directory / "journal").glob("main-*.jsonl"))
    path.write_text(path.read_text().replace('"outcome": "met"', '"outcome": "passed"', 1))
    assert judge(directory, waivers=[]).exit == 3


def test_a_killed_run_is_broken_and_tells_what_it_had(judged: Judged) -> None:
    verdict = judged(finished=False, unfinished_loads={"rooms"})
    assert verdict.exit == 3
    assert "did not finish" in verdict.headline
    assert verdict.counts()["met"] == len(CHECKS)
    assert objective(verdict, "perf.rooms").state == "broken"
    assert objective(verdict, "perf.database").state == "met"


def test_a_journal_cut_at_any_byte_is_never_open(tmp_path: Path) -> None:
    directory = Made(tmp_path / "run", latency={}, loads={}, objectives=[], checks=CHECKS[:2]).write()
    path = next((directory / "journal").glob("main-*.jsonl"))
    whole = path.read_bytes()
    last = whole.rindex(b'{"type": "run.finished"')
    for end in range(0, last + 30, 101):
        path.write_bytes(whole[:end])
        assert judge(directory, waivers=[]).exit == 3, end


def test_damaged_evidence_is_broken(tmp_path: Path) -> None:
    directory = Made(tmp_path / "run").write()
    path = next((directory / "journal").glob("load-*.samples"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    verdict = judge(directory, waivers=[])
    assert verdict.exit == 3
    assert "damaged" in verdict.causes[0].text


def test_interrupted_is_broken(judged: Judged) -> None:
    assert judged(outcome=RunOutcome.INTERRUPTED).exit == 3


def test_nothing_recorded_is_broken(tmp_path: Path) -> None:
    (tmp_path / "run" / "journal").mkdir(parents=True)
    assert judge(tmp_path / "run", waivers=[]).exit == 3


def test_no_run_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no run"):
        judge(tmp_path)


def test_a_dead_component_is_named(judged: Judged) -> None:
    verdict = judged(extra=[ComponentDied("postgres", -9, "logs/postgres.log")])
    assert verdict.exit == 3
    assert "postgres died" in verdict.headline


def test_clear_misses_and_too_few(judged: Judged) -> None:
    slow = judged("slow", latency={"perf.database": 90.0, "perf.upload": 3000.0, "perf.rooms": 6.0})
    assert objective(slow, "perf.database").state == "missed"
    assert slow.exit == 1
    few = judged("few", samples={"perf.database": 3000, "perf.upload": 8, "perf.rooms": 399})
    assert objective(few, "perf.rooms").state == "unknown"
    assert "at least 400" in objective(few, "perf.rooms").reason


def test_near_the_limit_says_how_many_would_decide(judged: Judged) -> None:
    verdict = judged(latency={"perf.database": 14.0, "perf.upload": 3000.0, "perf.rooms": 27.9})
    rooms = objective(verdict, "perf.rooms")
    assert rooms.state == "unknown"
    assert rooms.needed is None or rooms.needed > 6000


def test_failures_beyond_the_allowance_miss(judged: Judged) -> None:
    verdict = judged(errors={"perf.rooms": 0.02})
    assert objective(verdict, "perf.rooms").state == "missed"
    assert "operations failed" in objective(verdict, "perf.rooms").reason


def _unhealthy(tmp_path: Path, seconds: float, *, level_holds: bool | None = None) -> RunVerdict:
    directory = Made(tmp_path / "run").write()
    path = next((directory / "journal").glob("load-*.jsonl"))
    lines = path.read_text().splitlines()
    start = next(float(json.loads(line)["t"]) for line in lines if "load.started" in line)

    def at(since: float) -> int:
        return int(start + since * 1e9)

    late = GeneratorHealth(at(5), at(5 + seconds), "sends lag 90 ms behind the schedule", 90.0, 0.2)
    levels = [
        LoadLevel(name, users, at(since), at(since + 10), holds, "", 10.0)
        for name in ("database", "rooms")
        for users, since, holds in ((10, 20, True), (20, 4, level_holds))
        if level_holds is not None and holds is not None
    ]
    more = [to_line(event, int(start), Redactor()).decode().strip() for event in (late, *levels)]
    path.write_text("\n".join([*lines[:-1], *more, lines[-1]]) + "\n")
    return judge(directory, waivers=[])


def test_a_saturated_generator_is_never_met(tmp_path: Path) -> None:
    verdict = _unhealthy(tmp_path, 4.0)
    assert verdict.exit == 3
    for identifier in PROFILES:
        assert objective(verdict, identifier).state == "broken"
        assert "lag 90 ms" in objective(verdict, identifier).reason


def test_in_a_search_for_the_knee_the_generator_must_be_fit_where_the_load_held(tmp_path: Path) -> None:
    overloaded = _unhealthy(tmp_path / "over", 4.0, level_holds=False)
    assert objective(overloaded, "perf.database").state != "broken"
    held = _unhealthy(tmp_path / "held", 4.0, level_holds=True)
    assert objective(held, "perf.database").state == "broken"


def test_a_lost_worker_spoils_the_numbers(judged: Judged) -> None:
    verdict = judged(extra=[WorkerLost("database", "w2", "killed", 12)])
    assert verdict.exit == 3
    assert "w2" in objective(verdict, "perf.database").reason


def test_clock_trouble_is_broken(tmp_path: Path) -> None:
    import numpy as np

    from core.journal import SAMPLE, Journal

    directory = Made(tmp_path / "run").write()
    journal = Journal(directory, "load", Redactor(), background=False)
    block = np.zeros(500, SAMPLE)
    block["phase"], block["series"] = 1, journal.series("perf.rooms", {}, "ms")
    block["intended"] = block["sent"] = 10**9
    block["done"] = 10**9 - 5_000_000
    journal.write_samples(block)
    journal.close()
    verdict = judge(directory, waivers=[])
    assert objective(verdict, "perf.rooms").state == "broken"
    assert "clock" in objective(verdict, "perf.rooms").reason


def test_scale_needs_the_others_to_hold(tmp_path: Path) -> None:
    scale = ManifestObjective("prod.scale", None, 10, "rooms", True)
    users = [Gauge("prod.scale", 1040 + i, "users") for i in range(12)]
    made = Made(tmp_path / "good", extra=users)
    made.objectives = [*made.objectives, scale]
    assert objective(judge(made.write(), waivers=[]), "prod.scale").state == "met"
    made = Made(
        tmp_path / "bad",
        extra=users,
        latency={"perf.database": 14.0, "perf.upload": 3000.0, "perf.rooms": 90.0},
    )
    made.objectives = [*made.objectives, scale]
    held = objective(judge(made.write(), waivers=[]), "prod.scale")
    assert held.state == "missed"
    assert "while the others hold" in held.reason
    made = Made(tmp_path / "dip", extra=[*users, Gauge("prod.scale", 990, "users")])
    made.objectives = [*made.objectives, scale]
    assert objective(judge(made.write(), waivers=[]), "prod.scale").state == "missed"


def waiver(check: str, expired: bool = False) -> Waiver:
    return Waiver(check, "vendor outage", "ada", "OPS-7", "2027-01-31", expired)


def test_a_waiver_opens_the_gate_and_shows(judged: Judged) -> None:
    verdict = judged(skip={"mixpanel.event"}, waivers=[waiver("mixpanel.event")])
    assert verdict.exit == 0
    assert "open with 1 waiver" in verdict.headline
    assert "OPS-7" in gate(verdict)[0]


def test_waivers_that_ended_or_name_nothing_do_not_count(judged: Judged) -> None:
    verdict = judged(
        skip={"mixpanel.event"}, waivers=[waiver("mixpanel.event", expired=True), waiver("no.such")]
    )
    assert verdict.exit == 1
    assert len(verdict.notes) == 2


def test_a_waiver_never_excuses_a_broken_run(judged: Judged) -> None:
    assert judged(finished=False, waivers=[waiver("run")]).exit == 3


def test_objectives_outside_the_plan_say_so(judged: Judged) -> None:
    verdict = judged()
    assert objective(verdict, "prod.uptime").state == "not_in_plan"
    assert "plan does not decide it" in objective(verdict, "prod.uptime").reason


def test_coverage_matrix_has_a_row_for_each_requirement(judged: Judged) -> None:
    verdict = judged()
    rows = {r.id: r for r in verdict.requirements}
    assert rows["P1.2"].state == "met"
    assert rows["P3.3"].state == "not_covered"
    assert rows["perf.database"].state == "met"
    assert len(rows) == 35


def test_judging_is_pure(tmp_path: Path) -> None:
    directory = Made(tmp_path / "run").write()
    before = {p: p.read_bytes() for p in directory.rglob("*") if p.is_file()}
    first, second = judge(directory, waivers=[]), judge(directory, waivers=[])
    assert first.as_dict() == second.as_dict()
    assert before == {p: p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def test_measured_but_unplanned_warnings_are_told_and_close_nothing(tmp_path: Path) -> None:
    vitals = [Gauge("web.lcp", 4000 + i, "ms") for i in range(12)]
    verdict = judge(Made(tmp_path / "run", extra=vitals).write(), waivers=[])
    found = objective(verdict, "web.lcp")
    assert found.state == "missed"
    assert not found.blocks_gate
    assert verdict.exit == 0


def test_load_is_what_covers_the_load_requirement(judged: Judged) -> None:
    rows = {r.id: r for r in judged().requirements}
    assert rows["P6.2"].state == "met"
    assert len(rows["P6.2"].objectives) == 3


def test_the_platform_version_and_what_was_left_are_told(judged: Judged) -> None:
    extra = [
        PlatformVersion("9f8e7d6"),
        LedgerPlanned("1", "r2.object", {"key": "a"}, ""),
    ]
    verdict = judged(extra=extra)
    assert verdict.version == verdict.subject == "9f8e7d6"
    assert any("assay sweep" in note for note in verdict.notes)


def test_a_process_that_never_closed_is_told(tmp_path: Path) -> None:
    directory = Made(tmp_path / "run").write()
    path = next((directory / "journal").glob("load-*.jsonl"))
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    assert any("never closed" in note for note in judge(directory, waivers=[]).notes)


def test_overrides_change_only_what_they_name(tmp_path: Path) -> None:
    directory = Made(tmp_path / "run").write()
    (tmp_path / "mine.toml").write_text('["perf.rooms"]\nlimit = 5\n')
    verdict = judge(directory, objectives=tmp_path / "mine.toml", waivers=[])
    assert objective(verdict, "perf.rooms").state == "missed"
    assert objective(verdict, "perf.database").limit == 100
    (tmp_path / "wrong.toml").write_text('\n["perf.rooms"]\nlimits = 5\n')
    with pytest.raises(ConfigError, match=r"wrong.toml line 3: .*limits is not known; did you mean 'limit'"):
        judge(directory, objectives=tmp_path / "wrong.toml", waivers=[])


def test_a_target_of_several_outcomes_says_the_gravest(judged: Judged) -> None:
    outcomes = {"kv.hit-and-miss": {"outcome": "missed"}, "ga4.event": {"outcome": "broken"}}
    verdict = judged(outcomes=outcomes)
    assert verdict.exit == 3
    assert [c.state for c in verdict.causes] == ["broken", "missed"]


def test_what_checks_measured_before_a_load_does_not_widen_its_window() -> None:
    """Else the generator's start, in the warm-up, would count as a part of the load that is judged."""
    second = 1_000_000_000
    load: Any = SimpleNamespace(
        steady_from=100 * second, steady_to=130 * second, started=99 * second, finished=131 * second
    )
    samples: Any = SimpleNamespace(at=np.array([40 * second // TICK_NS, 129 * second // TICK_NS]))
    measured: Any = SimpleNamespace(origin_ns=0)
    assert _window(load, [samples], measured) == (100 * second, 129 * second)


def test_a_requirement_of_which_some_was_not_tried_is_not_met(judged: Judged) -> None:
    undone = [(f"storage.n{n}", "Not in this plan", "supabase.storage", ["P2.2", "P9.9"]) for n in range(46)]
    rows = {r.id: r for r in judged(undone=undone).requirements}
    assert (rows["P2.2"].state, rows["P2.2"].tried) == ("unknown", "2 of 48 checks")
    assert (rows["P1.2"].state, rows["P1.2"].tried) == ("met", "2 checks")


def test_a_limit_from_below_is_about_the_highest_reading(judged: Judged) -> None:
    wanted = ManifestObjective("load.wrong", None, 1, "database", True)
    found = objective(
        judged(objectives=[wanted], load_extra=[Gauge("load.wrong", 0, "answers")]), "load.wrong"
    )
    assert found.statement == "highest < 1 answers"
    assert found.reason.startswith("highest of 1 readings")


@pytest.mark.parametrize("outcome", ["stopped", "broken"])
def test_a_load_that_did_not_run_as_planned_is_never_met(judged: Judged, outcome: str) -> None:
    verdict = judged(load_outcome=LoadOutcome(outcome), load_reason="because")
    assert verdict.exit == (3 if outcome == "broken" else 1)
    assert {p.state for p in verdict.profiles} == {"broken" if outcome == "broken" else "unknown"}
    assert all(objective(verdict, o).state != "met" for o in PROFILES)


@pytest.mark.parametrize("outcome", ["aborted", "crashed", "", "ran as planned", None, 3])
def test_a_load_s_outcome_that_nobody_knows_is_broken(tmp_path: Path, outcome: object) -> None:
    directory = Made(tmp_path / "run").write()
    path = next((directory / "journal").glob("load-*.jsonl"))
    path.write_text(path.read_text().replace('"outcome": "completed"', f'"outcome": {json.dumps(outcome)}'))
    verdict = judge(directory, waivers=[])
    assert verdict.exit == 3
    assert {p.state for p in verdict.profiles} == {"broken"}


def test_a_kind_of_event_that_nobody_knows_is_broken(tmp_path: Path) -> None:
    directory = Made(tmp_path / "run").write()
    path = next((directory / "journal").glob("main-*.jsonl"))
    path.write_text(path.read_text() + '{"type": "check.vetoed", "t": 1, "check": "kv.hit-and-miss"}\n')
    verdict = judge(directory, waivers=[])
    assert verdict.exit == 3
    assert "check.vetoed" in verdict.causes[0].text


def test_a_load_whose_own_users_failed_is_broken(judged: Judged) -> None:
    verdict = judged(load_extra=[LoadUserFailed("database", "KeyError: 'id'", 1200)])
    assert verdict.exit == 3
    assert next(p for p in verdict.profiles if p.name == "database").state == "broken"
    assert "a task raised KeyError: 'id' (1,200 times)" in objective(verdict, "perf.database").reason
    assert objective(verdict, "perf.rooms").state == "met", "another load is none of its business"


def test_a_death_is_told_once(judged: Judged) -> None:
    outcomes = {
        "kv.hit-and-miss": {"outcome": "broken", "message": "no answer", "fallen": ("postgres",)},
    }
    verdict = judged(extra=[ComponentDied("postgres", 1, "logs/postgres.log")], outcomes=outcomes)
    whole = [c.text for c in verdict.causes if c.kind == "run"]
    assert whole == ["postgres died during the run (exit code 1, log logs/postgres.log)"]


@pytest.mark.parametrize(
    ("code", "how"), [(-9, "signal SIGKILL"), (1, "exit code 1"), (None, "nobody saw how")]
)
def test_a_death_in_words(code: int | None, how: str) -> None:
    assert died(ComponentDied("kv", code, "kv.log")) == f"kv died during the run ({how}, log kv.log)"


def test_what_checks_measured_beside_a_load_is_not_judged_as_the_load_s(tmp_path: Path) -> None:
    """A thousand slow samples of a check that measures the same would make the load's p95 another."""
    plain = judge(Made(tmp_path / "plain").write(), waivers=[])
    directory = Made(tmp_path / "beside").write()
    journal = Journal(directory, "checks-gw0", Redactor(), background=False)
    series = journal.series("perf.rooms", {}, "ms")
    rng = np.random.default_rng(7)
    journal.write_samples(made_samples(rng, series, 3000, 900.0, now_ns(), 60.0))
    journal.close()
    beside = judge(directory, waivers=[])
    for verdict in (plain, beside):
        rooms = objective(verdict, "perf.rooms")
        assert (rooms.state, rooms.samples) == ("met", 6000)


@pytest.mark.parametrize(
    ("kind", "code", "open_gate"),
    [("checks", 0, True), ("checks", 1, True), ("checks", 5, True), ("checks", 2, False), ("checks", -9, False),
     ("load", 0, True), ("load", 3, False), ("load", -9, False)],
)  # fmt: skip
def test_how_a_part_ended_decides_by_its_event(judged: Judged, kind: str, code: int, open_gate: bool) -> None:
    ended = PartEnded("database", PartKind(kind), code, "logs/database.log", "it fell over")
    verdict = judged(extra=[ended])
    assert verdict.open == open_gate
    assert open_gate or f"ended with {code}" in verdict.causes[0].text


def test_a_check_s_samples_are_not_a_load_s(tmp_path: Path) -> None:
    """Finding 1.13: a check inserts a row now and then while the load runs; its samples widen nothing."""
    alone = judge(Made(tmp_path / "alone").write(), waivers=[])
    directory = Made(tmp_path / "beside").write()
    began = min(event.steady_from for event in Evidence(directory).events(LoadSteady))
    checks = Journal(directory, "checks-gw0", Redactor(), background=False)
    series = checks.series("perf.database", {"kind": "insert"}, "ms")
    rng = np.random.default_rng(7)
    checks.write_samples(made_samples(rng, series, 400, 900.0, began, 80.0))
    checks.close()
    beside = judge(directory, waivers=[])
    for name in ("perf.database", "perf.rooms"):
        ours, theirs = objective(alone, name), objective(beside, name)
        assert (theirs.state, theirs.samples, theirs.value) == (ours.state, ours.samples, ours.value)
