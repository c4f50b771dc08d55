"""The curves of two runs in one picture: the earlier one dotted, the later one solid."""

from __future__ import annotations

from typing import Any

from reports.judging.model import ObjectiveResult
from reports.rendering.formatting import quantity
from reports.rendering.page.charts import nines
from reports.rendering.page.svg import Chart

_EARLIER, _LATER = "three", "one"
_TICKS = (0, 50, 90, 99, 99.9, 99.99, 99.999)


def figures(objective: ObjectiveResult, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Distribution and p95 over time of each group that both runs measured, and the users of their loads."""
    found = []
    if objective.percentile is not None:
        earlier = {_name(curve): curve for curve in before.get(objective.id, [])}
        for curve in after.get(objective.id, []):
            name = _name(curve)
            if name in earlier and curve.get("distribution"):
                found += [
                    _distribution(objective, name, earlier[name], curve),
                    _over_time(objective, name, earlier[name], curve),
                ]
    loads = [run.get("loads", {}).get(objective.profile, {}) for run in (before, after)]
    return [f for f in [*found, _users(*loads)] if f]


def _name(curve: dict[str, Any]) -> str:
    return " ".join(curve["labels"].values())


def _titled(title: str, name: str) -> str:
    return f"{title}, {name}" if name else title


def _distribution(objective: ObjectiveResult, name: str, one: dict[str, Any], two: dict[str, Any]) -> str:
    lines = [[(nines(p), v) for p, v in curve["distribution"] if p < 100] for curve in (one, two)]
    points = [p for line in lines for p in line]
    if not points:
        return ""
    far, low = max(x for x, _ in points), min(v for _, v in points)
    chart = Chart(
        _titled("Distribution", name), (0, max(1.0, far)), (low, max(objective.limit, *(v for _, v in points))),
        unit=objective.unit, x_unit="percentile", log_y=low > 0,
    )  # fmt: skip
    for line, kind, word in zip(lines, (_EARLIER, _LATER), ("earlier", "later"), strict=True):
        chart.line(line, kind, word)
    chart.limit(objective.limit, f"limit {quantity(objective.limit, objective.unit)}")
    return chart.render([(nines(p), f"{p:g}") for p in _TICKS if nines(p) <= far])


def _over_time(objective: ObjectiveResult, name: str, one: dict[str, Any], two: dict[str, Any]) -> str:
    lines = [
        [(r[0] + curve["time"]["step"] / 2, r[4]) for r in curve["time"]["rows"]] for curve in (one, two)
    ]
    values = [v for line in lines for _, v in line if v is not None]
    if not values:
        return ""
    end = max(x for line in lines for x, _ in line)
    chart = Chart(
        _titled("p95 over time", name), (0, end), (min(values), max(*values, objective.limit)),
        unit=objective.unit, x_unit="seconds of the steady window", log_y=min(values) > 0,
    )  # fmt: skip
    for line, kind, word in zip(lines, (_EARLIER, _LATER), ("earlier", "later"), strict=True):
        chart.line(line, kind, word)
    chart.limit(objective.limit, f"limit {quantity(objective.limit, objective.unit)}")
    return chart.render()


def _users(one: dict[str, Any], two: dict[str, Any]) -> str:
    lines = [[(float(t), float(n)) for t, n in load.get("users", [])] for load in (one, two)]
    if any(len(line) < 2 for line in lines):
        return ""
    points = [p for line in lines for p in line]
    chart = Chart(
        "Users", (0, max(t for t, _ in points)), (0, max(n for _, n in points) * 1.12 or 1), unit="users",
        x_unit="seconds since the load began", height=180,
    )  # fmt: skip
    for line, kind, word in zip(lines, (_EARLIER, _LATER), ("earlier", "later"), strict=True):
        chart.steps(line, kind, word)
    return chart.render()
