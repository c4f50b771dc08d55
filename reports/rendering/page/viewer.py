"""Playwright's own trace viewer, copied beside the pages where a check has a trace. It opens once the report is served."""

from __future__ import annotations

import shutil
from pathlib import Path

from reports.judging.model import RunVerdict
from reports.rendering.page.check import TRACE


def bundle_viewer(verdict: RunVerdict, folder: Path) -> None:
    """Copies it to `trace/` of the report; nothing without a trace, or without Playwright."""
    traced = any(a.get("media_type") == TRACE for c in verdict.checks for a in c.attachments)
    if traced and (viewer := _viewer()) is not None:
        shutil.copytree(viewer, folder / "trace", dirs_exist_ok=True)


def _viewer() -> Path | None:
    try:
        import playwright
    except ImportError:
        return None
    path = Path(playwright.__file__).parent / "driver" / "package" / "lib" / "vite" / "traceViewer"
    return path if path.is_dir() else None
