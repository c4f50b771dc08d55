"""GitHub Actions: annotations (github.txt, printed inside a workflow) and the step summary."""

from __future__ import annotations

from pathlib import Path

from core.text import for_log
from core.user_settings import setting
from reports.judging.model import RunVerdict
from reports.judging.verdict_table import STATES
from reports.rendering.writers import markdown

ORDER = 15
MOST = 10
"""GitHub shows ten annotations of a kind per step."""


def write(verdict: RunVerdict, run_dir: Path) -> list[Path]:
    """Writes github.txt; in a workflow also prints it and appends to the step's summary."""
    path = run_dir / "github.txt"
    lines = commands(verdict)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if setting("GITHUB_ACTIONS") == "true":
        print("\n".join(lines), flush=True)
        if summary := setting("GITHUB_STEP_SUMMARY"):
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(markdown.text(verdict))
    return [path]


def commands(verdict: RunVerdict) -> list[str]:
    """One workflow command for each cause; the verdict last."""
    lines = [
        f"::{STATES[c.state].github} title={_escape(f'{STATES[c.state].word}: {c.who}', value=True)}::{_escape(c.text)}"
        for c in verdict.causes[:MOST]
    ]
    kind = "notice" if verdict.open else "error"
    return [*lines, f"::{kind} title=Assay::{_escape(verdict.headline)}"]


def _escape(text: str, value: bool = False) -> str:
    """As GitHub's toolkit escapes data and property values of workflow commands; none of its older form stands in them."""
    text = for_log(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if value else text
