"""The charts of a load: users, pace, the generator's own state, and where an objective stops holding."""

from __future__ import annotations

from typing import Any

from reports.judging.model import ObjectiveResult
from reports.rendering.formatting import number, quantity
from reports.rendering.page.svg import Chart

_TIME = "seconds since the load began"


def users(load: dict[str, Any]) -> str:
    """Users over the whole load; outside of the steady window shaded, hatched where a stand-in was saturated."""
    points = [(float(t), float(n)) for t, n in load.get("users", [])]
    if len(points) < 2:
        return ""
    high = max(n for _, n in points)
    chart = Chart("Users", (0, _end(load)), (0, high * 1.12 or 1), unit="users", x_unit=_TIME, height=180)
    _shade(chart, load)
    chart.steps(points, "one", "users (shaded: outside of the steady window, not judged)")
    return chart.render()


def pace(load: dict[str, Any]) -> str:
    """All operations of the load a second, each point over the five seconds before it."""
    points = [(float(t), float(n)) for t, n in load.get("pace", [])]
    if len(points) < 2:
        return ""
    high = max(n for _, n in points)
    chart = Chart(
        "All operations of the load a second", (0, _end(load)), (0, high * 1.12 or 1), unit="per s", x_unit=_TIME,
        height=180,
    )  # fmt: skip
    _shade(chart, load)
    chart.line([(t, n) for t, n in points], "one", "mean of five seconds")
    return chart.render()


def health(load: dict[str, Any]) -> str:
    """How far the generator lagged behind its own schedule, and its CPU; hatched where it was not fit."""
    points = load.get("health", [])
    if len(points) < 2:
        return ""
    lag = [(float(t), max(float(ms), 0.01)) for t, ms, _ in points]
    high = max(10.0, *(ms for _, ms in lag))
    chart = Chart(
        "The generator: lag behind its schedule (p99)", (0, _end(load)), (0.01, high), unit="ms", x_unit=_TIME,
        log_y=True, height=180,
    )  # fmt: skip
    for a, b, reason in load.get("unhealthy", []):
        chart.span(float(a), float(b), str(reason))
    chart.line([(t, ms) for t, ms in lag], "one", "lag p99 of each second")
    return chart.render()


def health_summary(load: dict[str, Any]) -> str:
    """The generator's state in a sentence."""
    points = load.get("health", [])
    if not points:
        return ""
    cpu, lag = max(float(p[2]) for p in points), max(float(p[1]) for p in points)
    bad = sum(float(b) - float(a) for a, b, _ in load.get("unhealthy", []))
    state = f"not fit for {bad:.1f} s" if bad else "fit throughout"
    return f"The load generator was {state}: lag p99 {number(lag)} ms and {cpu:.0%} of a core at the most."


def saturation_summary(load: dict[str, Any]) -> str:
    """In sentences: which part of the embedded target was at its own limit, and when; hatched in the charts."""
    return " ".join(f"At {number(float(a))} s: {what}." for a, _, what in load.get("saturated", []))


def knee(objective: ObjectiveResult, load: dict[str, Any], levels: list[dict[str, Any]]) -> str:
    """The judged percentile at each level of users, with its interval, the limit, and where it stops holding."""
    known = [level for level in levels if level.get("value") is not None]
    if not known:
        return ""
    values = [float(v) for level in known for v in (level["value"], level["low"], level["high"]) if v]
    far = max(level["users"] for level in known)
    name = f"p{objective.percentile:g}" if objective.percentile is not None else "value"
    chart = Chart(
        f"Where it stops holding: {name} by users", (0, far * 1.06),
        (min(values), max(*values, objective.limit)), unit=objective.unit, x_unit="users", log_y=True,
    )  # fmt: skip
    chart.limit(objective.limit, f"limit {quantity(objective.limit, objective.unit)}")
    best = (load.get("knee") or {}).get("users")
    if best:
        chart.mark(float(best), f"knee: {best:,} users hold")
    for level in known:
        value = float(level["value"])
        low = float(level["low"]) if level.get("low") else chart.y0
        high = float(level["high"]) if level.get("high") else chart.y1
        word = "holds" if level["holds"] else "does not hold"
        title = f"{level['users']:,} users: {quantity(value, objective.unit)}, {word}"
        chart.whisker(float(level["users"]), low, value, high, bool(level["holds"]), title)
    return chart.render()


def readings(objective: ObjectiveResult, points: list[list[float]]) -> str:
    """Each reading of a level, against the limit it must keep."""
    if len(points) < 2:
        return ""
    values = [float(v) for _, v in points]
    chart = Chart(
        "Each reading", (0, float(points[-1][0]) or 1), (0, max(*values, objective.limit) * 1.12),
        unit=objective.unit, x_unit="seconds since the first reading", height=200,
    )  # fmt: skip
    chart.steps([(float(t), float(v)) for t, v in points], "one", objective.title)
    chart.limit(objective.limit, f"limit {quantity(objective.limit, objective.unit)}")
    return chart.render()


def _end(load: dict[str, Any]) -> float:
    return max([1.0, float(load.get("seconds") or 0), *(float(p[0]) for p in load.get("users", [])[-1:])])


def _shade(chart: Chart, load: dict[str, Any]) -> None:
    start, end = load.get("steady") or (None, None)
    if start:
        chart.span(0, float(start), "warm-up, not judged", "shade")
    if end and end < _end(load):
        chart.span(float(end), _end(load), "after the steady window", "shade")
    for a, b, what in load.get("saturated", []):
        chart.span(float(a), float(b), str(what))
