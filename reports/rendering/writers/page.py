"""report/index.html and its pages. Written last, so that it links only what is there."""

from __future__ import annotations

from pathlib import Path

from reports.judging.model import RunVerdict
from reports.rendering.page.build import build

ORDER = 90


def write(verdict: RunVerdict, run_dir: Path) -> list[Path]:
    """Writes the report's pages into run_dir/report."""
    return build(verdict, run_dir / "report")
