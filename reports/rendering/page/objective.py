"""One objective's page: its verdict, each group's curves, the load behind it, its history."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from reports.judging.model import GroupResult, ObjectiveResult, RunVerdict
from reports.rendering.formatting import duration, number, quantity
from reports.rendering.page import charts, charts_load
from reports.rendering.page.environment import environment

QUANTILES = ("p50", "p95", "p99", "p99.9", "max")


def has_page(objective: ObjectiveResult) -> bool:
    """Whether there is anything to draw."""
    return bool(objective.groups or objective.samples or objective.trend)


def page_of(objective: ObjectiveResult) -> str:
    """The page's file name."""
    return f"objective-{objective.id}.html"


def objective_page(verdict: RunVerdict, o: ObjectiveResult, pages: list[tuple[str, str]]) -> str:
    """The page as HTML."""
    curves: list[dict[str, Any]] = verdict.measurements.get(o.id, [])
    load: dict[str, Any] = verdict.measurements.get("loads", {}).get(o.profile, {})
    latency = o.percentile is not None
    drawn = zip(o.groups, curves, strict=False) if curves else ((g, None) for g in o.groups)
    levels: list[dict[str, Any]] = curves[0].get("levels", []) if curves else []
    readings = curves[0].get("readings", []) if curves else []
    return environment().get_template("objective.html").render(
        v=verdict,
        o=o,
        pages=pages,
        qs=QUANTILES,
        first=[f for f in (charts_load.knee(o, load, levels), charts_load.readings(o, readings)) if f],
        levels=[_level(o, level, measured) for level, measured in zip(levels, load.get("levels", []), strict=False)],
        knee=load.get("knee") or {},
        groups=[_group(o, group, curve) for group, curve in drawn],
        distribution=charts.distribution(o, curves) if latency and o.groups else "",
        load=[f for f in (charts_load.users(load), charts_load.pace(load), charts_load.health(load)) if f],
        generator=charts_load.health_summary(load),
        saturated=charts_load.saturation_summary(load),
        trend=charts.trend(o),
    )  # fmt: skip


def _group(o: ObjectiveResult, group: GroupResult, curve: dict[str, Any] | None) -> SimpleNamespace:
    figures = []
    if curve is not None:
        figures = [charts.over_time(o, curve)] if o.percentile is not None else []
        figures.append(charts.throughput(curve))
    unhealthy = sum(b - a for a, b in curve["unhealthy"]) if curve and curve.get("unhealthy") else 0
    return SimpleNamespace(
        name=" ".join(group.labels.values()) or "All samples",
        state=group.state,
        reason=group.reason,
        quantiles=[number(group.quantiles.get(q)) for q in QUANTILES],
        service=[number(group.service_quantiles.get(q)) for q in QUANTILES],
        samples=group.samples,
        effective=group.effective,
        failed=group.failed,
        cut=group.cut,
        reach=duration(group.reach) if group.reach else "",
        unhealthy=f"{unhealthy:.1f}" if unhealthy else "",
        figures=[f for f in figures if f],
    )


def _level(o: ObjectiveResult, level: dict[str, Any], measured: dict[str, Any]) -> SimpleNamespace:
    known = level.get("value") is not None
    return SimpleNamespace(
        users=level["users"],
        pace=number(measured.get("per_second")),
        value=quantity(level["value"], o.unit) if known else "within the warm-up",
        interval=f"{number(level.get('low'))} to {number(level.get('high'))}" if known else "",
        holds=level["holds"],
        why=measured.get("why") or "",
    )
