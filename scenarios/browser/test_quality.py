"""P6.1: every page is accessible, quiet, light and quick to draw."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from core.errors import BrokenError
from core.expect import expect, expect_equal
from core.passport import check
from core.permit import Action
from core.run import ROOT, Run
from fixtures.browser.users import BrowserUser
from scenarios.browser import vitals
from scenarios.browser.conftest import NewMember, NewPerson
from scenarios.browser.pages import AnyPage, Pages

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
HEAVIEST = 1_500_000
"""Bytes over the wire that a page may weigh on a first visit."""
SLOW = "every page of the platform in a real browser"


def serious(person: BrowserUser) -> list[str]:
    """Serious and critical violations that axe-core finds on the open page, in light and in dark.

    Dark differs in colours alone, so the second look is at the contrasts.
    """
    if not AXE.exists():
        raise BrokenError("axe-core is not installed; run `./assay setup`.")
    person.page.evaluate(AXE.read_text(encoding="utf-8"))
    person.page.emulate_media(color_scheme="light")
    light = _violations(person, {"resultTypes": ["violations"]})
    person.page.emulate_media(color_scheme="dark")
    dark = _violations(person, {"resultTypes": ["violations"], "runOnly": ["color-contrast"]})
    return [*(f"light: {v}" for v in light), *(f"dark: {v}" for v in dark)]


def _violations(person: BrowserUser, options: dict[str, Any]) -> list[str]:
    result: dict[str, Any] = person.page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{v['id']} ({v['impact']}): {v['nodes'][0]['target']}"
        for v in result["violations"]
        if v["impact"] in ("serious", "critical")
    ]


def moving(person: BrowserUser) -> int:
    """How many animations and transitions run or would run on the open page, whatever starts them."""
    return int(
        person.page.evaluate(
            """() => document.getAnimations().length + [...document.querySelectorAll('*')].filter(element => {
                const style = getComputedStyle(element);
                const longest = text => Math.max(...text.split(',').map(parseFloat));
                return longest(style.transitionDuration) > 0.01
                    || (style.animationName !== 'none' && longest(style.animationDuration) > 0.01);
            }).length"""
        )
    )


def noise(person: BrowserUser) -> list[str]:
    """Console errors, uncaught errors and refusals by the content security policy."""
    return [*person.seen.console, *person.seen.errors]


@check(
    "browser.accessible",
    "No public page has a serious accessibility violation, light or dark, nor moves where that is not wanted",
    requirement="P6.1",
    service="platform",
    needs=("platform.web", "settings.pages", "auth.email"),
    actions=(Action.READ,),
    timeout=120,
    why_slow=SLOW,
)
def test_accessible(people: NewPerson) -> None:
    """Judged by axe-core on every page for everybody, by its rules for WCAG, for people who want no motion."""
    visitor = people("visitor", reduced_motion="reduce")
    expect_accessible(visitor, visitor.public)


@check(
    "browser.accessible_signed_in",
    "No page for who is signed in has a serious accessibility violation, light or dark, nor moves unasked",
    requirement="P6.1",
    service="platform",
    needs=("platform.web", "settings.pages", "auth.email", "people.form"),
    timeout=120,
    why_slow=SLOW,
)
def test_accessible_signed_in(member: NewMember) -> None:
    """As `browser.accessible`, of every page that a person sees."""
    known, _ = member("known", reduced_motion="reduce")
    expect_accessible(known, known.signed_in)


def expect_accessible(person: Pages, paths: Iterable[str]) -> None:
    """Missed unless each of these pages is accessible and still."""
    found: dict[str, list[str]] = {}
    moves: dict[str, int] = {}
    for path in paths:
        person.account.open(path)
        if violations := serious(person.person):
            found[path] = violations
        if count := moving(person.person):
            moves[path] = count
    expect_equal(found, {}, "no page has a serious accessibility violation", service="platform")
    expect_equal(moves, {}, "no page moves for people who want reduced motion", service="platform")


@check(
    "browser.quiet_and_light",
    "No page writes an error to the console or breaks its own policy, and none weighs too much",
    requirement="P6.1",
    service="platform",
    needs=("platform.web", "settings.pages", "auth.email", "people.form"),
    timeout=120,
    why_slow=SLOW,
)
def test_quiet_and_light(run: Run, people: NewPerson, member: NewMember) -> None:
    """Also records each page's Web Vitals, which objectives judge."""
    visitor = people("visitor")
    known, _ = member("known")
    heavy: dict[str, int] = {}
    for person, paths in ((visitor, visitor.public), (known, known.signed_in)):
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
