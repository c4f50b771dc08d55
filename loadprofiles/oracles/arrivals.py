"""Events for four telemetry services, and what of them each service's own API shows."""

from __future__ import annotations

import os
import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gevent

from clients.services import datadog, ga4, mixpanel, sentry
from core.errors import AssayError
from core.events import Note, NoteLevel
from core.run import Run
from loadprofiles.oracles.pending import Pending

_KEYS = {
    "sentry": "SENTRY_AUTH_TOKEN",
    "datadog": "DATADOG_APP_KEY",
    "ga4": "GA4_ACCESS_TOKEN",
    "mixpanel": "MIXPANEL_API_SECRET",
}
"""The secret that reads each service."""
EVERY = {"sentry": 3.0, "datadog": 5.0, "ga4": 5.0, "mixpanel": 15.0}
"""Seconds between two readings: services count them (Mixpanel allows 60 exports an hour), and so do their stand-ins."""


class Readers:
    """Makes events that can be told apart, and confirms those that are readable."""

    def __init__(self, run: Run, account: Callable[[str], Pending]) -> None:
        self._journal = run.open_journal("reader")
        run = replace(run, journal=self._journal)
        self.services = {service for service, key in _KEYS.items() if run.target.find(key)}
        """What can be read back."""
        self._account = account
        self._tag = f"load{os.getpid()}{secrets.token_hex(3)}"
        self._session = str(uuid.uuid4())
        self._sentry, self._datadog = sentry.SentryClient(run), datadog.DatadogClient(run)
        self._ga4, self._mixpanel = ga4.Ga4Client(run), mixpanel.MixpanelClient(run)
        self._greenlets: list[Any] = []
        for service in sorted(set(_KEYS) - self.services):
            self._journal.write(Note(NoteLevel.WARNING, f"{service} cannot be read back: not loaded"))

    def start(self) -> None:
        """Begins to read each service, again and again."""
        look = {"sentry": self._errors, "datadog": self._views, "ga4": self._titles, "mixpanel": self._events}
        self._greenlets = [gevent.spawn(self._watch, one, look[one]) for one in self.services]

    def close(self) -> None:
        """Ends reading."""
        gevent.killall(self._greenlets)
        for client in (self._sentry, self._datadog, self._ga4, self._mixpanel):
            client.close()
        self._journal.close()

    # -- what is sent --------------------------------------------------------------------------------------

    def envelope(self, identifier: str) -> bytes:
        """An error of one kind, so that a load makes one issue and not thousands."""
        event = {
            "event_id": identifier,
            "timestamp": time.time(),
            "platform": "javascript",
            "level": "error",
            "environment": self._sentry.environment,
            "fingerprint": ["assay-load"],
            "tags": {"assay": self._tag},
            "exception": {"values": [{"type": "AssayLoad", "value": "thrown under load"}]},
        }
        return self._sentry.envelope([({"type": "event"}, event)], event_id=identifier)

    def view(self, identifier: str) -> tuple[str, bytes]:
        """(the intake's path, the event's lines)."""
        event = self._datadog.event("view", self._session, identifier, view={"time_spent": 1})
        return self._datadog.intake_path(), datadog.lines([event])

    def title(self, number: int) -> str:
        """A page title of this load's own: the one thing that GA4 shows of an event at once."""
        return f"assay {self._tag} {number}"

    def event(self, identifier: str) -> dict[str, Any]:
        """An event of this load's own."""
        return self._mixpanel.event("page_view", f"assay-{self._tag}", identifier, assay=self._tag)

    # -- what is readable ----------------------------------------------------------------------------------

    def _watch(self, service: str, look: Callable[[list[Any]], set[Any]]) -> None:
        while True:
            gevent.sleep(EVERY[service])
            account = self._account(service)
            if not (waiting := account.keys):
                continue
            try:
                seen = look(waiting)
            except AssayError as error:  # the deadline judges: one reading that fails says nothing yet
                self._journal.write(Note(NoteLevel.WARNING, f"{service} cannot be read: {error}"))
                continue
            for key in waiting:
                if key in seen:
                    account.confirm(key)

    def _errors(self, waiting: list[Any]) -> set[Any]:
        listed = {str(event.get("eventID") or event.get("id")) for event in self._sentry.events()}
        # the list holds the newest only; what is older is asked for one by one
        older = [one for one in waiting[:20] if one not in listed]
        return listed | {one for one in older if self._sentry.event(one)}

    def _views(self, waiting: list[Any]) -> set[Any]:
        found = self._datadog.search(f"@session.id:{self._session}")
        seen = {(e["attributes"].get("attributes") or {}).get("view", {}).get("id") for e in found}
        older = [one for one in waiting[:20] if one not in seen]
        return seen | {one for one in older if self._datadog.search(f"@view.id:{one}")}

    def _titles(self, waiting: list[Any]) -> set[Any]:
        own = ga4.text_filter("unifiedScreenName", f"assay {self._tag} ", "BEGINS_WITH")
        return {title for title, times in self._ga4.titles(own).items() if times == 1}

    def _events(self, waiting: list[Any]) -> set[Any]:
        found = self._mixpanel.export("page_view", assay=self._tag)
        return {event["properties"].get("$insert_id") for event in found}
