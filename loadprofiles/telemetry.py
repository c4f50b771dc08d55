"""What browsers tell about errors, views and visits, through the platform's relays: accepted, and then readable.

    assay load telemetry --users 8 --for 60s

A sample of perf.telemetry runs from the moment when the event happens until the intake has accepted it, and counts only
once the event is readable through the service's own API, within that service's own deadline. What was accepted and is
not there then is a wrong answer. Services without a key that can read are not loaded, and the run says so.
"""

from __future__ import annotations

import os
import uuid
from typing import Any

from locust import task

from core.load_needs import Needs
from loadengine.api import Measure, OpenUser, Poisson
from loadengine.measure.recorder import ERROR, REFUSED, WRONG
from loadprofiles.oracles.arrivals import Readers
from loadprofiles.oracles.pending import Pending
from loadprofiles.users.platform_user import PlatformUser
from scenarios.api.telemetry import DEADLINES

NEEDS = Needs(
    uses=("platform.api", "telemetry.sentry", "telemetry.datadog", "telemetry.ga4", "telemetry.mixpanel"),
    drain=100,
)

RELAYS = {service: Measure("telemetry.relay", service=service) for service in DEADLINES}


class Browser(PlatformUser, OpenUser):
    """A visitor's browser that tells four services what happens in it."""

    own_address = True
    arrivals = Poisson

    def on_start(self) -> None:
        """A port for each relay; one reader of what arrives for the whole process."""
        self.reader = self.engine.once(Readers, lambda: _reading(self))
        self.relays = {service: self.port(measure) for service, measure in RELAYS.items()}

    @task
    def throw(self) -> None:
        """An error, to Sentry."""
        identifier = uuid.uuid4().hex
        envelope = self.reader.envelope(identifier)
        self._tell("sentry", identifier, lambda port: self.adapter.report_error(port, envelope))

    @task
    def show(self) -> None:
        """A view, to DataDog."""
        view = str(uuid.uuid4())
        intake, lines = self.reader.view(view)
        self._tell("datadog", view, lambda port: self.adapter.report_view(port, intake, lines))

    @task
    def visit(self) -> None:
        """A page view, to Google Analytics."""
        number = self.engine.number("visit")
        title, client = self.reader.title(number), f"{os.getpid()}.{number}"
        self._tell(
            "ga4",
            title,
            lambda port: self.adapter.track(
                port, "page_view", client, page_title=title, engagement_time_msec=1
            ),
        )

    @task
    def act(self) -> None:
        """An event, to Mixpanel."""
        identifier = str(uuid.uuid4())
        event = self.reader.event(identifier)
        self._tell("mixpanel", identifier, lambda port: self.adapter.report_event(port, event))

    def _tell(self, service: str, key: str, send: Any) -> None:
        """Sends; what the intake accepted waits until it is readable."""
        if service not in self.reader.services:
            return
        intended = self.intended()
        answer, account = send(self.relays[service]), _account(self, service)
        if answer.status == 0 or answer.status >= 500:
            account.failed(intended, answer.sent, answer.error or f"answered {answer.status}", ERROR)
        elif answer.status == 429:
            account.failed(intended, answer.sent, "answered 429", REFUSED)
        elif wrong := accepted(service, key, answer):
            account.failed(intended, answer.sent, wrong, WRONG)
        else:
            account.accepted(key, intended, answer.sent, answer.done)


def accepted(service: str, key: str, answer: Any) -> str | None:
    """What is wrong with an intake's answer, or None when it took the event."""
    if answer.status not in (200, 202):
        return f"answered {answer.status}"
    try:
        body = answer.json()
    except ValueError:
        return "the answer is no JSON (cut or altered)"
    match service:
        case "sentry":
            right = body.get("id") == key
        case "ga4":
            right = body == {"accepted": True}
        case "mixpanel":
            right = body == {"status": 1, "error": body.get("error")} and not body["error"]
        case _:
            right = isinstance(body, dict)
    return None if right else "the intake's answer is not that of an accepted event"


def _reading(user: Browser) -> Readers:
    readers = Readers(user.engine.run, lambda service: _account(user, service))
    readers.start()
    return readers


def _account(user: Browser, service: str) -> Pending:
    """Where a service's accepted events wait until they are readable; one for the whole process."""
    found = next((p for p in user.engine.outstanding if p.measure.labels.get("service") == service), None)
    if found is None:
        why = f"accepted and not readable at {service} within {DEADLINES[service]:g} s"
        return Pending(
            user.engine, Measure("perf.telemetry", service=service), within=DEADLINES[service], why=why
        )
    assert isinstance(found, Pending)
    return found
