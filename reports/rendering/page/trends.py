"""The page over runs: verdicts, durations, coverage, and each objective's values, from the history alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from core.outcome import DID_NOT_RUN
from reports.history.store import History
from reports.judging.model import ObjectiveResult
from reports.judging.verdict_table import STATES
from reports.rendering.formatting import day, duration, quantity
from reports.rendering.page import svg
from reports.rendering.page.environment import environment

ObjectiveRow = tuple[str, str, str, float]
RUNS = 60
"""The newest runs of a target and plan that the page shows."""


def write_trends(
    history: History,
    target: str,
    plan: str,
    path: Path,
    objectives: Mapping[str, ObjectiveRow],
    pages: Sequence[tuple[str, str]] = (),
) -> Path:
    """Writes the page of one target and plan: a file of its own that asks nobody for anything."""
    rows = [_run(row) for row in history.trend(target, plan, RUNS)]
    text = environment().get_template("trends.html").render(
        target=target, plan=plan, pages=pages, rows=rows[::-1], strip=rows,
        figures=_figures(rows), objectives=_objectives(history, target, plan, objectives),
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _run(row: dict[str, Any]) -> SimpleNamespace:
    states = [str(stated[0]) for stated in row["checks"].values()]
    ran = [state for state in states if state not in DID_NOT_RUN]
    return SimpleNamespace(
        run=row["run"],
        state=row["state"],
        glyph=STATES[row["state"]].glyph,
        when=day(row["started"]),
        commit=row["commit_sha"],
        checks=len(states),
        ran=len(ran),
        met=sum(state == "met" for state in ran),
        seconds=sum(float(stated[1]) for stated in row["checks"].values()),
        took=duration(sum(float(stated[1]) for stated in row["checks"].values())),
    )


def _figures(rows: list[SimpleNamespace]) -> list[tuple[str, str, str]]:
    """Title, picture and last value of what is told of a run as a whole."""
    if len(rows) < 2:
        return []
    found = []
    for title, values, last in (
        ("Checks met", [float(r.met) for r in rows], f"{rows[-1].met:,} of {rows[-1].ran:,} that ran"),
        ("Checks that ran", [float(r.ran) for r in rows], f"{rows[-1].ran:,} of {rows[-1].checks:,}"),
        ("Seconds that checks took, together", [r.seconds for r in rows], rows[-1].took),
    ):
        picture = svg.sparkline(values, float("inf"), [r.state for r in rows], f"{title}, {len(values)} runs")
        found.append((title, picture, last))
    return found


def _objectives(
    history: History, target: str, plan: str, known: Mapping[str, ObjectiveRow]
) -> list[SimpleNamespace]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in history.values(target, plan, RUNS):
        found.setdefault(row["objective"], []).append(row)
    made = []
    for name, rows in sorted(found.items()):
        title, statement, unit, limit = known.get(name, (name, "", "", float("inf")))
        values, states = [float(r["value"]) for r in rows], [str(r["state"]) for r in rows]
        drawn = svg.sparkline(values, limit, states, f"{title}, {len(rows)} runs") if len(rows) > 1 else ""
        made.append(
            SimpleNamespace(
                title=title, statement=statement, state=states[-1], values=len(rows), picture=drawn,
                last=quantity(values[-1], unit), least=quantity(min(values), unit), most=quantity(max(values), unit),
                met=sum(state == "met" for state in states),
            )
        )  # fmt: skip
    return made


def objective_rows(objectives: Iterable[ObjectiveResult]) -> dict[str, ObjectiveRow]:
    """Title, limit in words, unit and limit of each objective, by its identifier."""
    return {o.id: (o.title, o.statement, o.unit, o.limit) for o in objectives}
