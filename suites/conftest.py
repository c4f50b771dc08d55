"""What the suites share: people, the place that journeys go to, and made files."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.ledger import Ledger
from fixtures.actors import Actor, make_actor
from fixtures.files import MadeFile
from fixtures.run import Run
from fixtures.toolbox import Services
from scenarios.api.place import Place


@pytest.fixture
def actor(run: Run, services: Services, ledger: Ledger) -> Callable[[], Actor]:
    """`actor()` makes a new signed-in person of this check's own; gone again afterwards."""
    return lambda: make_actor(run, services, ledger)


@pytest.fixture
def person(actor: Callable[[], Actor]) -> Actor:
    """One signed-in person, for checks that need no second."""
    return actor()


@pytest.fixture
def place(services: Services) -> Place:
    """The target's public addresses."""
    return Place(services.platform.url, services.auth.url, services.auth.public_key)


@pytest.fixture
def made(run: Run) -> Callable[..., MadeFile]:
    """`made(size, mime=…, suffix=…)` makes a file of that size with a name of its own."""

    def make(size: int, mime: str = "application/octet-stream", suffix: str = ".bin") -> MadeFile:
        tag = run.tag()
        return MadeFile(f"assay-{tag}{suffix}", size, tag, mime)

    return make
