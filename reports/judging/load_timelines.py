"""How each load went: users, pace and the generator's health over time, and the levels of a search for the knee."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np

from core.objective import Objective
from reports.judging.group import usable
from reports.judging.grouping import grouped
from reports.judging.measurements import Measured, Measurements
from reports.judging.model import ObjectiveResult
from reports.judging.run_record import LoadRecord, RunRecord, saturation
from reports.judging.stats.batches import Batched
from reports.judging.stats.quantile import judge_quantile

MOST = 240
"""Points of a curve; of an hour's seconds the gravest of each stretch are kept."""
FEWEST = 5
"""Answers below which a level has no value."""


def timelines(run: RunRecord) -> dict[str, Any]:
    """By profile: `users`, `pace`, `health`, `saturated`, `steady` (in seconds since it began), `levels` and `knee`."""
    return {name: _timeline(run, load) for name, load in run.loads.items() if load.started is not None}


def _timeline(run: RunRecord, load: LoadRecord) -> dict[str, Any]:
    start = load.started or 0
    end = load.finished or max((wall for wall, _ in load.progress), default=start)

    def since(wall: int) -> float:
        return round((wall - start) / 1e9, 2)

    health = [h for h in run.health if start <= h.wall <= end + 2e9 and run.serves(h.source, load.name)]
    lag = [[since(h.wall), h.event.lag_p99_ms, h.event.cpu] for h in health]
    return {
        "seconds": since(end),
        "steady": [
            since(load.steady_from) if load.steady_from else None,
            since(load.steady_to) if load.steady_to else None,
        ],
        "users": _thin([[since(wall), progress.users] for wall, progress in load.progress]),
        "pace": _thin([[since(wall), round(progress.per_second, 2)] for wall, progress in load.progress]),
        "health": _thin(lag),
        "unhealthy": [
            [since(u.start), since(u.end), u.reason]
            for u in run.unhealthy
            if u.end > start and u.start < end and run.serves(u.source, load.name)
        ],
        "saturated": [
            [since(one.start), since(one.end), saturation(one)]
            for one in run.stretches
            if one.event.profile == load.name and one.end > start and one.start < end
        ],
        "levels": [
            {"users": level.users, "holds": level.holds, "why": level.why, "per_second": level.per_second}
            | {"from": since(level.start), "to": since(level.end)}
            for level in load.levels
        ],
        "knee": {k: getattr(load.knee, k) for k in ("users", "low", "high", "sure", "peak")}
        if load.knee
        else {},
    }


def _thin(points: list[list[float]]) -> list[list[float]]:
    """At most MOST points: of each stretch the one with the largest second number."""
    if len(points) <= MOST:
        return points
    size = -(-len(points) // MOST)
    return [max(points[i : i + size], key=lambda p: p[1]) for i in range(0, len(points), size)]


def levels(
    result: ObjectiveResult, objective: Objective, run: RunRecord, measured: Measurements
) -> list[dict[str, Any]]:
    """The objective's value at each level of a search for the knee, with its interval; the worst group's.

    A level lasts seconds, so this steers a picture and decides no verdict. Levels within the warm-up have no value.
    """
    load = run.loads.get(result.profile)
    percentile = result.percentile or objective.percentile
    if load is None or not load.levels or percentile is None:
        return []
    groups = [(labels, series) for labels, series in grouped(result, objective, run, measured)]
    found = []
    for level in load.levels:
        first, last = measured.tick_of(level.start), measured.tick_of(level.end)
        values = [_value(_between(s, first, last), objective, percentile, labels) for labels, s in groups]
        known = [v for v in values if v]
        worst = max(known, key=lambda v: v["value"] if v["value"] is not None else np.inf, default={})
        found.append({"users": level.users, "holds": level.holds, **worst})
    return found


def _between(series: Measured, first: int, last: int) -> Measured:
    inside = (series.at >= max(0, first)) & (series.at <= max(0, last))
    return Measured(
        series.metric,
        series.unit,
        series.labels,
        series.response[inside],
        series.service[inside],
        series.at[inside],
        series.outcome[inside],
    )


def _value(
    series: Measured, objective: Objective, percentile: float, labels: dict[str, str]
) -> dict[str, Any] | None:
    values, at, _, _ = usable(series, objective)
    if values.size < FEWEST:
        return None
    answer = judge_quantile(Batched(values, at), percentile / 100.0, objective.limit)

    def finite(value: float) -> float | None:
        return round(float(value), 4) if isfinite(value) else None

    return {
        "value": finite(answer.value),
        "low": finite(answer.low),
        "high": finite(answer.high),
        "samples": answer.samples,
        "group": " ".join(labels.values()),
    }
