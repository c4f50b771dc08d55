"""The pages in a real browser: each cause clear on the first screen, no request to anyone, no sideways scroll."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import reports
from core.events import CheckFinished, ComponentDied
from core.outcome import CheckOutcome
from reports.judging.judge import judge
from reports.rendering.page.check import TRACE, page_of_check
from reports.rendering.serve import server
from tests.chromium import launched
from tests.reports.made import Made

WIDTHS = {"desk": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = launched(playwright)
        yield running
        running.close()


KINDS: dict[str, dict[str, Any]] = {
    "passing": {},
    "missed": {"outcomes": {"storage.large-file": {"outcome": "missed", "message": "no object in R2"}}},
    "broken": {"extra": [ComponentDied("postgres", None, "logs/stack/postgres.log")]},
    "unknown": {"samples": {"perf.database": 3000, "perf.upload": 8, "perf.rooms": 90}},
    "killed": {"finished": False},
}
FIRST_SCREEN = {
    "passing": "Gate open",
    "missed": "no object in R2",
    "broken": "postgres died",
    "unknown": "at least 400 are needed",
    "killed": "did not finish",
}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_cause_is_on_the_first_screen(browser: Any, tmp_path: Path, kind: str, width: str) -> None:
    directory = Made(tmp_path / kind, **KINDS[kind]).write()
    reports.write(judge(directory, waivers=[]), directory, writers=["json", "page"])
    context = browser.new_context(viewport=dict(zip(("width", "height"), WIDTHS[width], strict=True)))
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    flow = "checks/browser.whole-flow.html"
    for name in ("index.html", "checks.html", "security.html", "objective-perf.database.html", flow):
        page.goto((directory / "report" / name).as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[width][0], name
    page.goto((directory / "report" / "index.html").as_uri())
    assert all(url.startswith(("file:", "data:")) for url in asked)
    spot = page.get_by_text(FIRST_SCREEN[kind]).first.bounding_box()
    assert spot["y"] < WIDTHS[width][1]
    assert page.locator("h1").count() == 1
    assert page.locator("svg:not([aria-label]):not([aria-hidden])").count() == 0
    context.close()


def test_it_can_be_read_by_keyboard_and_without_colour(browser: Any, tmp_path: Path) -> None:
    directory = Made(tmp_path / "run", **KINDS["missed"]).write()
    reports.write(judge(directory, waivers=[]), directory, writers=["page"])
    page = browser.new_page()
    page.goto((directory / "report" / "index.html").as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the verdict"
    styles = page.evaluate(
        "[...document.querySelectorAll('.key .pill')].map(e => {const s = getComputedStyle(e);"
        "return [s.borderStyle, s.backgroundImage != 'none', s.backgroundColor != 'rgba(0, 0, 0, 0)',"
        "e.textContent[0]].join()})"
    )
    assert len(set(styles)) == 7
    page.close()


def test_a_checker_of_accessibility_finds_nothing(browser: Any, tmp_path: Path) -> None:
    directory = Made(tmp_path / "run", levels=True, **KINDS["missed"]).write()
    verdict = judge(directory, waivers=[])
    picture = {"name": "a.png", "path": "evidence/a.png", "media_type": "image/png"}
    for check in verdict.checks:
        check.attachments = [picture]
    reports.write(verdict, directory, writers=["page"])
    reports.compare(verdict, verdict, directory / "report" / "compare.html")
    axe = (Path(reports.__file__).parent.parent / "node_modules" / "axe-core" / "axe.min.js").read_text()
    for scheme, width in (("light", "desk"), ("dark", "desk"), ("light", "phone")):
        size = dict(zip(("width", "height"), WIDTHS[width], strict=True))
        context = browser.new_context(color_scheme=scheme, viewport=size, bypass_csp=True)
        page = context.new_page()
        for name in (
            "index.html",
            "objective-perf.database.html",
            "checks.html",
            "compare.html",
            "checks/storage.large-file.html",
            "checks/browser.whole-flow.html",
        ):
            page.goto((directory / "report" / name).as_uri())
            page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            page.evaluate(axe)
            found = page.evaluate("axe.run().then(r => r.violations.map(v => v.id + ': ' + v.nodes[0].html))")
            assert found == [], (scheme, width, name)
            assert page.locator("main").count() == page.locator("footer").count() == 1, name
        context.close()


def test_ten_thousand_checks_stay_light(browser: Any, tmp_path: Path) -> None:
    checks = [(f"s.check-{i:05d}", f"Check {i}", "supabase.database", ["P1.3"]) for i in range(10_000)]
    outcomes = {c[0]: {"outcome": "missed", "message": "gone"} for c in checks[::50]}
    directory = Made(
        tmp_path / "run", checks=checks, outcomes=outcomes, latency={}, loads={}, objectives=[]
    ).write()
    reports.write(judge(directory, waivers=[]), directory, writers=["page"])
    assert (directory / "report" / "index.html").stat().st_size < 2_000_000
    page = browser.new_page()
    page.goto((directory / "report" / "checks.html").as_uri(), wait_until="load")
    ready = page.evaluate("performance.timing.loadEventEnd - performance.timing.navigationStart")
    print(f"interactive after {ready} ms")
    page.get_by_label("Words").fill("check-00050")
    page.get_by_text("1 of 10,000 checks").wait_for()
    page.get_by_role("link", name="Check 50", exact=True).click()
    assert page.get_by_role("heading", level=1).inner_text() == "Check 50"
    page.close()


def test_served_on_loopback_to_this_machine_alone(tmp_path: Path) -> None:
    import http.client

    directory = Made(tmp_path / "run").write()
    reports.write(judge(directory, waivers=[]), directory, writers=["page"])
    running, url = server(directory)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    try:
        assert url.startswith("http://127.0.0.1:")
        for host, status in (("127.0.0.1", 200), ("evil.example", 403)):
            connection = http.client.HTTPConnection("127.0.0.1", running.server_address[1], timeout=5)
            connection.request("GET", "/report/index.html", headers={"Host": host})
            answer = connection.getresponse()
            assert answer.status == status
            answer.read()
            connection.close()
    finally:
        running.shutdown()
        running.server_close()
        thread.join(5)


def test_no_planted_secret_reaches_any_file(tmp_path: Path) -> None:
    from core.journal import Journal
    from core.secret import Redactor

    secret = f"planted-{time.time_ns()}"
    directory = Made(tmp_path / "run").write()
    journal = Journal(directory, "leaky", Redactor([secret]), background=False)
    missed = CheckFinished(
        check="kv.hit-and-miss",
        attempt=9,
        outcome=CheckOutcome.MISSED,
        message=f"refused {secret}",
        service="kv",
        expected=secret,
        saw=secret,
        seconds=1.0,
    )
    journal.write(missed)
    journal.close()
    verdict = judge(directory, waivers=[])
    assert verdict.exit == 1
    reports.write(verdict, directory)
    for path in directory.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path


def test_a_trace_opens_offline(browser: Any, tmp_path: Path) -> None:
    directory = Made(tmp_path / "run", live=True).write()
    (directory / "evidence").mkdir()
    context = browser.new_context()
    context.tracing.start(snapshots=True)
    page = context.new_page()
    page.set_content("<h1>greeting</h1>")
    page.click("h1")
    context.tracing.stop(path=directory / "evidence" / "t.zip")
    context.close()
    verdict = judge(directory, waivers=[])
    (flow,) = (c for c in verdict.checks if c.id == "browser.whole-flow")
    flow.attachments = [{"name": "trace", "path": "evidence/t.zip", "media_type": TRACE}]
    reports.write(verdict, directory, writers=["page"])
    running, url = server(directory)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    try:
        context = browser.new_context()
        asked: list[str] = []
        context.on("request", lambda request: asked.append(request.url))
        page = context.new_page()
        page.goto((directory / "report" / page_of_check(flow.id)).as_uri())
        assert page.get_by_text("assay report run --open").is_visible()
        asked.clear()
        page.goto(url.replace("index.html", page_of_check(flow.id)))
        page.get_by_role("link", name="open the trace").click()
        page.get_by_text('locator("h1")').first.wait_for()
        context.close()
    finally:
        running.shutdown()
        running.server_close()
        thread.join(5)
    assert all(u.startswith(("http://127.0.0.1:", "blob:", "data:")) for u in asked)
