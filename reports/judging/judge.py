"""Evidence in, verdict out. Reads files alone and changes nothing, so that any run can be judged again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.event_lines import plain
from core.events import PartEnded, PartKind
from core.evidence import Evidence
from core.objective import Objective
from core.outcome import DID_NOT_RUN, NOT_APPLICABLE, LoadOutcome, RunOutcome
from reports.judging.checks import judge_checks, judge_profiles, judge_requirements, judge_services
from reports.judging.coverage import judge_coverage, uncovered
from reports.judging.known_problems import mark_known
from reports.judging.measurements import measure
from reports.judging.model import Cause, CheckResult, ObjectiveResult, RunVerdict, Waiver
from reports.judging.mutes import Mute, load_mutes
from reports.judging.objectives import judge_objectives
from reports.judging.overrides import Sources
from reports.judging.run_record import RunRecord, died, read
from reports.judging.verdict_table import BROKEN, CLOSED, OPEN, STATES, worst
from reports.judging.waivers import load_waivers
from reports.rendering.formatting import count, moment

if TYPE_CHECKING:
    from reports.history.store import History


def judge(
    run_dir: Path,
    objectives: dict[str, Objective] | Path | None = None,
    waivers: list[Waiver] | Path | None = None,
    history: History | None = None,
    project: Path | None = None,
    mutes: Sequence[Mute] | None = None,
) -> RunVerdict:
    """Judges the run in a folder. `history` is only read. Raises ConfigError when the folder holds no run.

    `objectives` as a path is a file of overrides over the shipped and the project's; None takes the target's own, if it
    has one. `waivers`, `mutes` and `requirements` are the project's, too (reports/judging/overrides.py): those of the
    folder that the run recorded, or of `project` where that is not on this machine.
    """
    evidence = Evidence(Path(run_dir))
    run = read(evidence)
    recorded = run.started.project if run.started else ""
    sources = Sources.of_run(recorded, project)
    if waivers is None or isinstance(waivers, Path):
        waivers = load_waivers(waivers or sources.waivers)
    if objectives is None or isinstance(objectives, Path):
        objectives = sources.objectives(str(_target(run)["name"]), objectives)
    measured = measure(evidence)
    run.damage += evidence.damaged
    checks = judge_checks(run)
    results, curves = judge_objectives(objectives, run, measured)
    begun = run.started
    started, finished = run.started_ns or run.first_ns, run.finished_ns
    end = finished or run.last_ns
    verdict = RunVerdict(
        run=run.id,
        state="unknown",
        exit=BROKEN,
        headline="",
        causes=[],
        target=_target(run),
        plan=run.plan.plan if run.plan else begun.plan if begun else "none",
        commit=begun.commit if begun else "unknown",
        version=run.version,
        started=moment(started),
        finished=moment(finished),
        seconds=(end - started) / 1e9 if started and end else None,
        host=begun.host if begun else "",
        vantage=_vantage(run),
        argv=list(begun.argv) if begun else [],
        assay_version=begun.assay_version if begun else "",
        checks=checks,
        objectives=results,
        services=judge_services(run, checks, results),
        profiles=judge_profiles(run),
        requirements=judge_requirements(
            checks, results, run.plan.declared if run.plan else (), sources.requirements
        ),
        coverage=judge_coverage(run.target.capabilities if run.target else {}, checks),
        waivers=[],
        notes=_notes(run, [] if sources.project or not recorded else [_gone(recorded)]),
        events=run.marks,
        since_last={},
        samples=measured.total,
        manifest=plain(run.manifest),
        measurements=curves,
    )
    if history is not None:
        history.annotate(verdict, objectives)
    _waive(verdict, waivers)
    mark_known(verdict, waivers, load_mutes(sources.alerts) if mutes is None else mutes)
    verdict.causes = _causes(verdict, run)
    _conclude(verdict)
    return verdict


def _gone(project: str) -> str:
    return f"judged by the shipped files: the project's folder {project} is not here; name it with --project"


def _notes(run: RunRecord, more: list[str]) -> list[str]:
    notes = [*more, *(n for n in run.notes if n)]
    if run.shard:
        notes.append(
            f"shard {run.shard.number} of {run.shard.of} alone: `assay merge` judges all of them together"
        )
    if run.finished is not None:
        notes += [f"{stem} never closed its journal: that process was killed" for stem in run.open_journals]
    notes += [f"not touched: {why}" for why in run.foreign]
    if run.ledger_left:
        notes.append(
            f"{count(run.ledger_left, 'thing')} that the run made may still be there; `assay sweep` undoes them"
        )
    return notes


def _target(run: RunRecord) -> dict[str, Any]:
    """The target as it was resolved; of a run that broke before, what was asked for."""
    if run.target:
        described = plain(run.target)
        del described["services"]
        return dict(described)
    asked = run.started.target if run.started else "unknown"
    return {"kind": asked, "name": asked}


def _vantage(run: RunRecord) -> str:
    """Where the load came from: values measured from elsewhere are not compared."""
    regions = {load.start.region for load in run.loads.values() if load.start and load.start.region}
    return ",".join(sorted(regions)) or "default"


def _waive(verdict: RunVerdict, waivers: list[Waiver]) -> None:
    """Ties waivers to what they excuse; tells of those that are out of date or name nothing."""
    by_id: dict[str, CheckResult | ObjectiveResult] = {c.id: c for c in verdict.checks}
    by_id.update({o.id: o for o in verdict.objectives})
    for waiver in waivers:
        result = by_id.get(waiver.check)
        if result is None:
            verdict.notes.append(
                f"the waiver for '{waiver.check}' names neither a check nor an objective of this run"
            )
        elif waiver.expired:
            verdict.notes.append(
                f"the waiver for '{waiver.check}' ended on {waiver.expiry} and no longer counts"
            )
        elif result.blocks_gate:
            result.waiver = waiver
            verdict.waivers.append(replace(waiver))


def _causes(verdict: RunVerdict, run: RunRecord) -> list[Cause]:
    """Everything that keeps the gate from being open: the run itself first, then by gravity."""
    whole = [Cause("broken", who, text, "run") for who, text in _run_faults(verdict, run)]
    parts = [
        Cause(c.state, c.id, f"{c.title}: {_first_line(c.message) or STATES[c.state].meaning}", "check")
        for c in verdict.checks
        if c.blocks_gate
    ]
    for o in verdict.objectives:
        if o.blocks_gate:
            regressed = o.state == "met" and o.regression is not None
            text = o.regression.text if regressed and o.regression else o.reason
            parts.append(
                Cause(
                    "missed" if regressed else o.state,
                    o.id,
                    f"{o.title} ({o.statement}): {text}",
                    "objective",
                )
            )
    parts += [
        Cause(p.state, p.name, f"load profile '{p.name}' {p.reason}", "profile")
        for p in verdict.profiles
        if p.required and p.state not in ("met", NOT_APPLICABLE)
    ]
    parts += uncovered(verdict.coverage, run.manifest.must_cover)
    parts.sort(key=lambda c: -STATES[c.state].rank)
    return whole + parts


def _run_faults(verdict: RunVerdict, run: RunRecord) -> list[tuple[str, str]]:
    faults = [(death.component, died(death)) for death in run.died]
    if run.finished is None:
        faults.append(
            ("run", "the run did not finish: it was killed, or still runs; below is what it had recorded")
        )
    elif run.finished.outcome != RunOutcome.COMPLETED:
        why = f": {run.finished.error}" if run.finished.error else ""
        faults.append(("run", f"the run was {run.finished.outcome}{why}"))
    faults += [(part.part, text) for part in run.parts.values() if (text := _ended_badly(part, run))]
    if not run.plan:
        faults.append(("plan", "no plan was recorded, so nobody can say what should have run"))
    faults += [("journal", f"evidence is damaged: {what}") for what in run.damage]
    if not faults and not verdict.samples and all(c.state in DID_NOT_RUN for c in verdict.checks):
        faults.append(("run", "nothing ran: no check finished and no sample was taken"))
    return faults


_JUDGED = (0, 1, 5)
"""Exit codes of pytest after which every check was judged: all met, some failed, none selected."""


def _ended_badly(part: PartEnded, run: RunRecord) -> str:
    """What the end of a subprocess says beside what it journaled, or nothing."""
    if part.kind == PartKind.CHECKS:
        bad = part.exit_code not in _JUDGED
        return f"pytest of {part.part} ended with {part.exit_code}; see {part.log}" if bad else ""
    load = run.loads.get(part.part)
    explained = load is not None and load.end is not None and load.end.outcome != LoadOutcome.COMPLETED
    if part.exit_code == 0 or explained:
        return ""
    return f"the load '{part.part}' ended with {part.exit_code}: {part.last_line}"


def _conclude(verdict: RunVerdict) -> None:
    states = [c.state for c in verdict.causes]
    verdict.state = worst(states)
    verdict.exit = OPEN if not states else BROKEN if "broken" in states else CLOSED
    verdict.headline = _headline(verdict)


def _headline(verdict: RunVerdict) -> str:
    required = [c for c in verdict.checks if c.required]
    if verdict.open:
        waived = verdict.used_waivers
        what = f"Gate open with {count(len(waived), 'waiver')}" if waived else "Gate open"
        deciding = [o for o in verdict.objectives if o.decides and o.state != NOT_APPLICABLE]
        parts = (
            [f"{count(sum(c.state == 'met' for c in required), 'required check')} met"] if required else []
        )
        if deciding:
            parts.append(
                f"{sum(o.state == 'met' for o in deciding)} of {count(len(deciding), 'objective')} met"
            )
        return f"{what}: {', '.join(parts)}" if parts else what
    whole = [c for c in verdict.causes if c.kind == "run"]
    if whole:
        return f"Broken: {whole[0].text}"
    found: dict[tuple[str, str], int] = {}
    for cause in verdict.causes:
        found[cause.kind, cause.state] = found.get((cause.kind, cause.state), 0) + 1
    many = {"capability": "capabilities"}
    parts = [f"{count(n, kind, many.get(kind))} {STATES[s].word}" for (kind, s), n in found.items()]
    return f"{'Broken' if verdict.exit == BROKEN else 'Gate closed'}: {', '.join(parts)}"


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else ""
