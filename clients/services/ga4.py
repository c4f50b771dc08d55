"""Google Analytics 4: events by the Measurement Protocol, read back by the Data API."""

from __future__ import annotations

from typing import Any

from clients.http_port import HttpPort, WireAnswer
from clients.services import Probe
from core.run import Run
from core.service import Service, Variable

_RIGHT = "analytics.readonly on the property"
_LOST = "that a collected event is readable in the property's reports"

SERVICE = Service(
    id="ga4",
    title="Google Analytics 4",
    variables=(
        Variable("GA4_MEASUREMENT_ID"),
        Variable("GA4_API_SECRET", secret=True),
        Variable("GA4_COLLECT_URL", default="https://www.google-analytics.com", url=True),
        Variable("GA4_PROPERTY_ID", witness=True, right=_RIGHT, lost=_LOST),
        Variable("GA4_ACCESS_TOKEN", secret=True, witness=True, right=_RIGHT, lost=_LOST),
        Variable("GA4_DATA_URL", default="https://analyticsdata.googleapis.com", url=True),
    ),
    capabilities={"telemetry.ga4": "consented events arrive at Google Analytics 4"},
    guide="docs/live-target.md#ga4",
)
ATTRIBUTE = "ga4"


class Ga4Client:
    """`collect` sends as a server does; `realtime` reads the last 30 minutes."""

    def __init__(self, run: Run) -> None:
        target = run.target
        self.run = run
        self.measurement_id = target.get("GA4_MEASUREMENT_ID")
        self._secret = target.secret("GA4_API_SECRET")
        self._collect = HttpPort(SERVICE.id, target.permit, base=target.get("GA4_COLLECT_URL"))
        self._data: HttpPort | None = None

    @property
    def data(self) -> HttpPort:
        """The Data API with the access token."""
        if self._data is None:
            target = self.run.target
            self._data = HttpPort(
                SERVICE.id,
                target.permit,
                base=target.get("GA4_DATA_URL"),
                headers={
                    "Authorization": f"Bearer {target.secret('GA4_ACCESS_TOKEN').reveal()}",
                    "Accept": "application/json",
                },
            )
        return self._data

    def realtime(self, *, page_title: str, event: str = "page_view") -> int:
        """How many such events with this page title the property saw in the last 30 minutes."""
        return self.titles(_exact("unifiedScreenName", page_title), event=event).get(page_title, 0)

    def titles(self, wanted: dict[str, Any], *, event: str = "page_view") -> dict[str, int]:
        """How many such events of the last 30 minutes have each page title that a filter wants.

        The page title is the one realtime dimension that can carry a marker without registering anything
        at the property ("Realtime dimensions & metrics", `unifiedScreenName`).
        """
        body = {
            "dimensions": [{"name": "eventName"}, {"name": "unifiedScreenName"}],
            "metrics": [{"name": "eventCount"}],
            "dimensionFilter": {"andGroup": {"expressions": [wanted, _exact("eventName", event)]}},
        }
        prop = self.run.target.get("GA4_PROPERTY_ID")
        answer = self.data.request("POST", f"/v1beta/properties/{prop}:runRealtimeReport", body=body)
        rows = answer.demand(200).json(dict).get("rows") or []
        return {row["dimensionValues"][1]["value"]: int(row["metricValues"][0]["value"]) for row in rows}

    def collect(
        self, events: list[dict[str, Any]], client_id: str, *, secret: str | None = None, debug: bool = False
    ) -> WireAnswer:
        """Sends events by the Measurement Protocol, to its validating endpoint with `debug`."""
        return self._collect.request(
            "POST",
            "/debug/mp/collect" if debug else "/mp/collect",
            params={"measurement_id": self.measurement_id, "api_secret": secret or self._secret.reveal()},
            body={"client_id": client_id, "events": events},
        )

    def close(self) -> None:
        """Closes every connection."""
        self._collect.close()
        if self._data:
            self._data.close()


def text_filter(field: str, value: str, how: str) -> dict[str, Any]:
    """A filter of a dimension's text; `how` is a matchType of the Data API."""
    string = {"matchType": how, "value": value, "caseSensitive": True}
    return {"filter": {"fieldName": field, "stringFilter": string}}


def _exact(field: str, value: str) -> dict[str, Any]:
    return text_filter(field, value, "EXACT")


def probes(run: Run) -> dict[str, Probe]:
    """What the doctor asks: the realtime report with the access token."""

    def token() -> str:
        Ga4Client(run).realtime(page_title="assay-doctor-nothing")
        return "the realtime report answers"

    return {"API witness": token} if run.target.find("GA4_ACCESS_TOKEN") else {}
