"""P6.1: every page is accessible, quiet, light and quick to draw."""

from __future__ import annotations

from typing import Any

from core.errors import BrokenError
from core.expect import expect, expect_equal
from core.passport import check
from fixtures.browser import Person
from fixtures.run import ROOT, Run
from scenarios.browser import vitals
from scenarios.browser.conftest import NewMember, NewPerson
from scenarios.browser.pages import AnyPage

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
PUBLIC = ("/", "/register", "/login", "/recover", "/posts", "/status")
SIGNED_IN = ("/profile", "/posts/new", "/files", "/rooms", "/rooms/quality", "/privacy")
HEAVIEST = 1_500_000
"""Bytes over the wire that a page may weigh on a first visit."""
SLOW = "every page of the platform in a real browser"


def serious(person: Person) -> list[str]:
    """Serious and critical violations that axe-core finds on the open page."""
    if not AXE.exists():
        raise BrokenError("axe-core is not installed; run `./assay setup`.")
    person.page.evaluate(AXE.read_text(encoding="utf-8"))
    result: dict[str, Any] = person.page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{v['id']} ({v['impact']}): {v['nodes'][0]['target']}"
        for v in result["violations"]
        if v["impact"] in ("serious", "critical")
    ]


def noise(person: Person) -> list[str]:
    """Console errors, uncaught errors and refusals by the content security policy."""
    return [*person.seen.console, *person.seen.errors]


@check(
    "browser.accessible",
    "No page has a serious accessibility violation, light or dark",
    requirement="P6.1",
    service="platform",
    capability="platform.web",
    timeout=120,
    why_slow=SLOW,
)
def test_accessible(people: NewPerson, member: NewMember) -> None:
    """Judged by axe-core on every page, by its rules for WCAG."""
    found: dict[str, list[str]] = {}
    visitor = people("visitor", color_scheme="dark", reduced_motion="reduce")
    known, _ = member("known")
    for person, paths in ((visitor, PUBLIC), (known, SIGNED_IN)):
        for path in paths:
            person.account.open(path)
            if violations := serious(person.person):
                found[path] = violations
    expect_equal(found, {}, "no page has a serious accessibility violation", service="platform")


@check(
    "browser.quiet_and_light",
    "No page writes an error to the console or breaks its own policy, and none weighs too much",
    requirement="P6.1",
    service="platform",
    capability="platform.web",
    timeout=120,
    why_slow=SLOW,
)
def test_quiet_and_light(run: Run, people: NewPerson, member: NewMember) -> None:
    """Also records each page's Web Vitals, which objectives judge."""
    visitor = people("visitor")
    known, _ = member("known")
    heavy: dict[str, int] = {}
    for person, paths in ((visitor, PUBLIC), (known, SIGNED_IN)):
        vitals.observe(person.person.context)
        for path in paths:
            person.account.open(path)
            _touch(person.account)
            measured = vitals.measure(person.person.page)
            vitals.record(run.journal, path, measured)
            if measured.weight > HEAVIEST:
                heavy[path] = measured.weight
        expect_equal(
            noise(person.person),
            [],
            f"no page is noisy for a {person.person.name} person",
            service="platform",
        )
    expect(not heavy, f"no page weighs over {HEAVIEST} bytes", saw=heavy, service="platform")


def _touch(page: AnyPage) -> None:
    """One interaction, so that the browser has an INP to measure."""
    page.page.keyboard.press("Tab")
    page.page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
