"""Which samples an objective is judged on: its series by group, and what happened while they were taken."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.objective import Objective
from reports.judging.measurements import TICK_NS, Measured, Measurements
from reports.judging.model import ObjectiveResult
from reports.judging.run_record import GaugeReading, RunRecord

TO_MS = {"ms": 1.0, "s": 1000.0, "us": 0.001, "min": 60_000.0}
"""Milliseconds in a unit."""


def grouped(
    result: ObjectiveResult, objective: Objective, run: RunRecord, measured: Measurements
) -> list[tuple[dict[str, str], Measured]]:
    """The series judged apart, those of one group joined; gauges of that metric stand in where there are none."""
    series = [s for s in series_of(result, objective, run, measured) if s.response.size]
    if not series:
        series = _from_gauges(objective, readings_of(result, objective, run))
    groups: dict[tuple[str, ...], list[Measured]] = {}
    for one in series:
        groups.setdefault(tuple(one.labels.get(label, "") for label in objective.by), []).append(one)
    return [
        ({k: v for k, v in zip(objective.by, key, strict=True) if v}, _joined(parts))
        for key, parts in sorted(groups.items())
    ]


def series_of(
    result: ObjectiveResult, objective: Objective, run: RunRecord, measured: Measurements
) -> list[Measured]:
    """The series of an objective, from the journals of the load that the plan names, or of the checks."""
    return [
        s
        for s in measured.of(objective.metric, dict(objective.labels))
        if s.labels.get("profile") in (None, result.profile) and run.serves(s.source, result.profile)
    ]


def readings_of(result: ObjectiveResult, objective: Objective, run: RunRecord) -> list[GaugeReading]:
    """The readings of a level: of whatever load it is, since a wrong answer is wrong in each, or of the checks."""
    labels = dict(objective.labels).items()
    return [
        one
        for one in run.gauges
        if one.gauge.metric == objective.metric
        and labels <= one.gauge.labels.items()
        and run.reads(one.source, result.profile)
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


def _from_gauges(objective: Objective, taken: list[GaugeReading]) -> list[Measured]:
    if not taken:
        return []
    first = min(one.wall for one in taken)
    scale = TO_MS.get(objective.unit, 1.0)
    values = np.array([one.gauge.value * scale for one in taken], dtype=np.float32)
    at = np.array([(one.wall - first) // TICK_NS for one in taken], dtype=np.uint32)
    return [
        Measured(objective.metric, objective.unit, {}, values, values, at, np.zeros(len(taken), np.uint8))
    ]


def marks(
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
