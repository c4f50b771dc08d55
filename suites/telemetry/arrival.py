"""Accepted and readable are two facts: a 2xx from an intake proves nothing until the datum can be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from core.clock import eventually, now_ns
from core.outcome import SampleOutcome
from fixtures.run import Run
from fixtures.wire import WireAnswer
from scenarios.api.telemetry import DEADLINES as DEADLINES

T = TypeVar("T")
WHY_SLOW = "the vendor shows an accepted datum only after indexing it, up to a minute on a live target"
TIMEOUT = 120.0


def readable(run: Run, service: str, accepted: WireAnswer | None, probe: Callable[[], T], *, claim: str) -> T:
    """Waits for the datum at the service; records when it was readable, and the acceptance only then.

    `accepted` is the intake's answer (None when no client of ours sent the datum).
    """
    begin = accepted.intended if accepted else now_ns()
    seen = eventually(probe, within=DEADLINES[service], every=0.1, claim=claim, service=service)
    if accepted:
        run.journal.sample(
            run.journal.series("perf.telemetry", {"service": service}),
            intended=accepted.intended,
            sent=accepted.sent,
            done=accepted.done,
            outcome=SampleOutcome.OK,
        )
    run.journal.sample(
        run.journal.series("telemetry.readable", {"service": service}),
        intended=begin,
        sent=begin,
        done=now_ns(),
    )
    return seen
