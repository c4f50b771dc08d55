"""Sentry: envelopes in at the DSN's host, events read back through Sentry's own Web API."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from clients.http_port import HttpPort, WireAnswer
from clients.services import Probe, undoing
from core.errors import ConfigError
from core.ledger import Undo
from core.ownership import NotOursError, carries_tag, demand_tag
from core.run import Run
from core.service import Service, Variable

_RIGHT = "org:read, project:read, event:read, alerts:read of the project"
_LOST = "that an accepted error is readable at Sentry, with release, stack and user scrubbed"

SERVICE = Service(
    id="sentry",
    title="Sentry",
    variables=(
        Variable("SENTRY_DSN", url=True),
        Variable("SENTRY_ENVIRONMENT"),
        Variable("SENTRY_URL", default="https://sentry.io", url=True),
        Variable("SENTRY_AUTH_TOKEN", secret=True, witness=True, right=_RIGHT, lost=_LOST),
        Variable("SENTRY_ORG", witness=True, right=_RIGHT, lost=_LOST),
        Variable("SENTRY_PROJECT", witness=True, right=_RIGHT, lost=_LOST),
    ),
    capabilities={
        "telemetry.sentry": "errors of browser and Worker arrive at Sentry",
        "telemetry.sentry_alerts": "an alert rule at Sentry tells a receiver of a new error",
    },
    guide="docs/live-target.md#sentry",
    identity=("SENTRY_URL", "SENTRY_ORG", "SENTRY_PROJECT"),
)
ATTRIBUTE = "sentry"


class SentryClient:
    """`store` sends as an SDK does; `event` and `events` read with the auth token."""

    def __init__(self, run: Run) -> None:
        target = run.target
        self.run = run
        dsn = urlsplit(target.get("SENTRY_DSN"))
        if not dsn.username or not dsn.path.strip("/"):
            raise ConfigError(
                "SENTRY_DSN has no key or no project; copy it whole from the project's settings."
            )
        self.key = dsn.username
        self.project_id = dsn.path.strip("/").rsplit("/", 1)[-1]
        self.environment = target.get("SENTRY_ENVIRONMENT")
        port = f":{dsn.port}" if dsn.port else ""
        self.ingest_url = f"{dsn.scheme}://{dsn.hostname}{port}"
        self.dsn = target.get("SENTRY_DSN")
        self._ingest = HttpPort(SERVICE.id, target.permit, base=self.ingest_url)
        self._api: HttpPort | None = None

    @property
    def api(self) -> HttpPort:
        """Sentry's Web API with the auth token."""
        if self._api is None:
            target = self.run.target
            token = target.secret("SENTRY_AUTH_TOKEN").reveal()
            self._api = HttpPort(
                SERVICE.id,
                target.permit,
                base=f"{target.get('SENTRY_URL').rstrip('/')}/api/0",
                headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
            )
        return self._api

    @property
    def project_path(self) -> str:
        """The project's part of the API."""
        return f"/projects/{self.run.target.get('SENTRY_ORG')}/{self.run.target.get('SENTRY_PROJECT')}"

    def event(self, event_id: str) -> dict[str, Any] | None:
        """One event, or None while Sentry does not show it."""
        answer = self.api.request("GET", f"{self.project_path}/events/{event_id}/")
        return None if answer.status == 404 else dict(answer.demand(200).json(dict))

    def events(self, *, full: bool = False) -> list[dict[str, Any]]:
        """The project's newest error events."""
        answer = self.api.request(
            "GET", f"{self.project_path}/events/", params={"full": "true"} if full else None
        )
        return list(answer.demand(200).json(list))

    def create_rule(self, name: str, *, tag: str, value: str) -> str:
        """An alert rule: the webhooks plugin tells its receivers of every new error with this tag. Its id."""
        rule = {
            "name": name,
            "actionMatch": "any",
            "filterMatch": "all",
            "frequency": 5,
            "conditions": [{"id": "sentry.rules.conditions.first_seen_event.FirstSeenEventCondition"}],
            "filters": [
                {
                    "id": "sentry.rules.filters.tagged_event.TaggedEventFilter",
                    "key": tag,
                    "match": "eq",
                    "value": value,
                }
            ],
            "actions": [
                {
                    "id": "sentry.rules.actions.notify_event_service.NotifyEventServiceAction",
                    "service": "webhooks",
                }
            ],
        }
        answer = self.api.request("POST", f"{self.project_path}/rules/", body=rule)
        return str(answer.demand(200, 201).json(dict)["id"])

    def rule(self, identifier: str) -> dict[str, Any] | None:
        """An alert rule by its id, or None."""
        answer = self.api.request("GET", f"{self.project_path}/rules/{identifier}/")
        return None if answer.status == 404 else dict(answer.demand(200).json(dict))

    def rules(self, name: str) -> list[dict[str, Any]]:
        """Every alert rule of exactly this name."""
        listed = self.api.request("GET", f"{self.project_path}/rules/").demand(200).json(list)
        return [rule for rule in listed if rule.get("name") == name]

    def delete_rule(self, identifier: str) -> None:
        """Removes an alert rule; quiet when there is none."""
        self.api.request("DELETE", f"{self.project_path}/rules/{identifier}/").demand(200, 202, 204, 404)

    @property
    def _plugin(self) -> str:
        return f"{self.project_path}/plugins/webhooks/"

    def receivers(self) -> list[str]:
        """The addresses to which the webhooks plugin sends alerts.

        Sentry shows a plugin's settings as a list of fields (src/sentry/plugins/helpers.py, get_plugin_config), `urls`
        one address a line.
        """
        answer = self.api.request("GET", self._plugin)
        if answer.status == 404:
            return []
        config = answer.demand(200).json(dict).get("config") or []
        fields = config.items() if isinstance(config, dict) else ((f["name"], f.get("value")) for f in config)
        urls = dict(fields).get("urls") or []
        return [str(url) for url in (urls.split() if isinstance(urls, str) else urls)]

    def add_receiver(self, address: str) -> None:
        """Lets the webhooks plugin send alerts to one address more; the others stay."""
        urls = "\n".join([*self.receivers(), address])
        self.api.request("PUT", self._plugin, body={"urls": urls}).demand(200)

    def remove_receiver(self, address: str) -> None:
        """Takes one address away again, the others stay; without any the plugin is switched off."""
        there = self.receivers()
        if address not in there:
            return
        if rest := [url for url in there if url != address]:
            self.api.request("PUT", self._plugin, body={"urls": "\n".join(rest)}).demand(200)
        else:
            self.api.request("DELETE", self._plugin).demand(200, 204, 404)

    def organisation(self, path: str, **params: Any) -> WireAnswer:
        """One request below the organisation's part of the API."""
        return self.api.request(
            "GET", f"/organizations/{self.run.target.get('SENTRY_ORG')}{path}", params=params or None
        )

    def project(self, path: str, **params: Any) -> WireAnswer:
        """One request below the project's part of the API."""
        return self.api.request("GET", f"{self.project_path}{path}", params=params or None)

    def envelope(self, items: list[tuple[dict[str, Any], Any]], *, event_id: str | None = None) -> bytes:
        """An envelope (develop.sentry.dev/sdk/data-model/envelopes) of (item header, payload) pairs."""
        head: dict[str, Any] = {"dsn": self.dsn}
        if event_id:
            head["event_id"] = event_id
        lines = [json.dumps(head)]
        for header, payload in items:
            body = json.dumps(payload)
            lines += [json.dumps({**header, "length": len(body.encode())}), body]
        return ("\n".join(lines) + "\n").encode()

    def send(self, envelope: bytes, *, key: str | None = None) -> WireAnswer:
        """Sends an envelope straight to the intake, with another key when given."""
        auth = f"Sentry sentry_version=7, sentry_client=assay/1, sentry_key={key or self.key}"
        return self._ingest.request(
            "POST",
            f"/api/{self.project_id}/envelope/",
            headers={"X-Sentry-Auth": auth, "Content-Type": "application/x-sentry-envelope"},
            body=envelope,
        )

    def close(self) -> None:
        """Closes every connection."""
        self._ingest.close()
        if self._api:
            self._api.close()


