"""Accepted and readable are two facts: a 2xx from an intake proves nothing until the datum can be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlencode

from clients.http_port import WireAnswer
from clients.service_clients import ServiceClients
from clients.services.datadog import lines
from core.clock import eventually, now_ns
from core.description import fill
from core.errors import NotDescribed
from core.outcome import SampleOutcome
from core.run import Run
from scenarios.api.telemetry import DEADLINES as DEADLINES

T = TypeVar("T")
WHY_SLOW = "the vendor shows an accepted datum only after indexing it, up to a minute on a live target"
TIMEOUT = 120.0


def relayed(services: ServiceClients, events: list[dict[str, Any]], *, claim: str) -> WireAnswer:
    """Hands RUM events to the platform's relay, as the browser SDK's proxy setting does; it must take them."""
    forward = urlencode({"ddforward": services.datadog.intake_path()})
    answer: WireAnswer = services.platform.call(
        "POST",
        f"{services.platform.path('telemetry.relay.datadog')}?{forward}",
        body=lines(events),
        headers={"Content-Type": "text/plain"},
    )
    return answer.expect(200, 202, claim=claim)


def tracked(services: ServiceClients, event: dict[str, Any], *, cookie: str) -> WireAnswer:
    """Hands an event to the platform's relay in the form of Mixpanel's browser SDK; consent is the cookie."""
    answer: WireAnswer = services.platform.call(
        "POST",
        f"{services.platform.path('telemetry.relay.mixpanel')}/track/?verbose=1&ip=1",
        body=urlencode({"data": json.dumps([event])}).encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie},
    )
    return answer


def consent(services: ServiceClients, token: str) -> None:
    """The person consents to analytics, by the function that the project describes."""
    described = services.run.target.description.privacy.consent
    if described is None:
        raise NotDescribed("privacy.consent")
    body = fill(described.body, {"given": True})
    services.database.rest("POST", f"/rpc/{described.rpc}", token=token, body=body).demand(200)


def readable(
    run: Run, service: str, accepted: WireAnswer | None, probe: Callable[[], T | None], *, claim: str
) -> T:
    """Waits for the datum at the service; records when it was readable, and the acceptance only then.

    `accepted` is the intake's answer (None when no client of ours sent the datum).
    """
    begin = accepted.intended if accepted else now_ns()
    seen = eventually(probe, within=DEADLINES[service], every=0.1, claim=claim, service=service)
    assert seen is not None
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
