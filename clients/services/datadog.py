"""DataDog: RUM events in at the browser intake, read back through DataDog's search API."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from clients.http_port import HttpPort, WireAnswer
from clients.services import Probe, undoing
from core.errors import ServiceError
from core.ledger import Undo
from core.ownership import NotOursError, carries_tag, demand_tag
from core.run import Run
from core.service import Service, Variable

_LOST = "that an accepted view, action, error or metric is readable at DataDog"

SERVICE = Service(
    id="datadog",
    title="DataDog",
    variables=(
        Variable("DATADOG_CLIENT_TOKEN"),
        Variable("DATADOG_APPLICATION_ID"),
        Variable(
            "DATADOG_API_KEY", secret=True, witness=True, right="an API key of the organisation", lost=_LOST
        ),
        Variable(
            "DATADOG_APP_KEY",
            secret=True,
            witness=True,
            right="scopes rum_apps_read, timeseries_query, dashboards_read, monitors_read, monitors_write",
            lost=_LOST,
        ),
        Variable("DATADOG_API_URL", default="https://api.datadoghq.com", url=True),
        Variable("DATADOG_INTAKE_URL", default="https://browser-intake-datadoghq.com", url=True),
    ),
    capabilities={
        "telemetry.datadog": "RUM views, actions, errors and resources arrive at DataDog",
        "telemetry.metrics": "the Worker's custom metrics arrive at DataDog",
        "telemetry.dashboards": "a dashboard at DataDog shows what the platform sends",
        "telemetry.monitors": "a monitor at DataDog alerts on what the platform sends",
    },
    guide="docs/live-target.md#datadog",
    identity=("DATADOG_API_URL", "DATADOG_APPLICATION_ID"),
)
ATTRIBUTE = "datadog"


class DatadogClient:
    """`rum_body` and `rum_query` are what the browser SDK sends; `search` reads with both keys."""

    def __init__(self, run: Run) -> None:
        target = run.target
        self.run = run
        self.client_token = target.get("DATADOG_CLIENT_TOKEN")
        self.application = target.get("DATADOG_APPLICATION_ID")
        self._intake = HttpPort(SERVICE.id, target.permit, base=target.get("DATADOG_INTAKE_URL"))
        self._api: HttpPort | None = None

    @property
    def api(self) -> HttpPort:
        """DataDog's API with both keys."""
        if self._api is None:
            target = self.run.target
            self._api = HttpPort(
                SERVICE.id,
                target.permit,
                base=target.get("DATADOG_API_URL"),
                headers={
                    "Accept": "application/json",
                    "DD-API-KEY": target.secret("DATADOG_API_KEY").reveal(),
                    "DD-APPLICATION-KEY": target.secret("DATADOG_APP_KEY").reveal(),
                },
            )
        return self._api

    def search(self, query: str, *, since: str = "now-15m") -> list[dict[str, Any]]:
        """RUM events that fit a search query, newest first (POST /api/v2/rum/events/search)."""
        body = {
            "filter": {"query": query, "from": since, "to": "now"},
            "sort": "-timestamp",
            "page": {"limit": 100},
        }
        answer = self.api.request("POST", "/api/v2/rum/events/search", body=body)
        return list(answer.demand(200).json(dict).get("data") or [])

    def metric_points(self, query: str, *, minutes: int = 15, since: float | None = None) -> list[float]:
        """Values of a metric query over the last minutes, or since a time in epoch seconds (GET /api/v1/query)."""
        now = int(time.time())
        begin = now - minutes * 60 if since is None else int(since)
        answer = self.api.request(
            "GET", "/api/v1/query", params={"from": begin, "to": now + 60, "query": query}
        )
        series = answer.demand(200).json(dict).get("series") or []
        return [
            float(point[1]) for one in series for point in one.get("pointlist", []) if point[1] is not None
        ]

    def rum_numbers(
        self, query: str, compute: Mapping[str, Any], group_by: Sequence[Mapping[str, Any]] = ()
    ) -> list[float]:
        """What an aggregation of RUM events of the last 15 minutes yields, a number a group
        (POST /api/v2/rum/analytics/aggregate)."""
        body = {
            "filter": {"query": query, "from": "now-15m", "to": "now"},
            "compute": [{**compute, "type": "total"}],
            "group_by": [{"facet": group["facet"], "limit": group.get("limit", 10)} for group in group_by],
        }
        answer = self.api.request("POST", "/api/v2/rum/analytics/aggregate", body=body).demand(200).json(dict)
        buckets = (answer.get("data") or {}).get("buckets") or []
        numbers = [(bucket.get("computes") or {}).get("c0") for bucket in buckets]
        return [float(number) for number in numbers if isinstance(number, int | float)]

    def dashboards(self, title: str) -> list[dict[str, Any]]:
        """Every dashboard of a title, whole (GET /api/v1/dashboard, and each of them)."""
        listed = self.api.request("GET", "/api/v1/dashboard").demand(200).json(dict).get("dashboards") or []
        found = [
            self.api.request("GET", f"/api/v1/dashboard/{one.get('id')}")
            for one in listed
            if one.get("title") == title
        ]
        return [answer.demand(200).json(dict) for answer in found]

    def create_monitor(self, name: str, search: str) -> str:
        """A monitor that alerts as soon as one RUM event of the last five minutes fits the search; its id."""
        escaped = search.replace('"', '\\"')
        body = {
            "name": name,
            "type": "rum alert",
            "query": f'rum("{escaped}").rollup("count").last("5m") > 0',
            "message": "A monitor of Assay's own; it goes with its check.",
            "options": {"thresholds": {"critical": 0}},
        }
        made = self.api.request("POST", "/api/v1/monitor", body=body).demand(200, 201).json(dict)
        if not made.get("id"):
            raise ServiceError(SERVICE.id, f"creating a monitor answers without an id: {str(made)[:200]}")
        return str(made["id"])

    def monitor_state(self, identifier: str) -> str:
        """`OK`, `Alert`, `No Data`, …"""
        found = self.api.request("GET", f"/api/v1/monitor/{identifier}").demand(200).json(dict)
        return str(found.get("overall_state"))

    def monitor(self, identifier: str) -> dict[str, Any] | None:
        """A monitor by its id, or None."""
        answer = self.api.request("GET", f"/api/v1/monitor/{identifier}")
        return None if answer.status == 404 else dict(answer.demand(200).json(dict))

    def monitors(self, name: str) -> list[dict[str, Any]]:
        """Every monitor of exactly this name."""
        listed = self.api.request("GET", "/api/v1/monitor", params={"name": name}).demand(200).json(list)
        return [one for one in listed if one.get("name") == name]

    def delete_monitor(self, identifier: str) -> None:
        """Removes a monitor; quiet when there is none."""
        self.api.request("DELETE", f"/api/v1/monitor/{identifier}").demand(200, 404)

    def event(self, kind: str, session_id: str, view_id: str, **more: Any) -> dict[str, Any]:
        """One RUM event of the browser SDK's form."""
        return {
            "_dd": {"format_version": 2, "document_version": 1},
            "application": {"id": self.application},
            "date": int(time.time() * 1000),
            "service": "platform",
            "session": {"id": session_id, "type": "user"},
            "source": "browser",
            "type": kind,
            "view": {"id": view_id, "url": "https://assay.example/", "referrer": "", **more.pop("view", {})},
            **more,
        }

    def intake_path(self, *, token: str | None = None) -> str:
        """Path and query of the RUM intake, as the browser SDK writes them."""
        tags = "sdk_version:7.0.0,api:fetch,env:assay,service:platform"
        return (
            f"/api/v2/rum?ddsource=browser&ddtags={tags}&dd-api-key={token or self.client_token}"
            f"&dd-evp-origin-version=7.0.0&dd-evp-origin=browser&dd-request-id={uuid.uuid4()}"
        )

    def send(self, events: list[dict[str, Any]], *, token: str | None = None) -> WireAnswer:
        """Sends events straight to the intake, with another client token when given."""
        return self._intake.request("POST", self.intake_path(token=token), body=lines(events))

    def close(self) -> None:
        """Closes every connection."""
        self._intake.close()
        if self._api:
            self._api.close()


def lines(events: list[dict[str, Any]]) -> bytes:
    """Events as the intake takes them: one JSON object a line."""
    return "\n".join(json.dumps(event) for event in events).encode()


def undoers(run: Run) -> dict[str, Undo]:
    """`datadog.monitor` {name, id?}: the monitor of this id, else those of this name; the name holds the run's tag."""

    def undo_monitor(key: Mapping[str, Any]) -> None:
        client = undoing(DatadogClient, run)
        if key.get("id"):
            there = client.monitor(str(key["id"]))
            if there and not carries_tag(run.id, there.get("name")):
                raise NotOursError(f"DataDog's monitor '{there.get('name')}' is not named as one of ours")
            found = [there] if there else []
        else:
            found = client.monitors(demand_tag(run.id, key.get("name", ""), "the name of a monitor"))
        for one in found:
            client.delete_monitor(str(one["id"]))

    return {"datadog.monitor": undo_monitor}


def probes(run: Run) -> dict[str, Probe]:
    """What the doctor asks: a RUM search with both keys."""

    def keys() -> str:
        DatadogClient(run).search("@session.id:assay-doctor-nothing")
        return "RUM events are searchable"

    return {"API witness": keys} if run.target.find("DATADOG_APP_KEY") else {}
