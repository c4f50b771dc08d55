"""summary.md: the verdict for a pull request."""

from __future__ import annotations

import re
from pathlib import Path

from reports.judging.cause_groups import grouped
from reports.judging.gate import EMBEDDED, HERE
from reports.judging.model import RunVerdict
from reports.judging.verdict_table import NOT_IN_PLAN, STATES
from reports.rendering.formatting import duration, number, quantity

ORDER = 10
MOST = 20


def write(verdict: RunVerdict, run_dir: Path) -> list[Path]:
    """Writes summary.md."""
    path = run_dir / "summary.md"
    path.write_text(text(verdict), encoding="utf-8")
    return [path]


def text(verdict: RunVerdict) -> str:
    """The summary as Markdown; everything that came from outside is escaped."""
    row = STATES[verdict.state]
    lines = [f"## {row.glyph} {plain(verdict.headline)}", ""]
    if verdict.embedded:
        lines += [f"Embedded target: {EMBEDDED}.", ""]
    elif verdict.on_this_machine:
        lines += [f"Live target: {HERE}.", ""]
    if groups := grouped(verdict):
        for g in groups[:MOST]:
            many = f" ({g.count:,} {g.kind}s, first {plain(g.members[0].who)})" if g.count > 1 else ""
            lines.append(f"- **{STATES[g.state].word}** {plain(g.text)}{many}")
        if len(groups) > MOST:
            lines.append(f"- and {len(groups) - MOST} more")
        lines.append("")
    shown = [o for o in verdict.objectives if o.state != NOT_IN_PLAN]
    if shown:
        lines += [
            "| | objective | limit | measured | interval | samples | history |",
            "|---|---|---|--:|--:|--:|---|",
        ]
        for o in shown:
            mark = STATES[o.state]
            past = o.regression.text if o.regression else ""
            lines.append(
                f"| {mark.glyph} {mark.word} | {plain(o.title)} | {o.statement} | {quantity(o.value, o.unit)} "
                f"| {number(o.low)} to {number(o.high)} | {o.samples:,} | {plain(past)} |"
            )
        lines.append("")
    counts = ", ".join(f"{n:,} {STATES[s].word}" for s, n in verdict.counts().items() if n)
    lines.append(f"Checks: {counts or 'none'}.")
    for w in verdict.used_waivers:
        lines.append(
            f"Waived: `{w.check}` until {w.expiry} ({plain(w.ticket)}, {plain(w.owner)}): {plain(w.reason)}"
        )
    lines += [
        "",
        f"<sub>plan {verdict.plan}, target {plain(str(verdict.target.get('name', '?')))}, commit `{verdict.commit}`, "
        f"run `{verdict.run}`, {duration(verdict.seconds)}</sub>",
        "",
    ]
    return "\n".join(lines)


_APART = "&#8203;"
"""A space without width, as an entity: it parts what GitHub would link (GitHub documentation, "Autolinked references")."""
_LINKED = re.compile(r"@(?=\w)|#(?=\d)|\bGH-(?=\d)|:(?=//)|\bwww(?=\.)")


def plain(text: str) -> str:
    """No pipes, tags or line breaks from outside, and nothing that GitHub makes a mention, a reference or a link of."""
    for old, new in (
        ("&", "&amp;"),
        ("\\", "\\\\"),
        ("|", "\\|"),
        ("<", "&lt;"),
        ("`", "'"),
        ("[", "\\["),
        ("*", "\\*"),
        ("_", "\\_"),
        ("\n", " "),
    ):
        text = text.replace(old, new)
    return _LINKED.sub(rf"\g<0>{_APART}", text)
