"""DataDog's monitors: thresholds over metrics, RUM events and logs, their states, and whom they tell.

Source: DataDog's API reference, "Monitors" (query grammar of metric, log and RUM alerts; options.thresholds;
validate; overall_state) and "Webhooks integration" (`@webhook-<name>` in the message; payload with $variables).
A monitor is judged every `datadog_monitor_ms` (default 500) and when it is read.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stack.vendors.datadog.documents import now
from stack.vendors.datadog.events import UNITS, Events
from stack.vendors.datadog.intake import LOG, RUM
from stack.vendors.datadog.keys import Keys, failure
from stack.vendors.datadog.metrics import BadQuery, Metrics, aggregate, parse
from stack.vendors.datadog.search import BadSearch
from stack.vendors.store import Store
from stack.vendors.web import read_json

MONITOR = "datadog.monitor"
WEBHOOK = "datadog.webhook"
NOTIFICATION = "datadog.notification"
METRIC_QUERY = re.compile(
    r"^(?P<reducer>avg|sum|min|max)\(last_(?P<count>\d+)(?P<unit>[smhdw])\):(?P<query>.+?)"
    r"\s*(?P<operator>>=|<=|>|<)\s*(?P<limit>-?[\d.]+)$"
)
EVENT_QUERY = re.compile(
    r"^(?P<source>logs|rum)\(\"(?P<search>(?:[^\"\\]|\\.)*)\"\)(?:\.index\([^)]*\))?"
    r"\.rollup\(\"count\"\)(?:\.by\([^)]*\))?\.last\(\"(?P<count>\d+)(?P<unit>[smhdw])\"\)"
    r"\s*(?P<operator>>=|<=|>|<)\s*(?P<limit>-?[\d.]+)$"
)
TYPES = ("metric alert", "query alert", "log alert", "rum alert")
OPERATORS = {
    ">": lambda value, limit: value > limit,
    ">=": lambda value, limit: value >= limit,
    "<": lambda value, limit: value < limit,
    "<=": lambda value, limit: value <= limit,
}


class Monitors:
    """The organisation's monitors and webhooks."""

    def __init__(self, store: Store, keys: Keys, metrics: Metrics, events: Events, every: float) -> None:
        self.store, self.keys, self.metrics, self.events = store, keys, metrics, events
        self.every = every
        self._tasks: set[asyncio.Task[None]] = set()

    def routes(self) -> list[Route]:
        """Return the routes of monitors and of the webhooks integration."""
        reading = self.keys.reading
        hooks = "/api/v1/integration/webhooks/configuration/webhooks"
        return [
            Route("/api/v1/monitor", reading(self.monitors), methods=["GET", "POST"]),
            Route("/api/v1/monitor/validate", reading(self.validate), methods=["POST"]),
            Route("/api/v1/monitor/{id:int}", reading(self.monitor), methods=["GET", "PUT", "DELETE"]),
            Route(hooks, reading(self.create_webhook), methods=["POST"]),
            Route(f"{hooks}/{{name}}", reading(self.webhook), methods=["GET", "PUT", "DELETE"]),
        ]

    async def watch(self) -> None:
        """Judge every monitor again and again; runs until cancelled."""
        while True:
            await asyncio.sleep(self.every)
            for monitor in self.store.all(MONITOR):
                self._judge(monitor)

    # -- monitors

    def _wrong(self, body: Any) -> str | None:
        if not isinstance(body, dict) or "type" not in body or "query" not in body:
            return "'type' and 'query' are required"
        if body["type"] not in TYPES:
            return f"The value provided for parameter 'type' is invalid: {body['type']}"
        try:
            self._value(str(body["query"]))
        except (BadQuery, BadSearch) as error:
            return f"The value provided for parameter 'query' is invalid: {error}"
        critical = ((body.get("options") or {}).get("thresholds") or {}).get("critical")
        limit = float(re.findall(r"-?[\d.]+$", body["query"])[0])
        if critical is not None and float(critical) != limit:
            return f"Alert threshold ({critical}) does not match that used in the query ({limit})"
        return None

    def _value(self, query: str) -> tuple[float | None, str, float]:
        """Return what a monitor's query measures now (None: no data), its operator and its limit."""
        if match := METRIC_QUERY.match(query.strip()):
            since = time.time() - int(match["count"]) * UNITS[match["unit"]]
            groups = self.metrics.groups(parse(match["query"]), since, time.time() + 600)
            values = [value for points in groups.values() for _, value in points]
            measured = aggregate(match["reducer"], values) if values else None
        elif match := EVENT_QUERY.match(query.strip()):
            since = time.time() - int(match["count"]) * UNITS[match["unit"]]
            kind = RUM if match["source"] == "rum" else LOG
            search = match["search"].replace('\\"', '"')
            measured = float(len(self.events.found(kind, search, since, time.time() + 600)))
        else:
            raise BadQuery("unable to parse the monitor query")
        return measured, match["operator"], float(match["limit"])

    def _judge(self, monitor: dict[str, Any]) -> dict[str, Any]:
        """Return the monitor with its state as of now; a changed state is kept and told."""
        value, operator, limit = self._value(monitor["query"])
        thresholds = (monitor.get("options") or {}).get("thresholds") or {}
        warning = thresholds.get("warning")
        if value is None:
            state = "No Data"
        elif OPERATORS[operator](value, limit):
            state = "Alert"
        elif warning is not None and OPERATORS[operator](value, float(warning)):
            state = "Warn"
        else:
            state = "OK"
        if state != monitor["overall_state"]:
            was = monitor["overall_state"]
            monitor |= {"overall_state": state, "overall_state_modified": now()}
            self.store.put(MONITOR, str(monitor["id"]), monitor)
            silent = state == "No Data" and not (monitor.get("options") or {}).get("notify_no_data")
            if not silent and not (was == "No Data" and state == "OK"):
                self._tell(monitor, was, value)
        return monitor

    async def validate(self, request: Request) -> Response:
        """`POST /api/v1/monitor/validate`."""
        wrong = self._wrong(await read_json(request))
        return failure(400, wrong) if wrong else JSONResponse({})

    async def monitors(self, request: Request) -> Response:
        """`GET` lists (`name`, `tags` narrow), `POST` creates."""
        if request.method == "GET":
            asked = request.query_params
            wanted = {tag for tag in asked.get("monitor_tags", "").split(",") if tag}
            found = [
                self._judge(one)
                for one in self.store.all(MONITOR)
                if asked.get("name", "") in one["name"] and wanted <= set(one["tags"])
            ]
            return JSONResponse(found)
        body = await read_json(request)
        if wrong := self._wrong(body):
            return failure(400, wrong)
        monitor = {
            "name": "",
            "message": "",
            "tags": [],
            "options": {},
            "priority": None,
            "multi": False,
            **body,
            "id": int(time.time() * 1e6) % 10**12,
            "overall_state": "No Data",
            "created": now(),
            "modified": now(),
            "deleted": None,
            "creator": {"handle": "assay@localhost", "email": "assay@localhost", "name": None},
        }
        self.store.put(MONITOR, str(monitor["id"]), monitor)
        return JSONResponse(monitor)

    async def monitor(self, request: Request) -> Response:
        """`GET`, `PUT` or `DELETE` one monitor."""
        key = str(request.path_params["id"])
        monitor = self.store.get(MONITOR, key)
        if monitor is None:
            return failure(404, "Monitor not found")
        if request.method == "DELETE":
            self.store.delete(MONITOR, key)
            return JSONResponse({"deleted_monitor_id": int(key)})
        if request.method == "PUT":
            changed = {**monitor, **await read_json(request), "id": int(key), "modified": now()}
            if wrong := self._wrong(changed):
                return failure(400, wrong)
            self.store.put(MONITOR, key, changed)
            monitor = changed
        return JSONResponse(self._judge(monitor))

    # -- telling

    async def create_webhook(self, request: Request) -> Response:
        """`POST .../webhooks`: name and url required."""
        body = await read_json(request)
        if not isinstance(body, dict) or not body.get("name") or not body.get("url"):
            return failure(400, "name and url are required")
        kept = {"custom_headers": None, "encode_as": "json", "payload": None, **body}
        self.store.put(WEBHOOK, body["name"], kept)
        return JSONResponse(kept, 201)

    async def webhook(self, request: Request) -> Response:
        """`GET`, `PUT` or `DELETE` one webhook."""
        name = request.path_params["name"]
        kept = self.store.get(WEBHOOK, name)
        if kept is None:
            return failure(404, "Webhook not found")
        if request.method == "DELETE":
            self.store.delete(WEBHOOK, name)
            return Response(status_code=200)
        if request.method == "PUT":
            kept |= await read_json(request)
            self.store.put(WEBHOOK, name, kept)
        return JSONResponse(kept)

    def _tell(self, monitor: dict[str, Any], was: str, value: float | None) -> None:
        transition = {"Alert": "Triggered", "Warn": "Warn", "OK": "Recovered", "No Data": "No Data"}
        payload = {
            "id": str(int(time.time() * 1e6)),
            "alert_id": str(monitor["id"]),
            "alert_title": monitor["name"],
            "alert_transition": transition[monitor["overall_state"]],
            "alert_status": monitor["overall_state"],
            "alert_query": monitor["query"],
            "body": monitor["message"],
            "title": f"[{transition[monitor['overall_state']]}] {monitor['name']}",
            "last_updated": int(time.time() * 1000),
            "tags": ",".join(monitor["tags"]),
            "value": value,
            "previous": was,
        }
        self.store.append(NOTIFICATION, payload)
        for name in re.findall(r"@webhook-([\w.-]+)", monitor["message"]):
            hook = self.store.get(WEBHOOK, name)
            if hook is not None:
                task = asyncio.get_running_loop().create_task(self._post(hook["url"], payload))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    @staticmethod
    async def _post(url: str, payload: dict[str, Any]) -> None:
        try:
            async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
                (await client.post(url, json=payload)).raise_for_status()
        except httpx.HTTPError as error:
            print(f"datadog: webhook {url}: {error!r}", file=sys.stderr)
