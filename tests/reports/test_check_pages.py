"""Every check has a page, and the list of checks finds it: from a file address, by keyboard, by an address that is kept."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import reports
from core.events import CheckExchange, CheckFinished, FlowStep
from core.outcome import CheckOutcome
from reports import History
from reports.history.outcomes import changes, differs_on_one_commit
from reports.judging.cause_groups import grouped, pattern
from reports.judging.model import RunVerdict
from reports.judging.mutes import Mute
from reports.rendering.page.check import page_of_check
from reports.rendering.sign_off import sign
from tests.chromium import launched
from tests.reports.made import CHECKS

LARGE = "storage.large-file"
MISSED = {"outcome": "missed", "message": "no object in R2", "expected": "a 6 MB object", "saw": "404"}
TABLES = [
    (f"db.table-{i}", f"Table {i} keeps a stranger out", "supabase.database", ["P1.3"]) for i in range(60)
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = launched(playwright)
        yield running
        running.close()


def _again(check: str, attempt: int, outcome: CheckOutcome, message: str) -> CheckFinished:
    return CheckFinished(check, attempt, outcome, message, "r2", "", "", 0.5)


def test_a_check_s_page_tells_all_of_it(
    judged: Callable[..., RunVerdict], browser: Any, tmp_path: Path
) -> None:
    history = History(tmp_path / "h.sqlite")
    for night in range(6):
        earlier = judged(
            f"night-{night}",
            age_days=9 - night,
            commit=f"{night:012x}",
            outcomes={LARGE: MISSED} if night % 2 else {},
            history=history,
        )
        history.record(earlier)
    asked = CheckExchange(LARGE, 2, "r2", "S3 HEAD http://r2/files/a?x=1", "404, <b>not found</b>", 7, 0)
    again = _again(LARGE, 2, CheckOutcome.MISSED, "no object in R2, twice")
    verdict = judged(
        outcomes={LARGE: MISSED}, extra=[FlowStep(LARGE, "ada: sent it"), asked, again], history=history
    )
    (large,) = (c for c in verdict.checks if c.id == LARGE)
    assert large.flaky
    assert large.changes == 5
    assert len(large.history) == 6
    directory = tmp_path / "run"
    sign(directory, "Ada", "seen; the bucket was emptied by hand", verdict.state, verdict.headline)
    reports.write(verdict, directory, writers=["json", "page"])
    page = browser.new_page()
    page.goto((directory / "report" / "index.html").as_uri())
    assert "the bucket was emptied by hand" in page.locator("main").inner_text()
    page.get_by_role("link", name="no object in R2").first.click()
    text = page.locator("main").inner_text()
    for text_shown in (
        "A 6 MB file lands in R2",
        "ada: sent it",
        "no object in R2, twice",
        "Flaky",
        "met in 3 of 7",
        "S3 HEAD http://r2/files/a?x=1",
        "404, <b>not found</b>",
        "beside the platform",
        "7 times",
    ):
        assert text_shown.lower() in text.lower(), text_shown
    page.goto((directory / "report" / page_of_check("kv.hit-and-miss")).as_uri())
    text = page.locator("main").inner_text()
    for text_shown in ("row found", "sql", "platform"):
        assert text_shown in text
    page.close()


def test_what_is_known_stands_beside_the_failing_check(
    tmp_path: Path, judged: Callable[..., RunVerdict]
) -> None:
    for name, (day, words) in {
        "now": (dt.date(2099, 1, 31), "muted until 2099-01-31"),
        "over": (dt.date(2020, 1, 31), "the mute ended on 2020-01-31: alerts are sent again"),
    }.items():
        mute = Mute(key="storage.*", owner="bo", reason="the bucket moves", until=day, ticket="OPS-7")
        verdict = judged(name, outcomes={LARGE: MISSED}, mutes=[mute])
        reports.write(verdict, tmp_path / name, writers=["page"])
        report = tmp_path / name / "report"
        for page in ("index.html", page_of_check(LARGE)):
            text = (report / page).read_text()
            assert words in text, page
            assert "the bucket moves" in text
            assert "OPS-7" in text
        assert "OPS-7" not in (report / page_of_check("storage.small-file")).read_text(), "it holds"


def test_the_list_filters_sorts_and_keeps_its_address(
    judged: Callable[..., RunVerdict], browser: Any, tmp_path: Path
) -> None:
    reports.write(judged(outcomes={LARGE: MISSED}), tmp_path / "run", writers=["page"])
    page = browser.new_page()
    page.goto((tmp_path / "run" / "report" / "checks.html").as_uri())
    page.get_by_role("button", name="missed").click()
    page.get_by_text("1 of 14 checks").wait_for()
    assert page.url.endswith("#state=missed")
    page.get_by_role("button", name="Show all").click()
    page.get_by_label("Service").select_option("Supabase Auth")
    page.get_by_text("2 of 14 checks").wait_for()
    page.get_by_role("button", name="Seconds").click()
    page.get_by_role("button", name="Seconds").click()
    address = page.url
    assert "sort=-seconds" in address
    assert "service=Supabase+Auth" in address
    first = page.locator("tbody a").first.inner_text()
    page.close()
    page = browser.new_page()
    page.goto(address)
    assert page.locator("tbody a").first.inner_text() == first
    page.locator("body").press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/checks/*.html")
    assert page.get_by_role("heading", level=1).inner_text() == first
    page.close()


def test_sixty_equal_causes_are_one(judged: Callable[..., RunVerdict]) -> None:
    outcomes: dict[str, Any] = {
        check[0]: {
            "outcome": "broken",
            "message": f"table 'table_{i}' could not be read: relation \"table_{i}\"",
        }
        for i, check in enumerate(TABLES)
    }
    verdict = judged(checks=[*CHECKS, *TABLES], outcomes=outcomes | {LARGE: MISSED})
    first, second = grouped(verdict)
    assert (first.count, first.state, first.service) == (60, "broken", "Supabase database")
    assert (second.count, second.state, second.service) == (1, "missed", "Cloudflare R2")
    assert "no object in R2" in second.text
    assert pattern("row 7 of 'a' at /x/y") == pattern("row 12 of 'b' at /z")
    assert pattern("a row is lost") != pattern("a row is doubled")


def test_flaky_is_what_changes_often_or_on_one_commit() -> None:
    assert changes(["met", "missed", "met"]) == 2
    assert differs_on_one_commit([("a", "met"), ("a", "missed")])
    assert not differs_on_one_commit(
        [("a", "met"), ("b", "missed"), ("unknown", "met"), ("unknown", "missed")]
    )


@pytest.mark.parametrize("name", ["../../etc/passwd", "a" * 300, "Ein Test", "e2e.Cart > adds", "."])
def test_another_tool_s_name_becomes_a_file_s(name: str) -> None:
    page = page_of_check(name)
    assert page.startswith("checks/")
    assert page.count("/") == 1
    assert len(page) < 120
    assert page_of_check(name + "x") != page


def test_what_nothing_asked_is_not_listed(judged: Callable[..., RunVerdict]) -> None:
    alone = judged("load", checks=[], loads={"database": 90}, latency={"perf.database": 14.0})
    assert [s.id for s in alone.services] == ["supabase.database"]
    assert alone.services[0].state == "met"
    selected = judged("selected", skip={c[0] for c in CHECKS} - {LARGE}, latency={}, loads={}, objectives=[])
    assert [s.id for s in selected.services] == ["r2"]
