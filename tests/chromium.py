"""A running Chromium for tests, found as the harness finds it."""

from __future__ import annotations

import os

from playwright.sync_api import Browser, Playwright

from fixtures.browser import launch


def launched(playwright: Playwright, *arguments: str) -> Browser:
    """Started with these arguments; raises BrokenError with what to install where there is none."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    return playwright.chromium.launch(
        executable_path=launch.find("chromium", playwright), args=[*sandbox, *arguments]
    )