def new_event_id() -> str:
    """An event id as SDKs make it."""
    return uuid.uuid4().hex


def probes(run: Run) -> dict[str, Probe]:
    """What the doctor asks: the project's events with the auth token."""

    def token() -> str:
        SentryClient(run).events()
        return "the project's events are readable"

    return {"API witness": token} if run.target.find("SENTRY_AUTH_TOKEN") else {}


def undoers(run: Run) -> dict[str, Undo]:
    """`sentry.rule` {name, id?} and `sentry.receiver` {address}; name and address hold the run's tag."""

    def undo_rule(key: Mapping[str, Any]) -> None:
        client = undoing(SentryClient, run)
        if key.get("id"):
            there = client.rule(str(key["id"]))
            if there and not carries_tag(run.id, there.get("name")):
                raise NotOursError(f"Sentry's alert rule '{there.get('name')}' is not named as one of ours")
            found = [there] if there else []
        else:
            found = client.rules(demand_tag(run.id, key.get("name", ""), "the name of an alert rule"))
        for rule in found:
            client.delete_rule(str(rule["id"]))

    def undo_receiver(key: Mapping[str, Any]) -> None:
        address = demand_tag(run.id, key.get("address", ""), "the address of an alert's receiver")
        undoing(SentryClient, run).remove_receiver(address)

    return {"sentry.rule": undo_rule, "sentry.receiver": undo_receiver}
