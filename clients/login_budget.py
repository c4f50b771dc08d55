"""The hosted service's login budget: a run's processes share one token bucket, and a 429 is waited for.

Hosted Supabase Auth counts by address: /token 1,800 an hour and /verify 360, each in bursts of 30 (Supabase
docs, "Rate limits"). A run signs some three hundred people in, so on a live target every such request takes
its turn here; on the embedded target, where checks are counted by nobody, only the 429 is waited for.
"""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from clients import deadline
from core.errors import ConfigError, ServiceError
from core.events import Note, NoteLevel
from core.run import Run

HOURLY = {"token": 1800, "verify": 360}
BURST = 30
PATIENCE = 120.0
"""Seconds that one request waits for a limit at most, all its tries together."""
ALLOWANCE = 300.0
"""Seconds by which a check on a live target may outlast its passport, waiting for its turn to sign in."""
FIRST_WAIT, LONGEST_WAIT = 2.0, 32.0
MAIL_CODE = "over_email_send_rate_limit"


@dataclass
class Budget:
    """Turns of one kind of request. `file` is shared by the processes of a run; `hourly` 0 knows no limit."""

    file: Path
    hourly: float
    clock: Callable[[], float] = time.monotonic

    def reserve(self) -> float:
        """Takes the next turn; returns how many seconds it is away."""
        if not self.hourly:
            return 0.0
        rate = self.hourly / 3600
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            now = self.clock()
            left, at = json.loads(file.read() or f"[{BURST}, {now}]")
            left = min(float(BURST), left + max(0.0, now - at) * rate) - 1
            file.truncate(0)
            file.write(json.dumps([left, now]))
        return max(0.0, -float(left) / rate)


def budgets(run: Run) -> dict[str, Budget]:
    """The run's budgets by the last word of the path. `[settings] logins_per_hour` names another one than hosted."""
    hourly = dict(HOURLY)
    named = run.target.settings.get("logins_per_hour")
    if named is not None:
        if not isinstance(named, int) or named < 1:
            raise ConfigError(
                f"target.toml: logins_per_hour is {named!r}; write a whole number of 1 or more."
            )
        hourly["token"] = named
    if run.target.embedded:
        hourly = dict.fromkeys(hourly, 0)
    return {kind: Budget(run.directory / f".{kind}-budget", much) for kind, much in hourly.items()}


class PacedTransport(httpx.BaseTransport):
    """Sends requests to Auth in their turn, and once more after each 429, as long as PATIENCE lasts.

    What is still refused then goes back as it is; a used up mail limit raises ServiceError. `on_wait` hears of every
    wait, in seconds and words.
    """

    def __init__(
        self,
        inner: httpx.BaseTransport,
        budgets: Mapping[str, Budget],
        on_wait: Callable[[float, str], None],
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._inner = inner
        self._budgets = budgets
        self._on_wait = on_wait
        self._sleep = sleep

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Sends one request; see the class."""
        kind = request.url.path.rpartition("/")[2]
        budget = self._budgets.get(kind) if "/auth/v1/" in request.url.path else None
        if budget is None:
            return _within_mail_limit(self._inner.handle_request(request), request)
        self._wait(budget.reserve(), f"its turn at /{kind}")
        spent, pause = 0.0, FIRST_WAIT
        while True:
            response = self._inner.handle_request(request)
            if response.status_code != 429:
                return response
            wait = max(pause, _retry_after(response))
            if spent + wait > PATIENCE:
                return response
            response.close()
            self._wait(wait, f"/{kind} answered 429")
            spent, pause = spent + wait, min(pause * 2, LONGEST_WAIT)

    def _wait(self, duration: float, why: str) -> None:
        if duration > 0:
            self._on_wait(duration, why)
            self._sleep(duration)
            deadline.extend(duration)

    def close(self) -> None:
        """Closes the wrapped transport."""
        self._inner.close()


def paced(run: Run, inner: httpx.BaseTransport) -> PacedTransport:
    """`inner` within the run's login budget; waits are notes in the journal."""
    return PacedTransport(
        inner,
        budgets(run),
        lambda wait, why: run.journal.write(Note(NoteLevel.INFO, f"waited {wait:.1f} s: {why}")),
    )


def _within_mail_limit(response: httpx.Response, request: httpx.Request) -> httpx.Response:
    """The answer as it is. Raises ServiceError where the project's mail limit is used up: no fault of the platform's.

    Auth answers "email rate limit exceeded" then; that one person asked twice within a minute has the same code and
    other words, and is an answer like any other (Supabase docs, "Auth error codes" and "Rate limits").
    """
    if response.status_code != 429 or "/auth/v1/" not in request.url.path:
        return response
    response.read()
    if MAIL_CODE in response.text and "email rate limit exceeded" in response.text:
        raise ServiceError(
            "supabase.auth",
            f"{request.method} {request.url.path}: the project's mail limit is used up, which says nothing about the "
            "platform; raise `rate_limit_email_sent` (Authentication, Rate Limits: 'sending emails'), which with the "
            "built-in mailer is 2 an hour, or wait an hour",
        )
    return response


def _retry_after(response: httpx.Response) -> float:
    after = response.headers.get("retry-after", "")
    return float(after) if after.isdigit() else 0.0
