"""One group of an objective's samples: its verdict in numbers and words, and its curves."""

from __future__ import annotations

from math import ceil, inf, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.objective import Objective
from reports.judging.curves import distribution, over_time
from reports.judging.grouping import TO_MS
from reports.judging.measurements import TICK_NS, Measured
from reports.judging.model import GroupResult, ObjectiveResult
from reports.judging.stats import binomial
from reports.judging.stats.batches import Batched
from reports.judging.stats.quantile import QuantileVerdict, judge_quantile, judge_share
from reports.rendering.formatting import duration, number, quantity

SECOND = 1e9 / TICK_NS
"""Ticks in a second."""


def judge_group(
    result: ObjectiveResult, objective: Objective, labels: dict[str, str], series: Measured, groups: int
) -> tuple[GroupResult, dict[str, Any]]:
    """Judges the samples of one of `groups` groups; returns the result and the curves behind it."""
    values, at, failed, cut = usable(series, objective)
    if objective.percentile is None:
        data = Batched(failed.astype(np.float32), at, SECOND)
        answer = judge_share(data, objective.limit)
    else:
        data = Batched(values, at, SECOND)
        percentile = result.percentile if result.percentile is not None else objective.percentile
        answer = judge_quantile(data, percentile / 100.0, objective.limit, groups=groups)
    group = _group(result, objective, labels, answer)
    group.failed, group.cut = int(failed.sum()), cut
    _check_errors(group, objective)
    ordered = np.sort(values)
    group.quantiles = _quantiles(ordered)
    service = np.sort(series.service / np.float32(TO_MS.get(objective.unit, 1.0)))
    group.service_quantiles = _quantiles(service)
    curve = {
        "distribution": distribution(ordered),
        "service": distribution(service),
        "time": over_time(values, at, failed, TICK_NS / 1e9),
    }
    return group, curve


def usable(
    series: Measured, objective: Objective
) -> tuple[NDArray[np.float32], NDArray[np.uint32], NDArray[np.bool_], int]:
    """What counts of a series: values in the objective's unit, their times, which failed, how many were cut off.

    An operation that failed counts as infinitely slow; one that was cut off counts where it was already beyond
    the limit, and is left out where nobody can say.
    """
    values = series.response / np.float32(TO_MS.get(objective.unit, 1.0))
    failed = series.failed
    cut = series.cancelled & ~(values >= objective.limit)
    values[failed | (series.cancelled & ~cut)] = np.inf
    if not bool(cut.any()):
        return values, series.at, failed, 0
    keep = ~cut
    return values[keep], series.at[keep], failed[keep], int(cut.sum())


def _quantiles(ordered: NDArray[np.floating]) -> dict[str, float | None]:
    n = int(ordered.size)
    found: dict[str, float | None] = {}
    for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)):
        value = float(ordered[min(n - 1, max(0, ceil(q * n) - 1))]) if n else inf
        found[name] = value if isfinite(value) else None
    return found


def _group(
    result: ObjectiveResult, objective: Objective, labels: dict[str, str], answer: QuantileVerdict
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
        reach=round(answer.reach, 2) if state == "met" else 0.0,
    )
    group.reason = _say(result, objective, group, answer)
    return group


def _finite(value: float) -> float | None:
    return float(value) if isfinite(value) else None


def _say(result: ObjectiveResult, objective: Objective, group: GroupResult, answer: QuantileVerdict) -> str:
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
    lasting = ""
    if result.profile != "checks" and answer.seconds:
        lasting = f" ({duration(ceil(answer.needed / answer.samples * answer.seconds))} of such a load)"
    return (
        f"{name} is {value}, {span}: {answer.needed:,} samples{clean} would decide{lasting}, "
        f"{answer.samples:,} were taken"
    )


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
