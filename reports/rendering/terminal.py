"""What the terminal shows after a run: objectives, services and causes, legible from 40 columns on."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from core.console import only_ascii, to_ascii, width
from core.outcome import DID_NOT_RUN, Verdict
from core.text import for_log, on_one_line, safe
from reports.judging.cause_groups import CauseGroup, grouped
from reports.judging.gate import EMBEDDED, HERE
from reports.judging.model import CheckResult, ObjectiveResult, RunVerdict
from reports.judging.verdict_table import NOT_IN_PLAN, STATES
from reports.rendering.columns import Column, laid_out
from reports.rendering.formatting import count, duration, number, quantity

WIDEST = 120
NARROW = 60
"""Columns below which a verdict is its sign alone; the last lines say the words."""
MOST_CAUSES = 10
_LONGEST = 300
"""Characters of one cause; the report has all of it."""
_OBJECTIVES = (
    Column(""),
    Column("objective", wraps=12),
    Column("limit", leaves=6),
    Column("measured", right=True),
    Column("interval", right=True, leaves=4),
    Column("p50", right=True, leaves=1),
    Column("p95", right=True, leaves=2),
    Column("p99", right=True, leaves=3),
    Column("samples", right=True, leaves=5),
)
_SERVICES = (
    Column(""),
    Column("service", wraps=14),
    Column("answered by", leaves=1, wraps=40),
    Column("checks", right=True),
    Column("witness answers", right=True, leaves=2),
)


def show(verdict: RunVerdict, console: Console | None = None) -> None:
    """Prints the verdict's tables; plain text where the output is no terminal."""
    if console is None:
        console = Console(highlight=False)
        console.width = min(WIDEST, width(terminal=sys.stdout.isatty()))
    lines = [*_objectives(verdict, console.width), *_services(verdict, console.width)]
    lines += [*_causes(verdict, console.width), *_last(verdict, console.width)]
    for line in lines:
        if only_ascii():
            line.plain = to_ascii(line.plain)
        console.print(line, soft_wrap=True)


def _table(
    title: str, columns: Sequence[Column], states: Sequence[str], rows: Sequence[Sequence[str]], size: int
) -> list[Text]:
    """A table whose first column is the mark of each row's state."""
    if not rows:
        return []
    marks = [STATES[s].glyph if size < NARROW else f"{STATES[s].glyph} {STATES[s].word}" for s in states]
    cells = [[mark, *(_outside(cell) for cell in row)] for mark, row in zip(marks, rows, strict=True)]
    head, *body = laid_out(columns, cells, size)
    lines = [Text(f"{title}", style="bold"), *(Text(line, style="dim") for line in head)]
    for state, mark, parts in zip(states, marks, body, strict=True):
        for part in parts:
            line = Text(part)
            if part.startswith(mark):
                line.stylize(STATES[state].style, 0, len(mark))
            lines.append(line)
    return [*lines, Text("")]


def _objectives(verdict: RunVerdict, size: int) -> list[Text]:
    states, rows = [], []
    for o in verdict.objectives:
        if o.state == NOT_IN_PLAN:
            continue
        worst = max(o.groups, key=lambda g: g.value or 0, default=None)
        quantiles = worst.quantiles if worst and o.percentile is not None else {}
        shown = [number(quantiles.get(q)) if quantiles else "-" for q in ("p50", "p95", "p99")]
        interval = f"{number(o.low)} to {number(o.high)}" if o.low is not None or o.high is not None else "-"
        states.append(o.state)
        rows.append(
            [o.title, o.statement, quantity(o.value, o.unit), interval, *shown, f"{o.samples:,}"],
        )
    return _table("Objectives", _OBJECTIVES, states, rows, size)


def _services(verdict: RunVerdict, size: int) -> list[Text]:
    rows = [
        [s.title, f"{s.kind} {s.name}".strip(), f"{s.checks:,}", f"{s.witnesses:,}"] for s in verdict.services
    ]
    return _table("Services", _SERVICES, [s.state for s in verdict.services], rows, size)


def _causes(verdict: RunVerdict, size: int) -> list[Text]:
    lines = []
    groups = grouped(verdict)
    results: list[CheckResult | ObjectiveResult] = [*verdict.checks, *verdict.objectives]
    known = {r.id: [f"{k.status}; {k.reason}; {k.who}" for k in r.known] for r in results}
    for cause in groups[:MOST_CAUSES]:
        row = STATES[cause.state]
        mark = f"{row.glyph} {row.word}"
        hanging = " " * (15 if size >= NARROW else 2)
        first = f"{mark:<{len(hanging)}}" if size >= NARROW else f"{row.glyph} "
        parts = textwrap.wrap(
            first + _outside(on_one_line(cause.text, _LONGEST)) + _many(cause),
            size,
            subsequent_indent=hanging,
        )
        for part in parts:
            line = Text(part)
            if part.startswith(first.rstrip()):
                line.stylize(row.style, 0, len(first.rstrip()))
            lines.append(line)
        lines += [
            Text(part, style="dim")
            for text in known.get(cause.members[0].who, ())
            for part in textwrap.wrap(
                hanging + _outside(on_one_line(text, _LONGEST)), size, subsequent_indent=hanging
            )
        ]
    if len(groups) > MOST_CAUSES:
        lines.append(Text(f"  and {len(groups) - MOST_CAUSES} more in the report"))
    return [*lines, Text("")] if lines else []


def _many(group: CauseGroup) -> str:
    return (
        f" ({group.count:,} {group.kind}s, first {_outside(group.members[0].who)})" if group.count > 1 else ""
    )


def _last(verdict: RunVerdict, size: int) -> list[Text]:
    counts = verdict.counts()
    parts = [f"{counts[s]:,} {STATES[s].word}" for s in (*map(str, Verdict), *DID_NOT_RUN) if counts[s]]
    style = f"bold {'green' if verdict.open else STATES[verdict.state].style}"
    lines = [Text(part, style=style) for part in textwrap.wrap(_outside(on_one_line(verdict.headline)), size)]
    footer = [
        f"{count(len(verdict.checks), 'check')}: {', '.join(parts) or 'none'}; {duration(verdict.seconds)}"
    ]
    if verdict.coverage.statement:
        footer.append(verdict.coverage.statement)
    footer += [
        f"waived: {w.check} until {w.expiry}: {w.reason} ({w.owner}, {w.ticket})"
        for w in verdict.used_waivers
    ]
    if verdict.embedded:
        footer.append(f"embedded target: {EMBEDDED}")
    elif verdict.on_this_machine:
        footer.append(f"live target: {HERE}")
    return lines + [Text(part) for text in footer for part in textwrap.wrap(_outside(text), size)]


def _outside(text: str) -> str:
    """Words that may come from a service: no escape sequences, no commands to a CI runner, one line."""
    return for_log(safe(text)).replace("\n", " ")
