"""The charts of one objective's page, from the judged curves."""

from __future__ import annotations

import math
from typing import Any

from reports.judging.model import ObjectiveResult
from reports.rendering.formatting import quantity
from reports.rendering.page.svg import Chart

_STYLE = (
    "text{font:11px Arial,sans-serif;fill:#444}.l{fill:none;stroke-width:1.9}.l.one{stroke:#274b66}"
    ".l.two{stroke:#ab1f17;stroke-dasharray:7 3}.l.three{stroke:#59636e;stroke-dasharray:2 3}"
    ".l.four{stroke:#1b6e3c;stroke-dasharray:9 3 2 3}.grid{stroke:#e4e0d6;fill:none}.axis{stroke:#59636e;fill:none}"
    ".limit{fill:none;stroke:#1b2026;stroke-dasharray:4 3}.mark{stroke:#8a5a00;stroke-dasharray:2 3;fill:none}"
)
_LINES = ("one", "two", "three", "four")


def over_time(objective: ObjectiveResult, curve: dict[str, Any]) -> str:
    """Latency over the steady window: median, p95, largest; log scale."""
    rows = [r for r in curve["time"]["rows"] if r[3] is not None]
    if not rows:
        return ""
    end = curve["time"]["rows"][-1][0] + curve["time"]["step"]
    low = min(r[3] for r in rows)
    high = max(max(r[5] for r in rows), objective.limit)
    chart = Chart(
        "Over time",
        (0, end),
        (low, high),
        unit=objective.unit,
        x_unit="seconds of the steady window",
        log_y=low > 0,
    )
    for a, b in curve.get("unhealthy", []):
        chart.span(a, b, "generator not healthy")
    step = curve["time"]["step"] / 2
    rows = curve["time"]["rows"]
    chart.line([(r[0] + step, r[5]) for r in rows], "three", "largest")
    chart.line([(r[0] + step, r[4]) for r in rows], "two", "p95")
    chart.line([(r[0] + step, r[3]) for r in rows], "one", "median")
    chart.limit(objective.limit, f"limit {quantity(objective.limit, objective.unit)}")
    for at, text in curve.get("events", [])[:8]:
        chart.mark(at, text)
    return chart.render()


def throughput(curve: dict[str, Any]) -> str:
    """Operations a second, and those that failed."""
    rows, step = curve["time"]["rows"], curve["time"]["step"]
    if not rows or not step:
        return ""
    high = max(r[1] for r in rows) / step
    chart = Chart(
        "Operations a second, and failures", (0, rows[-1][0] + step), (0, high * 1.1), unit="per s",
        x_unit="seconds of the steady window", height=180,
    )  # fmt: skip
    chart.bars([(r[0], r[1] / step) for r in rows], step, "all", "operations")
    chart.bars([(r[0], r[2] / step) for r in rows], step, "failed", "failed")
    return chart.render()


def distribution(objective: ObjectiveResult, curves: list[dict[str, Any]]) -> str:
    """Value by percentile on a scale that gives each further nine the same room (as HdrHistogram plots do)."""
    known = [c for c in curves if c["distribution"]]
    if not known:
        return ""
    points = [p for c in known for p in c["distribution"] if p[0] < 100]
    if not points:
        return ""
    far = max(nines(p[0]) for p in points)
    low = min(p[1] for p in points)
    high = max(*(p[1] for p in points), objective.limit)
    chart = Chart(
        "Distribution",
        (0, max(1.0, far)),
        (low, high),
        unit=objective.unit,
        x_unit="percentile",
        log_y=low > 0,
    )
    for kind, curve in zip(_LINES, known, strict=False):
        name = " ".join(curve["labels"].values()) or "from intended send"
        chart.line([(nines(p), v) for p, v in curve["distribution"] if p < 100], kind, name)
    if len(known) == 1 and known[0].get("service"):
        chart.line(
            [(nines(p), v) for p, v in known[0]["service"] if p < 100],
            "two",
            "from real send (service time)",
        )
    chart.limit(objective.limit, f"limit {quantity(objective.limit, objective.unit)}")
    if objective.percentile is not None:
        chart.mark(nines(objective.percentile), f"p{objective.percentile:g}")
    ticks = [(nines(p), f"{p:g}") for p in (0, 50, 90, 99, 99.9, 99.99, 99.999) if nines(p) <= far]
    return chart.render(ticks)


def trend(objective: ObjectiveResult) -> str:
    """The last runs and this one, with the limit and the point where the level changed."""
    values = [float(t["value"]) for t in objective.trend]
    if objective.value is not None:
        values.append(objective.value)
    if len(values) < 2:
        return ""
    near = [objective.limit] if objective.limit <= max(values) * 3 else []
    low, high = min(*values, *near), max(*values, *near)
    pad = (high - low) * 0.08 or abs(high) * 0.05 or 1
    chart = Chart(
        "The last runs",
        (0, len(values) - 1),
        (max(0.0, low - pad), high + pad),
        unit=objective.unit,
        x_unit="runs, this one last",
        height=200,
    )
    chart.line([(i, v) for i, v in enumerate(values)], "one", "value that was judged")
    chart.limit(objective.limit, "limit")
    if objective.regression and objective.regression.since:
        runs = [t["run"] for t in objective.trend]
        if objective.regression.since in runs:
            chart.mark(runs.index(objective.regression.since), f"changed {objective.regression.commits}")
    return chart.render()


def standalone(figure: str) -> str:
    """A figure's picture as a file of its own, with the few styles that it needs."""
    start, end = figure.index("<svg viewBox"), figure.index("</svg>") + len("</svg>")
    head, body = figure[start:end].split(">", 1)
    return f'{head} xmlns="http://www.w3.org/2000/svg" width="860"><style>{_STYLE}</style>{body}'


def nines(percentile: float) -> float:
    """A percentile's place on the axis of nines: 90 at 1, 99 at 2, 99.9 at 3."""
    return -math.log10(max(1e-9, 1 - percentile / 100))
