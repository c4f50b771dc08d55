"""Waits after a 429 of a service's reading limit, which says that this harness asked too often, not how the platform is."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from clients import deadline
from core.errors import ServiceError

PLATFORM = frozenset({"platform", "rooms"})
JUDGED = PLATFORM | {"supabase.auth"}
"""Services whose 429 is an answer that checks judge (the platform's own limits), or that wait by `login_budget`."""
LONGEST = 120.0
"""Seconds that one request waits at most, all its tries together; a check's own deadline ends it earlier."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 16.0


def send_within_limits(
    service: str,
    where: str,
    send: Callable[[], httpx.Response],
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    left: Callable[[], float] = deadline.left,
) -> httpx.Response:
    """The first answer that is no 429, each wait as long as the service tells, else ever longer.

    Raises ServiceError once the next try would come too late.
    """
    begin, pause = clock(), FIRST_PAUSE
    while (response := send()).status_code == 429:
        wait = retry_after(response.headers) or pause
        waited = clock() - begin
        if waited + wait > LONGEST or wait > left():
            response.read()
            said = response.text[:200].replace("\n", " ")
            raise ServiceError(
                service,
                f"{where} still answers 429 after {waited:.0f} s of waiting ({said}): its limit of readings is used up, "
                f"which says nothing about the platform; wait {wait:.0f} s, or run fewer checks at once",
            )
        response.close()
        sleep(wait)
        pause = min(pause * 2, LONGEST_PAUSE)
    return response


def retry_after(headers: httpx.Headers) -> float:
    """Seconds after which a 429 says that it may be tried again, 0.0 where it does not say.

    `Retry-After` (RFC 9110, 10.2.3), `X-RateLimit-Reset` (DataDog: seconds), `X-Sentry-Rate-Limit-Reset` (epoch
    seconds, of the window; a refusal for concurrency leaves requests in it).
    """
    after = headers.get("retry-after", "")
    if after.isdigit():
        return float(after)
    try:
        return max(0.0, (parsedate_to_datetime(after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        pass  # there is none, or it is no date
    reset = headers.get("x-ratelimit-reset", "")
    if reset.isdigit():
        return float(reset)
    ends = headers.get("x-sentry-rate-limit-reset", "")
    if ends.isdigit() and headers.get("x-sentry-rate-limit-remaining") == "0":
        return max(0.1, float(ends) - time.time() + 0.1)
    return 0.0
