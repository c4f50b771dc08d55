"""From measurements to the verdict of each objective."""

from __future__ import annotations

from math import inf
from typing import Any

from core.events import ManifestObjective
from core.objective import Objective
from core.outcome import NOT_APPLICABLE, NOT_COVERED
from reports.judging.group import judge_group
from reports.judging.grouping import grouped, marks, readings_of
from reports.judging.invalidation import invalidate
from reports.judging.load_timelines import MOST, levels, timelines
from reports.judging.measurements import Measurements
from reports.judging.model import GroupResult, ObjectiveResult
from reports.judging.run_record import CHECKS, RunRecord
from reports.judging.verdict_table import NOT_IN_PLAN, worst
from reports.rendering.formatting import quantity


def judge_objectives(
    objectives: dict[str, Objective], run: RunRecord, measured: Measurements
) -> tuple[list[ObjectiveResult], dict[str, Any]]:
    """Every objective, in the file's order, and the curves behind them by objective and group (and `loads`)."""
    planned = {one.id: one for one in run.manifest.objectives}
    results: list[ObjectiveResult] = []
    curves: dict[str, Any] = {}
    for identifier, objective in objectives.items():
        plan = planned.get(identifier)
        result = _blank(objective, plan)
        results.append(result)
        _judge(result, objective, run, measured, curves)
        if (left := run.left.get(result.profile)) and not result.samples:
            result.state, result.reason = NOT_COVERED if left.applicable else NOT_APPLICABLE, left.why
        if plan is None and (objective.blocks or not result.samples):
            result.state, result.reason = NOT_IN_PLAN, "this plan does not decide it"
    results.extend(_vanished(plan) for identifier, plan in planned.items() if identifier not in objectives)
    _judge_holding(results, objectives)
    curves["loads"] = timelines(run)
    return results, curves


def _blank(objective: Objective, plan: ManifestObjective | None) -> ObjectiveResult:
    percentile, wanted = objective.percentile, objective.samples
    if plan is not None:
        percentile, wanted = plan.percentile, plan.min_samples
    return ObjectiveResult(
        id=objective.id,
        title=objective.title,
        unit=objective.unit,
        direction=objective.direction,
        limit=objective.limit,
        percentile=percentile,
        service=objective.service,
        requirement=objective.requirement,
        clock=objective.clock,
        blocks=objective.blocks,
        decides=plan is not None and plan.decides,
        state="unknown",
        reason="",
        profile=plan.profile if plan is not None else objective.profile or CHECKS,
        wanted=wanted,
    )


def _vanished(plan: ManifestObjective) -> ObjectiveResult:
    """The plan required an objective that the objectives file no longer holds: it cannot be judged."""
    return ObjectiveResult(
        id=plan.id, title=plan.id, unit="", direction="below", limit=0.0, percentile=None, service="",
        requirement="", clock="", blocks=True, decides=plan.decides, state="broken",
        reason="the plan required it, and objectives.toml does not hold it",
    )  # fmt: skip


def _judge(
    result: ObjectiveResult,
    objective: Objective,
    run: RunRecord,
    measured: Measurements,
    curves: dict[str, Any],
) -> None:
    load = run.loads.get(result.profile)
    if objective.percentile is None and objective.unit != "%":
        _judge_level(result, objective, run, curves)
    else:
        _judge_samples(result, objective, run, measured, curves)
    invalidate(result, objective, run, load, measured)


def _judge_samples(
    result: ObjectiveResult,
    objective: Objective,
    run: RunRecord,
    measured: Measurements,
    curves: dict[str, Any],
) -> None:
    groups = grouped(result, objective, run, measured)
    if not groups:
        there = sorted({str(s.labels) for s in measured.series if s.metric == objective.metric})
        result.reason = f"no samples of {objective.metric} were recorded"
        if there and objective.labels:
            result.reason = (
                f"no samples of {objective.metric} with {dict(objective.labels)}; recorded: {there[0]}"
            )
        result.needed = result.wanted
        return
    curves[objective.id] = []
    result.samples = sum(series.response.size for _, series in groups)
    for labels, series in groups:
        group, curve = judge_group(result, objective, labels, series, len(groups))
        result.groups.append(group)
        happened = marks(result, series, run, measured)
        curves[objective.id].append({"labels": labels, **curve, **happened})
    if steps := levels(result, objective, run, measured):
        curves[objective.id][0]["levels"] = steps
    result.state = worst([g.state for g in result.groups])
    decisive = max(
        (g for g in result.groups if g.state == result.state), key=lambda g: _badness(g, objective.direction)
    )
    result.value, result.low, result.high = decisive.value, decisive.low, decisive.high
    result.samples = sum(g.samples for g in result.groups)
    result.needed = decisive.needed
    name = " ".join(decisive.labels.values()) if len(result.groups) > 1 else ""
    result.reason = f"{name}: {decisive.reason}" if name else decisive.reason


def _badness(group: GroupResult, direction: str) -> float:
    if group.value is None:
        return inf
    return group.value if direction == "below" else -group.value


def _judge_level(
    result: ObjectiveResult, objective: Objective, run: RunRecord, curves: dict[str, Any]
) -> None:
    """A level must hold at every reading of the steady window: nothing is estimated, so no interval."""
    taken = readings_of(result, objective, run)
    steady = [one.gauge for one in taken if one.gauge.labels.get("phase", "steady") == "steady"]
    values = [gauge.value for gauge in steady]
    result.samples = len(values)
    if not values:
        result.reason = f"no reading of {objective.metric} was recorded"
        result.needed = result.wanted
        return
    first = min(one.wall for one in taken)
    drawn = sorted([round((one.wall - first) / 1e9, 2), one.gauge.value] for one in taken)
    curves[objective.id] = [{"labels": {}, "readings": drawn[:: -(-len(drawn) // MOST)]}]
    below = objective.direction == "below"
    result.value = max(values) if below else min(values)
    result.low, result.high = min(values), max(values)
    good = result.value < objective.limit if below else result.value >= objective.limit
    word = "highest" if below else "lowest"
    text = f"{word} of {len(values):,} readings is {quantity(result.value, objective.unit)}"
    if not good:
        result.state = "missed"
        causes = [f"{cause} ({n:,} times)" for gauge in steady for cause, n in gauge.causes.items()]
        named = f": {'; '.join(causes[:3])}" if causes else ""
        result.reason = f"{text}; the limit is {quantity(objective.limit, objective.unit)}{named}"
    elif len(values) < result.wanted:
        result.reason = f"{text}, and at least {result.wanted:,} readings are needed to decide"
        result.needed = result.wanted
    else:
        result.state, result.reason = "met", text


def _judge_holding(results: list[ObjectiveResult], objectives: dict[str, Objective]) -> None:
    """An objective that counts only while others hold takes the worst of them that this plan decides."""
    by_id = {r.id: r for r in results}
    for result in results:
        objective = objectives.get(result.id)
        if objective is None or not objective.holding or result.state != "met":
            continue
        others = [by_id[o] for o in objective.holding if o in by_id and by_id[o].decides]
        bad = [o for o in others if o.state not in ("met", NOT_APPLICABLE)]
        if bad:
            result.state = worst([o.state for o in bad])
            named = ", ".join(f"{o.title} {o.state}" for o in bad)
            result.reason = f"{result.reason}, but not while the others hold: {named}"
