"""Makes a passing, a missed, a broken, an unknown and a killed run with their reports, and photographs them.

    python -m tests.reports.look FOLDER

For the eye: 1280 and 390 pixels wide, the first screen in grey too, an objective's page, a knee, a comparison.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import reports
from core.events import ComponentDied
from reports import History
from reports.judging.judge import judge
from reports.rendering import writers
from tests.reports.made import Made

NIGHTS = 33
UPLOAD = {
    "outcome": "missed",
    "message": "no object in R2",
    "expected": "6 MB object in bucket files",
    "saw": "404",
}
KINDS: dict[str, dict[str, Any]] = {
    "passing": {},
    "missed": {
        "outcomes": {"storage.large-file": UPLOAD},
        "latency": {"perf.database": 80.0, "perf.upload": 3100.0, "perf.rooms": 6.0},
        "commit": "f00dcafe1234",
    },
    "broken": {
        "extra": [ComponentDied("postgres", -9, "logs/postgres.log")],
        "unfinished_loads": {"rooms"},
    },
    "unknown": {"samples": {"perf.database": 3000, "perf.upload": 8, "perf.rooms": 90}},
    "killed": {"finished": False, "skip": {"browser.whole-flow", "kv.hit-and-miss"}},
    "knee": {"levels": True},
}


def make(folder: Path) -> dict[str, Path]:
    """The runs' folders by kind, each with its report; a history of NIGHTS passing runs before them."""
    history = History(folder / "history.sqlite")
    for night in range(NIGHTS):
        drift = 1 + 0.004 * (night % 7)
        latency = {"perf.database": 14.0 * drift, "perf.upload": 3100.0 * drift, "perf.rooms": 6.0 * drift}
        made = Made(folder / f"night-{night:02d}", seed=night + 2, age_days=NIGHTS - night, latency=latency,
                    samples={"perf.database": 1500, "perf.upload": 8, "perf.rooms": 1500},
                    commit=f"{night:012x}").write()  # fmt: skip
        history.record(judge(made, waivers=[], history=history))
    found = {}
    for kind, changes in KINDS.items():
        found[kind] = Made(folder / kind, **changes).write()
        verdict = judge(found[kind], waivers=[], history=history)
        light = [name for name in writers.names() if not name.startswith("allure")]
        reports.write(verdict, found[kind], writers=light)
    one, two = (judge(found[kind], waivers=[]) for kind in ("passing", "missed"))
    reports.compare(one, two, found["missed"] / "report" / "compare.html")
    history.close()
    return found


def photograph(runs: dict[str, Path], folder: Path) -> None:
    """PNG files of the pages."""
    from playwright.sync_api import sync_playwright

    from tests.chromium import launched

    with sync_playwright() as playwright:
        browser = launched(playwright)
        for kind, run in runs.items():
            pages = {"": "index.html"}
            if kind in ("passing", "missed", "knee"):
                pages["-objective"] = "objective-perf.database.html"
            if kind == "missed":
                pages["-compare"] = "compare.html"
            for name, file in pages.items():
                for width, height in ((1280, 900), (390, 844)):
                    page = browser.new_page(viewport={"width": width, "height": height})
                    page.goto((run / "report" / file).as_uri())
                    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
                    page.screenshot(path=folder / f"{kind}{name}-{width}.png", full_page=bool(name))
                    if not name:
                        page.screenshot(path=folder / f"{kind}-{width}-whole.png", full_page=True)
                        page.add_style_tag(content="html{filter:grayscale(1)}")
                        page.screenshot(path=folder / f"{kind}-{width}-grey.png")
                    page.close()
        browser.close()


if __name__ == "__main__":
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    photograph(make(out / "runs"), out)
