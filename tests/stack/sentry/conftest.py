"""Bugsink with the recorder in front, started once for this room's tests."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import httpx
import pytest

from tests.stack.vendors.running import Running, make
from tests.stack.vendors.site import Site
from tests.stack.vendors.site import site as started_site


@pytest.fixture(scope="session")
def sentry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = make("sentry", tmp_path_factory.mktemp("sentry"), reading_limits=False)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def api(sentry: Running) -> Iterator[httpx.Client]:
    """A client of the Web API with the right token."""
    token = {"Authorization": "Bearer " + sentry.env["SENTRY_AUTH_TOKEN"]}
    with httpx.Client(base_url=sentry.env["SENTRY_URL"] + "/api/0", headers=token, timeout=30) as client:
        yield client


@pytest.fixture
def marker() -> str:
    return "m" + secrets.token_hex(8)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site with the vendors' browser SDKs, in Chromium."""
    with started_site(tmp_path_factory.mktemp("site")) as running:
        yield running
