"""DataDog's events (API v1) and dashboards: kept documents with the vendor's checks.

Source: DataDog's API reference, "Events" (v1: title and text required, 202) and "Dashboards" (title,
layout_type and widgets required; list, get, update, delete), with the widgets that its OpenAPI knows.
"""

from __future__ import annotations

import re
import secrets
import time
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stack.vendors.datadog.keys import Keys, failure
from stack.vendors.store import Store
from stack.vendors.web import read_json

EVENT = "datadog.event"
DASHBOARD = "datadog.dashboard"
LAYOUTS = ("ordered", "free")
WIDGETS = frozenset(
    """alert_graph alert_value bar_chart change check_status cohort distribution embedded_app event_stream
    event_timeline free_text funnel geomap group heatgrid heatmap hostmap iframe image list_stream log_stream
    manage_status note point_plot powerpack query_table query_value retention_curve run_workflow sankey
    scatterplot servicemap slo slo_list split_group sunburst timeseries toplist topology_map trace_service
    treemap wildcard""".split()  # noqa: SIM905 (names to be read, 42 of them)
)
"""Types of a widget's definition, as DataDog's OpenAPI lists them (`WidgetDefinition`)."""
DRAWS = {"bar_chart", "change", "distribution", "geomap", "heatmap", "query_table", "query_value", "sunburst",
         "timeseries", "toplist", "treemap"}  # fmt: skip
"""Those whose definition must have `requests`."""
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def identifier() -> str:
    """Return an id of a dashboard's form, such as `abc-def-ghi`."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(3)) for _ in range(3))


def now() -> str:
    """Return the present as DataDog writes it."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


