"""Mixpanel: events by the tracking API, read back by the raw export."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

from clients.http_port import HttpPort, WireAnswer
from clients.services import Probe
from clients.strict_json import read_json
from core.errors import ServiceError
from core.run import Run
from core.service import Service, Variable

_RIGHT = "the project's API secret, or a service account that may export"
_LOST = "that a tracked event is readable in the project's data"

SERVICE = Service(
    id="mixpanel",
    title="Mixpanel",
    variables=(
        Variable("MIXPANEL_TOKEN"),
        Variable("MIXPANEL_API_URL", default="https://api.mixpanel.com", url=True),
        Variable("MIXPANEL_API_SECRET", secret=True, witness=True, right=_RIGHT, lost=_LOST),
        Variable("MIXPANEL_PROJECT_ID", witness=True, right=_RIGHT, lost=_LOST),
        Variable("MIXPANEL_DATA_URL", default="https://data.mixpanel.com", url=True),
    ),
    capabilities={"telemetry.mixpanel": "consented events arrive at Mixpanel"},
    guide="docs/live-target.md#mixpanel",
)
ATTRIBUTE = "mixpanel"


PAUSES = (0.0, 1.0, 2.0, 4.0, 8.0)
"""Seconds between one export and the next of the same question: Mixpanel allows 60 an hour, 3 a second ("Rate limits")."""


class MixpanelClient:
    """`track` sends as the browser SDK does; `export` reads with the project's secret."""

    def __init__(self, run: Run) -> None:
        target = run.target
        self.run = run
        self.token = target.get("MIXPANEL_TOKEN")
        self._api = HttpPort(SERVICE.id, target.permit, base=target.get("MIXPANEL_API_URL"))
        self._data: HttpPort | None = None
        self._asked: dict[str, tuple[int, float]] = {}
        """How often each question was asked, and when last."""

    @property
    def data(self) -> HttpPort:
        """The export API with the project's secret (HTTP Basic, secret as user name)."""
        if self._data is None:
            target = self.run.target
            pair = f"{target.secret('MIXPANEL_API_SECRET').reveal()}:"
            basic = base64.b64encode(pair.encode()).decode()
            self._data = HttpPort(
                SERVICE.id,
                target.permit,
                base=target.get("MIXPANEL_DATA_URL"),
                headers={"Authorization": f"Basic {basic}"},
            )
        return self._data

    def export(self, event: str, **equal: str) -> list[dict[str, Any]]:
        """Events of this name of yesterday and today whose properties equal these values.

        Who asks the same again waits first, ever longer (`PAUSES`).
        """
        now = time.time()
        days = [time.strftime("%Y-%m-%d", time.gmtime(at)) for at in (now - 86400, now)]
        condition = " and ".join(f'properties["{name}"] == "{value}"' for name, value in equal.items())
        params = {
            "from_date": days[0],
            "to_date": days[1],
            "event": json.dumps([event]),
            "project_id": self.run.target.get("MIXPANEL_PROJECT_ID"),
        }
        if condition:
            params["where"] = condition
        self._wait_before(f"{event} {condition}")
        answer = self.data.request("GET", "/api/2.0/export", params=params).demand(200)
        try:
            return [dict(read_json(line)) for line in answer.text.splitlines() if line.strip()]
        except (ValueError, TypeError) as error:
            raise ServiceError(SERVICE.id, f"the export is not one JSON object a line: {error}") from error

    def _wait_before(self, question: str) -> None:
        times, last = self._asked.get(question, (0, 0.0))
        time.sleep(max(0.0, last + PAUSES[min(times, len(PAUSES) - 1)] - time.monotonic()))
        self._asked[question] = (times + 1, time.monotonic())

    def track(self, events: list[dict[str, Any]], *, verbose: bool = True) -> WireAnswer:
        """Sends events straight to the tracking API."""
        params = {"verbose": 1} if verbose else None
        return self._api.request("POST", "/track", body=list(events), params=params)

    def event(self, name: str, distinct_id: str, insert_id: str, **properties: Any) -> dict[str, Any]:
        """One event of the tracking API's form."""
        return {
            "event": name,
            "properties": {
                "token": self.token,
                "time": int(time.time()),
                "distinct_id": distinct_id,
                "$insert_id": insert_id,
                **properties,
            },
        }

    def close(self) -> None:
        """Closes every connection."""
        self._api.close()
        if self._data:
            self._data.close()


PROBE_EVERY = 300.0
"""Exports are limited to 60 an hour (Mixpanel, "Raw Event Export API"): a watch leaves most of them to others."""


def probes(run: Run) -> dict[str, Probe]:
    """What the doctor asks: an export with the project's secret."""

    def secret() -> str:
        MixpanelClient(run).export("assay-doctor-nothing")
        return "export answers"

    return {"API witness": secret} if run.target.find("MIXPANEL_API_SECRET") else {}
