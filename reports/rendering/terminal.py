"""What the terminal shows after a run: objectives and services, within 100 columns."""

from __future__ import annotations

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from core.outcome import DID_NOT_RUN, Verdict
from core.text import for_log, safe
from reports.judging.gate import EMBEDDED, HERE
from reports.judging.model import RunVerdict
from reports.judging.verdict_table import NOT_IN_PLAN, STATES
from reports.rendering.formatting import count, duration, number, quantity

WIDTH = 120


def show(verdict: RunVerdict, console: Console | None = None) -> None:
    """Prints the verdict's tables; plain text where the output is no terminal."""
    if console is None:
        console = Console()
        console.width = min(WIDTH, console.width) if console.is_terminal else WIDTH
    console.print(Group(_objectives(verdict), _services(verdict), _causes(verdict), _last(verdict)))


def _objectives(verdict: RunVerdict) -> Table:
    table = Table(title="Objectives", title_justify="left", box=None, pad_edge=False, expand=False)
    for name in ("", "objective", "limit", "p50", "p95", "p99", "interval", "samples"):
        number_like = name in ("p50", "p95", "p99", "interval", "samples")
        table.add_column(name, justify="right" if number_like else "left", no_wrap=True)
    for o in verdict.objectives:
        if o.state == NOT_IN_PLAN and not o.samples:
            continue
        worst = max(o.groups, key=lambda g: g.value or 0, default=None)
        quantiles = worst.quantiles if worst and o.percentile is not None else {}
        shown = [number(quantiles.get(q)) if quantiles else "-" for q in ("p50", "p95", "p99")]
        if not quantiles and o.value is not None:
            shown[0] = quantity(o.value, o.unit).split(" ")[0]
        interval = f"{number(o.low)} … {number(o.high)}" if o.low is not None or o.high is not None else "-"
        table.add_row(
            _mark(o.state), _outside(o.title), _outside(o.statement), *shown, interval, f"{o.samples:,}"
        )
    return table


def _services(verdict: RunVerdict) -> Table:
    table = Table(title="\nServices", title_justify="left", box=None, pad_edge=False)
    for name, least in (
        ("", 13),
        ("service", 22),
        ("answered by", None),
        ("checks", 6),
        ("witness answers", 15),
    ):
        table.add_column(name, no_wrap=True, min_width=least)
    for s in verdict.services:
        answered_by = _outside(f"{s.kind} {s.name}".strip())
        table.add_row(_mark(s.state), _outside(s.title), answered_by, str(s.checks), str(s.witnesses))
    return table


def _causes(verdict: RunVerdict) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for cause in verdict.causes[:10]:
        table.add_row(_mark(cause.state), _outside(cause.text))
    if len(verdict.causes) > 10:
        table.add_row("", f"and {len(verdict.causes) - 10} more in the report")
    return table


def _last(verdict: RunVerdict) -> Text:
    counts = verdict.counts()
    parts = [f"{counts[s]} {STATES[s].word}" for s in (*map(str, Verdict), *DID_NOT_RUN) if counts[s]]
    text = Text("\n")
    text.append(
        for_log(safe(verdict.headline)),
        style=f"bold {'green' if verdict.open else STATES[verdict.state].style}",
    )
    text.append(
        f"\n{count(len(verdict.checks), 'check')}: {', '.join(parts) or 'none'}; {duration(verdict.seconds)}"
    )
    if verdict.coverage.statement:
        text.append(f"\n{verdict.coverage.statement}")
    if verdict.embedded:
        text.append(f"\nembedded target: {EMBEDDED}")
    elif verdict.on_this_machine:
        text.append(f"\nlive target: {HERE}")
    return text


def _outside(text: str) -> Text:
    """Words that may come from a service: no markup, no escape sequences, no commands to a CI runner."""
    return Text(for_log(safe(text)))


def _mark(state: str) -> Text:
    row = STATES[state]
    return Text(f"{row.glyph} {row.word}", style=row.style)