class Documents:
    """Events and dashboards."""

    def __init__(self, store: Store, keys: Keys, delay: float) -> None:
        self.store, self.keys, self.delay = store, keys, delay

    def routes(self) -> list[Route]:
        """Return the routes of events and dashboards."""
        reading, writing = self.keys.reading, self.keys.writing
        return [
            Route("/api/v1/events", writing(self.create_event), methods=["POST"]),
            Route("/api/v1/events", reading(self.list_events), methods=["GET"]),
            Route("/api/v1/events/{id:int}", reading(self.get_event), methods=["GET"]),
            Route("/api/v1/dashboard", reading(self.dashboards), methods=["GET", "POST"]),
            Route("/api/v1/dashboard/{id}", reading(self.dashboard), methods=["GET", "PUT", "DELETE"]),
        ]

    # -- events

    async def create_event(self, request: Request) -> Response:
        """`POST /api/v1/events`."""
        body = await read_json(request)
        if not isinstance(body, dict) or not body.get("title") or not body.get("text"):
            return failure(400, "Payload is not in the expected format: title and text are required")
        event = {
            "id": int(time.time() * 1e6),
            "title": str(body["title"])[:500],
            "text": str(body["text"])[:4000],
            "tags": body.get("tags", []),
            "priority": body.get("priority", "normal"),
            "alert_type": body.get("alert_type", "info"),
            "host": body.get("host"),
            "date_happened": int(body.get("date_happened", time.time())),
        }
        if event["date_happened"] < time.time() - 18 * 3600:
            return failure(400, "date_happened is limited to the last 18 hours")
        kept_key = str(event["id"])
        self.store.append(EVENT, event, at=event["date_happened"], delay=self.delay, key=kept_key)
        shown = {**event, "id_str": kept_key, "url": f"/event/event?id={kept_key}", "handle": None}
        return JSONResponse({"status": "ok", "event": shown}, 202)

    async def list_events(self, request: Request) -> Response:
        """`GET /api/v1/events?start=&end=&tags=`."""
        asked = request.query_params
        try:
            since, until = int(asked["start"]), int(asked["end"])
        except (KeyError, ValueError):
            return failure(400, "start and end are required, in seconds")
        wanted = {tag for tag in asked.get("tags", "").split(",") if tag}
        found = [
            body
            for _, _, body in self.store.events(EVENT, since=since, until=until)
            if wanted <= set(body["tags"])
        ]
        return JSONResponse({"events": found})

    async def get_event(self, request: Request) -> Response:
        """`GET /api/v1/events/<id>`."""
        wanted = request.path_params["id"]
        for _, _, body in self.store.events(EVENT, containing=(str(wanted),)):
            if body["id"] == wanted:
                return JSONResponse({"event": body})
        return failure(404, "No event matches that event_id.")

    # -- dashboards

    @staticmethod
    def _wrong(body: Any) -> str | None:
        if not isinstance(body, dict):
            return "The body must be an object"
        for name in ("title", "layout_type", "widgets"):
            if name not in body:
                return f"'{name}' is a required property"
        if body["layout_type"] not in LAYOUTS:
            return f"layout_type must be one of {', '.join(LAYOUTS)}"
        return Documents._wrong_widgets(body["widgets"])

    @staticmethod
    def _wrong_widgets(widgets: Any) -> str | None:
        """What is wrong with a dashboard's or a group's widgets."""
        if not isinstance(widgets, list):
            return "'widgets' must be an array"
        for position, widget in enumerate(widgets):
            definition = widget.get("definition") if isinstance(widget, dict) else None
            kind = definition.get("type") if isinstance(definition, dict) else None
            where = f"Invalid widget definition at position {position} of type {kind}."
            if not isinstance(definition, dict) or kind not in WIDGETS:
                return f"{where} Error: the type is none that is known"
            if kind in DRAWS and not (
                isinstance(definition.get("requests"), list) and definition["requests"]
            ):
                return f"{where} Error: 'requests' is a required property"
            if kind == "group" and (wrong := Documents._wrong_widgets(definition.get("widgets"))):
                return wrong
        return None

    async def dashboards(self, request: Request) -> Response:
        """`GET` lists, `POST` creates."""
        if request.method == "GET":
            summary = ("id", "title", "description", "layout_type", "url", "is_read_only", "created_at",
                       "modified_at", "author_handle")  # fmt: skip
            shown = [{name: one.get(name) for name in summary} for one in self.store.all(DASHBOARD)]
            return JSONResponse({"dashboards": shown})
        body = await read_json(request)
        if wrong := self._wrong(body):
            return failure(400, wrong)
        key = identifier()
        slug = re.sub(r"[^a-z0-9]+", "-", body["title"].lower()).strip("-")
        made = self._made(body, key) | {"created_at": now(), "url": f"/dashboard/{key}/{slug}"}
        self.store.put(DASHBOARD, key, made)
        return JSONResponse(made)

    @staticmethod
    def _numbered(widgets: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The widgets with an id each, those within groups too."""
        made = []
        for widget in widgets:
            definition = dict(widget["definition"])
            if definition["type"] == "group":
                definition["widgets"] = Documents._numbered(definition["widgets"])
            identified = widget.get("id") or secrets.randbelow(10**15)
            made.append({**widget, "definition": definition, "id": identified})
        return made

    @staticmethod
    def _made(body: dict[str, Any], key: str) -> dict[str, Any]:
        widgets = Documents._numbered(body["widgets"])
        defaults: dict[str, Any] = {"description": None, "template_variables": [], "notify_list": [], "is_read_only": False,
                    "author_handle": "assay@localhost"}  # fmt: skip
        return {**defaults, **body, "widgets": widgets, "id": key, "modified_at": now()}

    async def dashboard(self, request: Request) -> Response:
        """`GET`, `PUT` or `DELETE` one dashboard."""
        key = request.path_params["id"]
        old = self.store.get(DASHBOARD, key)
        if old is None:
            return failure(404, f"Dashboard with ID {key} not found")
        if request.method == "DELETE":
            self.store.delete(DASHBOARD, key)
            return JSONResponse({"deleted_dashboard_id": key})
        if request.method == "PUT":
            body = await read_json(request)
            if wrong := self._wrong(body):
                return failure(400, wrong)
            old = self._made(body, key) | {"created_at": old["created_at"], "url": old["url"]}
            self.store.put(DASHBOARD, key, old)
        return JSONResponse(old)
