"""The gate: one screen of text, and the exit code that a pipeline reads."""

from __future__ import annotations

import textwrap

from core.outcome import DID_NOT_RUN, NOT_APPLICABLE, NOT_COVERED
from reports.judging.model import Cause, CheckResult, ProfileResult, RunVerdict
from reports.judging.verdict_table import STATES, USAGE
from reports.rendering.formatting import count

HERE = "a part of it answers on this machine, so this is about what runs here and not about production"
EMBEDDED = "harness proved; no statement about a release"


def gate(verdict: RunVerdict, release: bool = False, width: int = 100) -> tuple[str, int]:
    """What is required, ran, was not covered or not applicable, was waived; then the verdict. Text and exit code."""
    required = [c for c in verdict.checks if c.required]
    ran = [c for c in required if c.state not in DID_NOT_RUN]
    deciding = [o for o in verdict.objectives if o.decides]
    loads = [p for p in verdict.profiles if p.required]
    lines = [
        f"run          {verdict.run}   plan {verdict.plan}   target {verdict.target.get('name', '?')}",
        f"required     {count(len(required), 'check')}, {count(len(loads), 'load')}, {count(len(deciding), 'objective')}",
        f"ran          {count(len(ran), 'check')}, {count(sum(p.state not in DID_NOT_RUN for p in loads), 'load')}, "
        f"{count(sum(o.samples > 0 for o in deciding), 'objective')} measured",
        f"not covered  {_named([x for x, state in _states(required, loads) if state == NOT_COVERED])}",
        f"inapplicable {_named([x for x, state in _states(required, loads) if state == NOT_APPLICABLE])}",
        f"capabilities {_clip(verdict.coverage.statement, 86) or 'not known'}",
        f"waived       {_waived(verdict)}",
        "",
    ]
    for cause in verdict.causes[:12]:
        lines += _cause(cause, width)
    if len(verdict.causes) > 12:
        lines.append(f"    and {len(verdict.causes) - 12} more")
    if verdict.causes:
        lines.append("")
    lines.append(_clip(verdict.headline, 100))
    code = verdict.exit
    if verdict.embedded:
        lines.append(f"embedded target: {EMBEDDED}")
        if release:
            lines.append("--release refused: only a live target's run can speak for a release")
            code = max(code, USAGE)
    elif verdict.on_this_machine:
        lines.append(f"live target:  {HERE}")
    return "\n".join(lines), code


def _states(checks: list[CheckResult], loads: list[ProfileResult]) -> list[tuple[str, str]]:
    return [*((c.id, c.state) for c in checks), *((p.name, p.state) for p in loads)]


def _cause(cause: Cause, width: int) -> list[str]:
    """At most two lines of a hundred columns, so that twelve causes fit one screen."""
    row = STATES[cause.state]
    text = f"  {row.glyph} {row.word:<11}  {_clip(cause.text, 160) or row.meaning}"
    return textwrap.wrap(text, width, subsequent_indent=" " * (17 if width >= 60 else 4))


def _named(names: list[str]) -> str:
    if not names:
        return "none"
    shown = ", ".join(names[:4])
    return _clip(shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more", 86)


def _waived(verdict: RunVerdict) -> str:
    waivers = verdict.used_waivers
    if not waivers:
        return "none"
    return _clip(
        "; ".join(f"{w.check} until {w.expiry} ({w.ticket}, {w.owner}: {w.reason})" for w in waivers), 86
    )


def _clip(text: str, width: int) -> str:
    """Cut to width; control characters, which could play with a terminal, become spaces."""
    text = "".join(c if c.isprintable() else " " for c in text)
    return text if len(text) <= width else f"{text[: width - 1]}…"
