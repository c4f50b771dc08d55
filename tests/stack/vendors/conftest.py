"""The vendors' process, started once for this room's tests, or for one test with its own options."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stack.vendors.running import Running, make
from tests.stack.vendors.site import Site
from tests.stack.vendors.site import site as started_site


@pytest.fixture(scope="module")
def vendors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A stand-in with short indexing delays and no limits of reading."""
    delays: dict[str, Any] = {
        "datadog_delay_ms": 50,
        "mixpanel_delay_ms": 50,
        "ga4_delay_ms": 50,
        "builder_delay_ms": 50,
        "reading_limits": False,
    }
    running = make("vendors", tmp_path_factory.mktemp("vendors"), **delays)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def own_vendors(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start a stand-in for one test, with its own options."""
    started: list[Running] = []

    def start(**options: Any) -> Running:
        running = make("vendors", tmp_path, **options)
        running.start()
        started.append(running)
        return running

    yield start
    for running in started:
        if running.process is not None and running.process.poll() is None:
            running.stop()


@pytest.fixture
def marker() -> str:
    return "m" + secrets.token_hex(8)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with the vendors' browser SDKs, in Chromium."""
    with started_site(tmp_path_factory.mktemp("site")) as running:
        yield running
