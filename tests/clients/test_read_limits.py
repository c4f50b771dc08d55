"""A service's reading limit is waited out as told, within the check's deadline, and else the harness is broken."""

from __future__ import annotations

import time

import httpx
import pytest

from clients import read_limits
from clients.http import GuardedTransport
from core.errors import ServiceError
from core.permit import EVERYTHING, Permit
from tests.clients.test_login_budget import Clock


def asked(*answers: httpx.Response, within: float = float("inf")) -> tuple[httpx.Response, float]:
    """The answer that a caller gets of a service which gives these in turn, and how long it waited."""
    clock, given = Clock(), iter(answers)
    begin = clock()
    answer = read_limits.send_within_limits(
        "mixpanel",
        "GET /",
        lambda: next(given),
        sleep=clock.sleep,
        clock=clock,
        left=lambda: begin + within - clock(),
    )
    return answer, clock() - begin


def refused(**headers: str) -> httpx.Response:
    return httpx.Response(429, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7),
        ({"x_ratelimit_reset": "12"}, 12),
        ({"x_sentry_rate_limit_remaining": "3", "x_sentry_rate_limit_reset": "9"}, 0.5),
        ({"retry_after": "no date"}, 0.5),
        ({}, 0.5),
    ],
)
def test_it_waits_as_told(headers: dict[str, str], seconds: float) -> None:
    answer, waited = asked(refused(**headers), httpx.Response(200))
    assert (answer.status_code, waited) == (200, seconds)


def test_sentrys_window_is_waited_for_to_its_end() -> None:
    ends = {"x_sentry_rate_limit_remaining": "0", "x_sentry_rate_limit_reset": str(int(time.time()) + 30)}
    _, waited = asked(refused(**ends), httpx.Response(200))
    assert 28 < waited < 31


def test_untold_waits_grow() -> None:
    _, waited = asked(*[refused()] * 5, httpx.Response(200))
    assert waited == 0.5 + 1 + 2 + 4 + 8


@pytest.mark.parametrize(("deadline", "headers"), [(30, {"retry_after": "3600"}), (30, {}), (1e9, {})])
def test_beyond_its_deadline_the_limit_is_named_and_nothing_said_of_the_platform(
    deadline: float, headers: dict[str, str]
) -> None:
    with pytest.raises(ServiceError, match=r"mixpanel.*limit of readings is used up") as raised:
        asked(*[refused(**headers)] * 99, within=deadline)
    assert "platform" in str(raised.value)


@pytest.mark.parametrize(("service", "status"), [("mixpanel", 200), ("platform", 429)])
def test_only_what_no_check_judges_is_waited_out(service: str, status: int) -> None:
    given = iter([refused(), httpx.Response(200, json={})])
    inner = httpx.MockTransport(lambda _: next(given))
    permit = Permit(EVERYTHING, frozenset({"127.0.0.1"}))
    with httpx.Client(transport=GuardedTransport(service, permit, inner=inner)) as client:
        assert client.post("http://127.0.0.1/", json={"a": 1}).status_code == status
