"""A Chromium for the reports' tests: Playwright's own, or the system's."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any


def launched(playwright: Any) -> Any:
    """A running browser; fails with what to install where there is none."""
    path = os.environ.get("ASSAY_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    options: dict[str, Any] = {"args": ["--no-sandbox"] if os.geteuid() == 0 else []}
    if not Path(playwright.chromium.executable_path).exists():
        assert path, "no Chromium: install Debian's chromium, or run playwright install chromium"
        options["executable_path"] = path
    return playwright.chromium.launch(**options)
