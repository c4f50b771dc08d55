"""summary.pdf: one page that an auditor accepts, and evidence.sha256, the manifest that it names."""

from __future__ import annotations

import getpass
import textwrap
from pathlib import Path

from core.outcome import NOT_COVERED
from core.user_settings import setting
from reports.judging.gate import EMBEDDED
from reports.judging.model import RunVerdict
from reports.judging.verdict_table import NOT_IN_PLAN, STATES
from reports.rendering.evidence_hashes import write_manifest
from reports.rendering.formatting import count, duration, number, quantity
from reports.rendering.sign_off import SignOff, signoffs

ORDER = 40
LINES = 74
"""Lines that one page holds; causes that do not fit are counted, and a longer table goes on overleaf."""
FOOT = "Made by Assay from the evidence alone; `assay report` makes it again."


def write(verdict: RunVerdict, run_dir: Path) -> list[Path]:
    """Writes evidence.sha256 and summary.pdf."""
    from reports.rendering.pdf_pages import write_pdf  # what makes PDFs takes long to import

    listing, digest, files = write_manifest(run_dir)
    path = run_dir / "summary.pdf"
    write_pdf(path, verdict.headline, _lines(verdict, digest, files, signoffs(run_dir)), FOOT)
    return [listing, path]


def _lines(verdict: RunVerdict, digest: str, files: int, signed: list[SignOff]) -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = [("title", part) for part in textwrap.wrap(verdict.headline, 62)[:3]]
    lines += [("text", part) for part in textwrap.wrap(_in_words(verdict), 108)]
    lines.append(("head", "Scope"))
    counts = ", ".join(f"{n:,} {STATES[s].word}" for s, n in verdict.counts().items() if n) or "none"
    facts = [
        f"Target {verdict.target.get('name', '?')} ({verdict.target.get('kind', '?')}), plan {verdict.plan}, "
        f"commit of the harness {verdict.commit}, platform version {verdict.version or 'not declared'}",
        f"Run {verdict.run}, started {verdict.started}, took {duration(verdict.seconds)}, "
        f"on {verdict.host or 'an unnamed host'}",
        f"Command: assay {' '.join(verdict.argv)}; this page made by {_who()}",
        f"Checks: {counts}. Samples: {verdict.samples:,}.",
    ]
    lines += [("text", part) for fact in facts for part in textwrap.wrap(fact, 108)]
    lines.append(("head", "Objectives"))
    lines += [("mono", row) for row in _objectives(verdict)]
    lines.append(("head", "Services and what answered for them"))
    services = (
        "; ".join(f"{s.title}: {s.kind} {s.name} ({STATES[s.state].word})" for s in verdict.services)
        or "none recorded"
    )
    lines += [("text", part) for part in textwrap.wrap(services, 108)[:8]]
    lines.append(("head", "Waivers"))
    waivers = [
        f"{w.check} until {w.expiry}, {w.owner}, {w.ticket}: {w.reason}" for w in verdict.used_waivers
    ] or ["none"]
    lines += [("text", part) for w in waivers for part in textwrap.wrap(w, 108)]
    if signed:
        lines.append(("head", "Signed off"))
        stated = [f"{s.name}, {s.at}, seeing '{s.headline}': {s.comment}" for s in signed[-5:]]
        lines += [("text", part) for text in stated for part in textwrap.wrap(text, 108)[:3]]
    if verdict.causes:
        lines.append(("head", "What keeps the gate closed"))
        room = max(3, LINES - len(lines) - 6)
        causes = [f"{STATES[c.state].word}: {c.text}" for c in verdict.causes]
        shown = [part for cause in causes for part in textwrap.wrap(cause, 108)[:2]]
        lines += [("text", part) for part in shown[:room]]
        if len(shown) > room:
            lines.append(("text", f"… {count(len(causes), 'cause')} in all; verdict.json names each"))
    lines.append(("head", "Evidence"))
    lines.append(
        ("text", f"{count(files, 'file')}, listed with SHA-256 in evidence.sha256, whose own SHA-256 is")
    )
    lines.append(("mono", digest))
    return lines


def _in_words(verdict: RunVerdict) -> str:
    if verdict.open:
        text = "Everything that the plan requires ran, and held with the evidence that the plan asks for."
        if verdict.used_waivers:
            text += f" {count(len(verdict.used_waivers), 'exception')} named below."
    elif verdict.exit == 3:
        text = "The harness or its surroundings failed, so this run says nothing about the platform beyond what is listed."
    else:
        text = "At least one thing that the plan requires does not hold, did not run, or lacks evidence."
    return f"{text} The target was embedded: {EMBEDDED}." if verdict.embedded else text


def _objectives(verdict: RunVerdict) -> list[str]:
    rows = [
        f"{'verdict':<12}{'objective':<30}{'limit':<22}{'measured':>12}  {'95 % interval':<22}{'samples':>10}"
    ]
    for o in verdict.objectives:
        if o.state in (NOT_IN_PLAN, NOT_COVERED) and not o.decides:
            continue
        interval = f"{number(o.low)} to {number(o.high)}"
        rows.append(
            f"{STATES[o.state].word:<12}{o.title[:28]:<30}{o.statement[:20]:<22}{quantity(o.value, o.unit):>12}  "
            f"{interval:<22}{o.samples:>10,}"
        )
    return rows if len(rows) > 1 else ["this plan decides none"]


def _who() -> str:
    """Who made this page: whoever started the CI job, else the machine's user."""
    for name in ("GITHUB_ACTOR", "GITLAB_USER_LOGIN"):
        if who := setting(name):
            return who
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "an unnamed user"
