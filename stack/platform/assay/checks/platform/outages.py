"""What the checks that take services away share: the platform's own word on them, and a kept page made old."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from clients.service_clients import ServiceClients
from clients.services.kv import content_keys
from core.clock import eventually
from core.errors import Missed, ServiceError
from core.expect import expect_equal
from core.permit import Action

PLATFORM = "platform"
ACTIONS = (Action.READ, Action.WRITE, Action.ADMIN, Action.OUTAGE)
WHY = "a service is taken away, its absence awaited, and its return"
TIMEOUT = 120.0


def health(services: ServiceClients) -> dict[str, Any]:
    """The platform's own word on its services; a health page answers 503 when it is down."""
    answer = services.platform.call("GET", "/api/health", allow=(503,))
    document: dict[str, Any] = answer.expect(200, 503, claim="the health page answers").json(dict)
    return document


@contextmanager
def goes_on(away: str) -> Iterator[None]:
    """What the platform must do while something is away. That it fails then is its own fault, not the harness's: Missed."""
    try:
        yield
    except ServiceError as error:
        raise Missed(
            f"with {away} away the platform does the rest as before",
            expected="an answer as with it",
            saw=error.what,
            service=PLATFORM,
        ) from error


def wait_healthy(services: ServiceClients) -> None:
    """Waits until the platform says that all its services are well."""
    eventually(
        lambda: health(services)["status"],
        until=lambda status: status == "ok",
        within=60,
        claim="all services are well again",
        service=PLATFORM,
    )


def wait_reported_down(services: ServiceClients, *names: str, status: str) -> None:
    """Waits until the health page says that these services are ill; the platform must call itself `status` then."""
    away = " and ".join(names)
    sick = eventually(
        lambda: health(services),
        until=lambda h: all(not h["services"][name]["ok"] for name in names),
        within=30,
        claim=f"the health page says that {away} is away",
        service=PLATFORM,
    )
    expect_equal(
        sick["status"], status, f"without {away} the platform says of itself {status}", service=PLATFORM
    )


def expire_cached_page(services: ServiceClients, path: str) -> None:
    """Makes every kept copy of a page an hour and more old."""
    for key in eventually(
        lambda: services.kv.keys(content_keys(path)), within=30, claim="the page is kept in KV", service="kv"
    ):
        kept = services.kv.kept(key)
        services.kv.put(key, json.dumps({**kept, "fetched_at": kept["fetched_at"] - 4_000_000}).encode())
