"""Takes the documents' picture of the watch's status page: `python -m deploy.site.pictures FOLDER`, a watch's own folder.

`python -m bench.watch --keep FOLDER` leaves one that has seen five outages.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from core.run import ROOT
from fixtures.browser import launch

PICTURE = ROOT / "docs" / "images" / "watch-status.png"
SIZE = (1000, 900)
"""Pixels of the window; the picture ends where it does."""


def take(page_file: Path, picture: Path) -> None:
    """One picture of a page on this disk."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=launch.find("chromium", playwright),
            args=["--no-sandbox"] if os.geteuid() == 0 else [],
        )
        page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]}, color_scheme="light")
        page.goto(page_file.resolve().as_uri())
        page.screenshot(path=picture)
        browser.close()


if __name__ == "__main__":
    take(Path(sys.argv[1]) / "index.html", PICTURE)
