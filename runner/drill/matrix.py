"""What a drill tells: the matrix of defects and checks as a page and as JSON, and a summary on the terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path

from rich.console import Console
from rich.text import Text

from core.text import safe
from runner.drill.catalogue import Defect
from runner.drill.results import GOOD, Result, Summary

JSON, PAGE = "drill.json", "drill.html"
GLYPH = {"missed": "✗", "met": "·", "broken": "!", "unknown": "?", "not_covered": "○"}
STYLE = """body{font:14px/1.45 system-ui,sans-serif;margin:2rem;color:#1b1f24;background:#fff}
table{border-collapse:collapse}th,td{padding:.2rem .5rem;border-bottom:1px solid #e3e6ea;text-align:left;vertical-align:top}
td.c{text-align:center}th.c{writing-mode:vertical-rl;font-weight:400;font-size:12px;white-space:nowrap}
.caught,.quiet{color:#0a6b3a}.slipped,.accused,.misled{color:#a3161d;font-weight:600}.broken{color:#7a3e9d;font-weight:600}
.missed{background:#d9f2e3}.scroll{overflow-x:auto}small{color:#59636e}"""


def sentence(summary: Summary) -> str:
    """The drill in one sentence."""
    share = summary.sensitivity
    text = f"{summary.caught} of {summary.faults} defects were caught"
    if share is not None:
        low, high = summary.interval
        text += f" ({share:.1%}; {low:.1%} to {high:.1%} at 95 %, at least {summary.at_least:.1%})"
    accused = summary.counts.get("accused", 0)
    text += f", {accused} of {summary.healthy} healthy variants were accused"
    broken = summary.counts.get("broken", 0)
    return text + (f", {broken} could not be judged." if broken else ".")


def write(directory: Path, defects: Sequence[Defect], results: Sequence[Result], summary: Summary) -> None:
    """Writes both files into the drill's folder."""
    by_id = {result.defect: result for result in results}
    document = {
        "sentence": sentence(summary),
        "sensitivity": summary.sensitivity,
        "at_least": summary.at_least if summary.faults else None,
        "interval": summary.interval if summary.faults else None,
        **asdict(summary),
        "defects": [
            {
                "id": d.id,
                "title": d.entry.title,
                "requirement": d.entry.requirement,
                "service": d.entry.service,
                "subtle": d.entry.subtle,
                "healthy": d.entry.healthy,
                "source": d.entry.where,
                "plants": list(d.kinds),
                **(asdict(by_id[d.id]) if d.id in by_id else {"outcome": "not drilled"}),
            }
            for d in defects
        ],
    }
    (directory / JSON).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
    (directory / PAGE).write_text(_page(defects, by_id, summary), "utf-8")


def _page(defects: Sequence[Defect], by_id: dict[str, Result], summary: Summary) -> str:
    checks = sorted({name for d in defects for name in d.checks})
    head = "".join(f'<th class="c">{escape(name)}</th>' for name in checks)
    rows = []
    for d in defects:
        result = by_id.get(d.id)
        outcome = result.outcome if result else "not drilled"
        states = result.states if result else {}
        cells = "".join(
            f'<td class="c {states[n]}" title="{escape(n)}: {states[n]}">{GLYPH.get(states[n], states[n])}</td>'
            if n in states
            else '<td class="c"></td>'
            for n in checks
        )
        words = escape(safe(result.words)) if result else ""
        noise = (
            f"<br><small>also missed: {escape(', '.join(result.noise))}</small>"
            if result and result.noise
            else ""
        )
        rows.append(
            f'<tr><td>{escape(d.id)}<br><small>{escape(d.entry.title)}</small></td><td class="{outcome}">{outcome}</td>'
            f"<td><small>{words}</small>{noise}</td>{cells}</tr>"
        )
    toothless = ", ".join(summary.toothless) or "none"
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Drill</title>'
        f"<style>{STYLE}</style><body><h1>Drill</h1>"
        f"<p>{escape(sentence(summary))}</p><p>Checks that no defect of this drill made fail: {escape(toothless)}.</p>"
        f'<div class="scroll"><table><tr><th>Defect</th><th>Outcome</th><th>In the words of a check</th>{head}</tr>'
        f"{''.join(rows)}</table></div></body></html>\n"
    )


def show(results: Sequence[Result], summary: Summary) -> None:
    """The summary on standard output, with every defect that is not as it should be."""
    out = Console(highlight=False, soft_wrap=True)
    for result in results:
        if result.outcome not in GOOD:
            out.print(Text(safe(f"{result.outcome:8} {result.defect}  {result.words}")))
    out.print(Text(sentence(summary)))
    out.print(
        Text(f"toothless: {len(summary.toothless)} checks; noisy: {', '.join(summary.noisy) or 'none'}")
    )
