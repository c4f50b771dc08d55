"""From measurements to the verdict of each objective."""

from __future__ import annotations

from math import ceil, inf, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.objective import Objective
from core.outcome import Verdict
from reports.curves import distribution, over_time
from reports.measurements import TICK_NS, Measured, Measurements
from reports.model import GroupResult, ObjectiveResult
from reports.reading import LoadRecord, RunRecord, died
from reports.states import NOT_IN_PLAN, worst
from reports.stats import binomial
from reports.stats.batches import Batched
from reports.stats.quantile import Answer, judge_quantile, judge_share
from reports.words import number, quantity

_TO_MS = {"ms": 1.0, "s": 1000.0, "us": 0.001, "min": 60_000.0}
TOLERATED_UNHEALTHY = 0.01
"""Share of a load's window that may be unhealthy: one late tick is no saturation. Its samples still count."""


def judge_objectives(
    objectives: dict[str, Objective], run: RunRecord, measured: Measurements
) -> tuple[list[ObjectiveResult], dict[str, Any]]:
    """Every objective, in the file's order, and the curves behind them by objective and group."""
    planned = {o["id"]: o for o in run.manifest.get("objectives", [])}
    results: list[ObjectiveResult] = []
    curves: dict[str, Any] = {}
    for identifier, objective in objectives.items():
        plan = planned.get(identifier)
        result = _blank(objective, plan)
        results.append(result)
        _judge(result, objective, run, measured, curves)
        if plan is None and (objective.blocks or not result.samples):
            result.state, result.reason = NOT_IN_PLAN, "this plan does not decide it"
    results.extend(_vanished(plan) for identifier, plan in planned.items() if identifier not in objectives)
    _judge_holding(results, objectives)
    return results, curves


def _blank(objective: Objective, plan: dict[str, Any] | None) -> ObjectiveResult:
    percentile, wanted = objective.percentile, objective.samples
    if plan is not None:
        percentile = plan.get("percentile", percentile)
        wanted = int(plan.get("min_samples") or wanted)
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
        decides=plan is not None and bool(plan.get("decides", True)),
        state="unknown",
        reason="",
        profile=str((plan or {}).get("profile") or objective.profile or "checks"),
        wanted=wanted,
    )


