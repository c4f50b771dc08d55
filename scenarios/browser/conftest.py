"""What browser flows share: people at browsers, and a translation of Playwright's expectations."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from core.errors import Missed, ServiceError
from core.ledger import Ledger
from fixtures.actors import Actor, make_actor
from fixtures.browser import Stage
from fixtures.run import Run
from fixtures.toolbox import Services
from scenarios.browser.pages import Pages, pages_of

NewPerson = Callable[..., Pages]
NewMember = Callable[..., tuple[Pages, Actor]]
Witness = Callable[[str, str], None]


@pytest.fixture
def people(run: Run, stage: Stage) -> NewPerson:
    """`people("ada")` is a new person at a browser of their own, with the target's pages."""
    kind = pages_of(run.target)

    def new(name: str, **options: Any) -> Pages:
        return kind(stage, stage.person(name, **options))

    return new


@pytest.fixture
def member(run: Run, services: Services, ledger: Ledger, people: NewPerson) -> NewMember:
    """`member("ada")` is a new person with an account, logged in through the page; returns (pages, actor)."""

    def new(name: str, **options: Any) -> tuple[Pages, Actor]:
        actor = make_actor(run, services, ledger)
        pages = people(name, **options)
        pages.account.log_in(actor.email, actor.password)
        return pages, actor

    return new


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """A page that does not show what it should is missed; a browser that fails is broken.

    Playwright's `expect` raises AssertionError, and a locator that never appears TimeoutError: both are
    facts about the page. Every other error of Playwright (a crash, a refused connection) is broken.
    """
    try:
        return (yield)
    except AssertionError as error:
        if isinstance(error, Missed):
            raise
        raise Missed(_first_lines(error), service="platform") from error
    except PlaywrightTimeout as error:
        raise Missed(_first_lines(error), service="platform") from error
    except PlaywrightError as error:
        raise ServiceError("platform", f"the browser: {_first_lines(error)}") from error


def _first_lines(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(lines[:4])[:500]
