"""Two runs side by side: what changed between them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from reports.judging.model import ObjectiveResult, RunVerdict
from reports.rendering.formatting import number, quantity
from reports.rendering.page import charts_compare
from reports.rendering.page.environment import environment

_QUANTILES = ("p50", "p95", "p99", "max")


def compare(one: RunVerdict, two: RunVerdict, path: Path) -> Path:
    """Writes the page; `one` is the earlier run."""
    first = {o.id: o for o in one.objectives}
    objectives = [
        _objective(first.get(o.id), o, one.measurements, two.measurements)
        for o in two.objectives
        if o.samples or (o.id in first and first[o.id].samples)
    ]
    before, after = {c.id: c for c in one.checks}, {c.id: c for c in two.checks}
    changed = [
        SimpleNamespace(
            id=i,
            title=(after.get(i) or before[i]).title,
            one=before[i].state if i in before else "",
            two=after[i].state if i in after else "",
        )
        for i in sorted(before.keys() | after.keys())
        if (before[i].state if i in before else "") != (after[i].state if i in after else "")
    ]
    slower = sorted(
        (c for c in two.checks if c.id in before and 0 < before[c.id].seconds < c.seconds),
        key=lambda c: before[c.id].seconds - c.seconds,
    )[:10]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        environment().get_template("compare.html").render(
            v=two, one=one, two=two, pages=[("index.html", "Verdict")], objectives=objectives, changed=changed,
            slower=[SimpleNamespace(title=c.title, one=before[c.id].seconds, two=c.seconds) for c in slower], qs=_QUANTILES,
        ),
        encoding="utf-8",
    )  # fmt: skip
    return path


def _objective(
    one: ObjectiveResult | None, two: ObjectiveResult, before: dict[str, Any], after: dict[str, Any]
) -> SimpleNamespace:
    rows = []
    groups = {tuple(sorted(g.labels.items())): g for g in (one.groups if one else [])}
    for g in two.groups:
        other = groups.get(tuple(sorted(g.labels.items())))
        cells = []
        for q in _QUANTILES:
            a, b = (other.quantiles.get(q) if other else None), g.quantiles.get(q)
            change = f"{b / a - 1:+.0%}" if a and b else ""
            cells.append((number(a), number(b), change))
        apart = bool(
            other and None not in (other.low, other.high, g.low, g.high)
            and ((other.high or 0) < (g.low or 0) or (g.high or 0) < (other.low or 0))
        )  # fmt: skip
        rows.append(SimpleNamespace(name=" ".join(g.labels.values()) or "all", cells=cells, apart=apart))
    return SimpleNamespace(
        title=two.title,
        statement=two.statement,
        one=one.state if one else "not_covered",
        two=two.state,
        was=quantity(one.value, one.unit) if one else "-",
        now=quantity(two.value, two.unit),
        rows=rows,
        figures=charts_compare.figures(two, before, after),
    )