def _vanished(plan: dict[str, Any]) -> ObjectiveResult:
    """The plan required an objective that the objectives file no longer holds: it cannot be judged."""
    return ObjectiveResult(
        id=plan["id"], title=plan["id"], unit="", direction="below", limit=0.0, percentile=None, service="",
        requirement="", clock="", blocks=True, decides=bool(plan.get("decides", True)), state="broken",
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
        _judge_level(result, objective, run, load)
    else:
        _judge_samples(result, objective, run, measured, curves)
    _spoil(result, objective, run, load, measured)


def _judge_samples(
    result: ObjectiveResult,
    objective: Objective,
    run: RunRecord,
    measured: Measurements,
    curves: dict[str, Any],
) -> None:
    groups = _groups(result, objective, run, measured)
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
        group, curve = _judge_group(result, objective, labels, series, len(groups))
        result.groups.append(group)
        marks = _marks(result, series, run, measured)
        curves[objective.id].append({"labels": labels, **curve, **marks})
    result.state = worst([g.state for g in result.groups])
    decisive = max(
        (g for g in result.groups if g.state == result.state), key=lambda g: _badness(g, objective.direction)
    )
    result.value, result.low, result.high = decisive.value, decisive.low, decisive.high
    result.samples = sum(g.samples for g in result.groups)
    result.needed = decisive.needed
    name = " ".join(decisive.labels.values()) if len(result.groups) > 1 else ""
    result.reason = f"{name}: {decisive.reason}" if name else decisive.reason


def _marks(
    result: ObjectiveResult, series: Measured, run: RunRecord, measured: Measurements
) -> dict[str, Any]:
    """What happened while the series was measured, in seconds since its first sample."""
    start = int(series.at.min()) * TICK_NS + measured.origin_ns
    end = int(series.at.max()) * TICK_NS + measured.origin_ns
    return {
        "unhealthy": [
            [round((one.start - start) / 1e9, 2), round((one.end - start) / 1e9, 2)]
            for one in run.unhealthy
            if run.serves(one.source, result.profile) and one.end > start and one.start < end
        ],
        "events": [
            [round(mark["at"] - start / 1e9, 2), mark["text"]]
            for mark in run.marks
            if start / 1e9 <= mark["at"] <= end / 1e9
        ],
    }


def _badness(group: GroupResult, direction: str) -> float:
    if group.value is None:
        return inf
    return group.value if direction == "below" else -group.value


def _groups(
    result: ObjectiveResult, objective: Objective, run: RunRecord, measured: Measurements
) -> list[tuple[dict[str, str], Measured]]:
    """The series judged apart, those of one group joined; gauges of that metric stand in where there are none."""
    series = [
        s
        for s in measured.of(objective.metric, dict(objective.labels))
        if s.labels.get("profile") in (None, result.profile) and s.response.size
    ]
    if not series:
        series = _from_gauges(objective, run)
    groups: dict[tuple[str, ...], list[Measured]] = {}
    for one in series:
        groups.setdefault(tuple(one.labels.get(label, "") for label in objective.by), []).append(one)
    return [
        ({k: v for k, v in zip(objective.by, key, strict=True) if v}, _joined(parts))
        for key, parts in sorted(groups.items())
    ]


def _joined(parts: list[Measured]) -> Measured:
    if len(parts) == 1:
        return parts[0]
    return Measured(
        parts[0].metric,
        parts[0].unit,
        {},
        np.concatenate([p.response for p in parts]),
        np.concatenate([p.service for p in parts]),
        np.concatenate([p.at for p in parts]),
        np.concatenate([p.outcome for p in parts]),
        sum(p.backwards for p in parts),
        sum(p.other_phases for p in parts),
    )


def _from_gauges(objective: Objective, run: RunRecord) -> list[Measured]:
    labels = dict(objective.labels)
    taken = [
        g
        for g in run.gauges
        if g.get("metric") == objective.metric and labels.items() <= (g.get("labels") or {}).items()
    ]
    if not taken:
        return []
    first = min(g["wall"] for g in taken)
    scale = _TO_MS.get(objective.unit, 1.0)
    values = np.array([float(g["value"]) * scale for g in taken], dtype=np.float32)
    at = np.array([(g["wall"] - first) // TICK_NS for g in taken], dtype=np.uint32)
    return [
        Measured(objective.metric, objective.unit, {}, values, values, at, np.zeros(len(taken), np.uint8))
    ]


def _judge_group(
    result: ObjectiveResult, objective: Objective, labels: dict[str, str], series: Measured, groups: int
) -> tuple[GroupResult, dict[str, Any]]:
    scale = _TO_MS.get(objective.unit, 1.0)
    failed = series.failed
    values = series.response / np.float32(scale)
    cut = series.cancelled & ~(values >= objective.limit)
    values[failed | (series.cancelled & ~cut)] = np.inf
    keep = ~cut
    at = series.at
    if bool(cut.any()):
        values, at, failed = values[keep], at[keep], failed[keep]
    if objective.percentile is None:
        data = Batched(failed.astype(np.float32), at)
        answer = judge_share(data, objective.limit)
    else:
        data = Batched(values, at)
        percentile = result.percentile if result.percentile is not None else objective.percentile
        answer = judge_quantile(data, percentile / 100.0, objective.limit, groups=groups)
    group = _group(result, objective, labels, answer)
    group.failed, group.cut = int(failed.sum()), int(cut.sum())
    _check_errors(group, objective)
    ordered = np.sort(values)
    group.quantiles = _quantiles(ordered)
    group.service_quantiles = _quantiles(np.sort(series.service / np.float32(scale)))
    curve = {
        "distribution": distribution(ordered),
        "service": distribution(np.sort(series.service[keep] / np.float32(scale))),
        "time": over_time(values, at, failed, TICK_NS / 1e9),
    }
    return group, curve


def _quantiles(ordered: NDArray[np.floating]) -> dict[str, float | None]:
    n = int(ordered.size)
    found: dict[str, float | None] = {}
    for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)):
        value = float(ordered[min(n - 1, max(0, ceil(q * n) - 1))]) if n else inf
        found[name] = value if isfinite(value) else None
    return found


def _group(
    result: ObjectiveResult, objective: Objective, labels: dict[str, str], answer: Answer
) -> GroupResult:
    state = str(answer.verdict)
    needed = answer.needed
    if result.samples < result.wanted:
        state = "unknown"
        needed = max(result.wanted, needed or 0)
    group = GroupResult(
        labels=labels,
        state=state,
        reason="",
        value=_finite(answer.value),
        low=_finite(answer.low),
        high=_finite(answer.high),
        samples=answer.samples,
        effective=answer.effective,
        over=answer.over,
        needed=needed,
    )
    group.reason = _say(result, objective, group, answer)
    return group


def _finite(value: float) -> float | None:
    return float(value) if isfinite(value) else None


def _say(result: ObjectiveResult, objective: Objective, group: GroupResult, answer: Answer) -> str:
    unit = objective.unit
    name = f"p{result.percentile:g}" if result.percentile is not None else "the share of right answers"
    value = (
        quantity(answer.value, unit) if isfinite(answer.value) else "beyond every answer (operations failed)"
    )
    sure = f"at {100 * (1 - binomial.RISK):g} % confidence"
    if group.state == "unknown" and result.samples < result.wanted:
        return f"{result.samples:,} samples, and at least {result.wanted:,} are needed to decide"
    below = objective.direction == "below"
    if unit == "%":
        value += (
            f" (error budget: {answer.over:,} of {(100 - objective.limit) / 100 * answer.samples:,.1f} used)"
        )
    if group.state == "met":
        bound = (
            f"at most {quantity(answer.high, unit)}" if below else f"at least {quantity(answer.low, unit)}"
        )
        return f"{name} is {value}, {bound} {sure}"
    if group.state == "missed":
        bound = (
            f"at least {quantity(answer.low, unit)}" if below else f"at most {quantity(answer.high, unit)}"
        )
        return f"{name} is {value}, {bound} {sure}; the limit is {quantity(objective.limit, unit)}"
    span = f"between {number(answer.low)} and {quantity(answer.high, unit)} {sure}"
    if unit == "%":
        span = f"between {quantity(answer.low, unit)} and {quantity(answer.high, unit)} {sure}"
    if answer.needed is None:
        return f"{name} is {value}, {span}: it lies on the limit, and no number of samples would tell"
    clean = " without a failure" if unit == "%" and answer.over == 0 else " like these"
    return f"{name} is {value}, {span}: {answer.needed:,} samples{clean} would decide, {answer.samples:,} were taken"


def _check_errors(group: GroupResult, objective: Objective) -> None:
    """Failures beyond the objective's own allowance: a fast error is no fast answer."""
    if objective.errors is None or group.state not in ("met", "unknown") or not group.failed:
        return
    allowed = objective.errors / 100.0
    if group.failed / group.samples <= allowed:
        return
    text = f"{group.failed:,} of {group.samples:,} operations failed; at most {objective.errors:g} % may"
    if binomial.lower(group.failed, group.samples) > allowed:
        group.state, group.reason = "missed", text
    else:
        group.state, group.reason = (
            "unknown",
            f"{text}, and the samples are too few to tell chance from fault",
        )
        group.needed = binomial.needed(group.failed / group.samples, allowed)


def _judge_level(
    result: ObjectiveResult, objective: Objective, run: RunRecord, load: LoadRecord | None
) -> None:
    """A level must hold at every reading of the steady window: nothing is estimated, so no interval."""
    labels = dict(objective.labels)
    taken = [
        g
        for g in run.gauges
        if g.get("metric") == objective.metric and labels.items() <= (g.get("labels") or {}).items()
    ]
    steady = [g for g in taken if (g.get("labels") or {}).get("phase", "steady") == "steady"]
    values = [float(g["value"]) for g in steady]
    result.samples = len(values)
    if not values:
        result.reason = f"no reading of {objective.metric} was recorded"
        result.needed = result.wanted
        return
    below = objective.direction == "below"
    result.value = max(values) if below else min(values)
    result.low, result.high = min(values), max(values)
    good = result.value < objective.limit if below else result.value >= objective.limit
    word = "highest" if below else "lowest"
    text = f"{word} of {len(values):,} readings is {quantity(result.value, objective.unit)}"
    if not good:
        result.state = "missed"
        causes = [f"{n:,} × {cause}" for g in steady for cause, n in (g.get("causes") or {}).items()]
        named = f": {'; '.join(causes[:3])}" if causes else ""
        result.reason = f"{text}; the limit is {quantity(objective.limit, objective.unit)}{named}"
    elif len(values) < result.wanted:
        result.reason = f"{text}, and at least {result.wanted:,} readings are needed to decide"
        result.needed = result.wanted
    else:
        result.state, result.reason = "met", text


def _spoil(
    result: ObjectiveResult,
    objective: Objective,
    run: RunRecord,
    load: LoadRecord | None,
    measured: Measurements,
) -> None:
    """What takes the evidence its worth: no finished load, saturated generator, lost worker, clock trouble."""
    if not result.decides:
        return
    why = ""
    backwards = sum(s.backwards for s in measured.of(objective.metric, dict(objective.labels)))
    if result.profile != "checks":
        if load is None or load.started is None:
            if result.samples == 0:
                result.reason = f"profile '{result.profile}' did not run, so there is no data"
        elif load.finished is None:
            why = f"profile '{result.profile}' did not finish"
        else:
            why = _missing(run, load, measured) or _unhealthy(run, load, objective, measured)
        if run.lost_workers and result.samples:
            who = run.lost_workers[0].get("worker") or run.lost_workers[0].get("name") or "a worker"
            why = why or f"load worker {who} was lost, so the load was not the one planned"
    if backwards:
        why = f"clock trouble: {backwards:,} samples end before they begin"
    if run.died and result.state != Verdict.MET and result.samples:
        why = why or died(run.died[0])
    if why:
        result.state, result.reason = "broken", f"{why}; its numbers are no evidence"


def _missing(run: RunRecord, load: LoadRecord, measured: Measurements) -> str:
    """Samples that the load says it took and the evidence does not hold."""
    told = load.fields.get("count")
    if not isinstance(told, int):
        return ""
    found = sum(n for source, n in measured.by_file.items() if run.serves(source, load.name))
    if found >= told:
        return ""
    return f"{told - found:,} of the {told:,} samples that '{load.name}' took are missing from the evidence"


def _unhealthy(run: RunRecord, load: LoadRecord, objective: Objective, measured: Measurements) -> str:
    """Why the generator's own state forbids to use the numbers, or nothing. Only its steady window counts."""
    steady = [s for s in measured.of(objective.metric, dict(objective.labels)) if s.at.size]
    if steady:
        start = min(int(s.at.min()) for s in steady) * TICK_NS + measured.origin_ns
        end = max(int(s.at.max()) for s in steady) * TICK_NS + measured.origin_ns
    else:
        start, end = load.started or 0, load.finished or 0
    window = max(1, end - start)
    bad, reason = 0, ""
    for one in run.unhealthy:
        overlap = min(one.end, end) - max(one.start, start)
        if overlap > 0 and run.serves(one.source, load.name):
            bad += overlap
            reason = reason or one.reason
    if bad <= TOLERATED_UNHEALTHY * window:
        return ""
    return f"{reason} for {bad / 1e9:.1f} s of {window / 1e9:.0f} s"


def _judge_holding(results: list[ObjectiveResult], objectives: dict[str, Objective]) -> None:
    """An objective that counts only while others hold takes the worst of them that this plan decides."""
    by_id = {r.id: r for r in results}
    for result in results:
        objective = objectives.get(result.id)
        if objective is None or not objective.holding or result.state != "met":
            continue
        others = [by_id[o] for o in objective.holding if o in by_id and by_id[o].decides]
        bad = [o for o in others if o.state != "met"]
        if bad:
            result.state = worst([o.state for o in bad])
            named = ", ".join(f"{o.title} {o.state}" for o in bad)
            result.reason = f"{result.reason}, but not while the others hold: {named}"
