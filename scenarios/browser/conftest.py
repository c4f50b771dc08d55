"""What browser flows share: people at browsers, and the words in which a flow that is not met says why."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from clients.identities import Actor, make_actor
from clients.made_files import MadeFile
from clients.service_clients import ServiceClients
from core.errors import ConfigError, Missed, ServiceError
from core.ledger import Ledger
from core.outcome import NOT_COVERED, Verdict, classify
from core.run import Run
from fixtures.browser.flow import BrowserFlow
from scenarios.browser.pages import Pages, pages_of

NewPerson = Callable[..., Pages]
NewTab = Callable[[Pages], Pages]
NewMember = Callable[..., tuple[Pages, Actor]]
OnDisk = Callable[[str, int], tuple[MadeFile, Path]]
Witness = Callable[[str, str], None]
POLICY = ("content security policy", "refused to")
"""How browsers begin to tell, on the console, that a page broke its own policy."""


@pytest.fixture
def people(request: pytest.FixtureRequest, run: Run, flow: BrowserFlow) -> NewPerson:
    """`people("ada")` is a new person at a browser of their own, with the target's pages."""
    kind = pages_of(run.target)

    def new(name: str, **options: Any) -> Pages:
        return kind(flow, flow.person(name, **options))

    return new


@pytest.fixture
def member(run: Run, services: ServiceClients, ledger: Ledger, people: NewPerson) -> NewMember:
    """`member("ada")` is a new person with an account, logged in through the page; returns (pages, actor)."""

    def new(name: str, **options: Any) -> tuple[Pages, Actor]:
        actor = make_actor(run, services, ledger)
        pages = people(name, **options)
        pages.account.log_in(actor.email, actor.password)
        return pages, actor

    return new


@pytest.fixture
def on_disk(run: Run, tmp_path: Path) -> Iterator[OnDisk]:
    """`on_disk("large", size)` is a made file on this machine, for somebody to choose; gone with the check."""
    made: list[Path] = []

    def make(name: str, size: int) -> tuple[MadeFile, Path]:
        tag = run.tag()
        file = MadeFile(f"{name}-{tag}.bin", size, tag)
        path = tmp_path / file.name
        made.append(path)
        path.write_bytes(file.data)
        return file, path

    yield make
    for path in made:
        path.unlink(missing_ok=True)


@pytest.fixture
def tab(flow: BrowserFlow) -> NewTab:
    """`tab(ada)` is a second tab of ada's browser: the same session, a page of its own."""

    def new(pages: Pages) -> Pages:
        return type(pages)(flow, flow.tab(pages.person))

    return new


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Says in words why a flow is not met, and keeps its evidence while Allure still listens to the check.

    Playwright's `expect` raises AssertionError, and a locator that never appears TimeoutError: both are
    facts about the page, so the flow is missed. Every other error of Playwright (a crash, a refused connection)
    is broken. A flow that is met and broke the page's own policy on the way is missed as well.
    """
    flow = getattr(item, "funcargs", {}).get("flow")
    verdict: str = Verdict.BROKEN
    try:
        result = yield
        if isinstance(flow, BrowserFlow):
            _demand_policy(flow)
        verdict = Verdict.MET
        return result
    except Exception as error:
        found = _in_words(error, flow)
        verdict = NOT_COVERED if isinstance(found, ConfigError) else classify(found)[0]
        if found is error:
            raise
        raise found.with_traceback(
            error.__traceback__
        ) from None  # Playwright's own text repeats what was typed
    finally:
        if isinstance(flow, BrowserFlow):
            flow.close(Verdict.MET if verdict == NOT_COVERED else verdict)


def _in_words(error: Exception, flow: BrowserFlow | None) -> Exception:
    if isinstance(error, Missed):
        return error
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, AssertionError | PlaywrightTimeout):
        effects = flow.effects() if flow else []
        claim = lines[0] if lines else type(error).__name__
        effects.sort(
            key=lambda sentence: sentence.split()[0] not in claim
        )  # whoever waited in vain comes first
        expected = next((line for line in lines if line.startswith("Expected value")), "").partition(": ")[2]
        actual = next((line for line in lines if line.startswith("Actual value")), "").partition(": ")[2]
        others = [sentence if len(sentence) < 160 else f"{sentence[:160]}…" for sentence in effects[1:]]
        saw = "; ".join([f"{actual[:200]} on the page" if actual else "nothing of it", *others])
        expected = "" if "<None>" in expected else expected  # Playwright's word for nought
        return Missed(
            ": ".join([claim[:300], *effects[:1]]), expected=expected or None, saw=saw, service="platform"
        )
    if isinstance(error, PlaywrightError):
        return ServiceError("platform", f"the browser: {'; '.join(lines[:4])[:500]}")
    return error


def _demand_policy(flow: BrowserFlow) -> None:
    for person in flow.people:
        if broken := [line for line in person.seen.console if any(word in line.lower() for word in POLICY)]:
            raise Missed(
                f"no page breaks its own content security policy ({person.name})",
                expected="no refusal on the console",
                saw=broken[:3],
                service="platform",
            )
