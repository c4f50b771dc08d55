"""Reading RUM events and logs back: the search and list routes of DataDog's API v2.

Source: DataDog's API reference, "RUM" and "Logs" (search: filter {query, from, to}, sort, page {cursor,
limit up to 1000}; list: filter[query], page[limit] ...), checked by `datadog-api-client`.
"""

from __future__ import annotations

import base64
import json
import re
import time
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stack.vendors.datadog.intake import LOG, RUM
from stack.vendors.datadog.keys import Keys, failure
from stack.vendors.datadog.metrics import aggregate
from stack.vendors.datadog.search import BadSearch, parse, values_at
from stack.vendors.store import Store
from stack.vendors.web import loads, read_json

AGGREGATIONS = {
    **{name: name for name in ("count", "cardinality", "sum", "min", "max", "avg")},
    **{f"pc{rank}": f"p{rank}" for rank in (75, 90, 95, 98, 99)},
    "median": "p50",
}
"""RUMAggregationFunction of DataDog's OpenAPI, by the name under which metrics know it."""
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class BadRequest(ValueError):
    """The request's parameters cannot be read."""


def moment(text: Any, default: float) -> float:
    """Return epoch seconds of `now`, `now-15m`, an ISO time or milliseconds; raises BadRequest."""
    if text in (None, ""):
        return default
    given = str(text)
    relative = re.fullmatch(r"now(?:([+-]\d+)([smhdw]))?", given)
    if relative:
        return time.time() + (int(relative[1]) * UNITS[relative[2]] if relative[1] else 0)
    if re.fullmatch(r"\d+", given):
        return int(given) / 1000
    try:
        parsed = datetime.fromisoformat(given)
    except ValueError as error:
        raise BadRequest(f"not a time: {given}") from error
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def iso(at: float) -> str:
    """Return epoch seconds as DataDog writes times."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def computed(compute: dict[str, Any], events: list[dict[str, Any]]) -> float | None:
    """Return what `compute` (RUMCompute) makes of the events' attributes; None where none has its metric."""
    name, path = compute["aggregation"], str(compute.get("metric") or "").removeprefix("@")
    if name == "count" and path in ("", "*"):
        return float(len(events))
    values = [value for event in events for value in values_at(event, path)]
    if name in ("count", "cardinality"):
        return float(len(values if name == "count" else set(map(str, values))))
    numbers = [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    return aggregate(AGGREGATIONS[name], numbers) if numbers else None


class Events:
    """Search over what the intake indexed."""

    def __init__(self, store: Store, keys: Keys, variables: dict[str, str]) -> None:
        self.store = store
        self.keys = keys
        self.application = variables["DATADOG_APPLICATION_ID"]
        self.client_token = variables["DATADOG_CLIENT_TOKEN"]

    def routes(self) -> list[Route]:
        """Return the routes of RUM and logs."""
        reading = self.keys.reading
        return [
            Route("/api/v2/rum/events/search", reading(self.search_rum, "rum_search"), methods=["POST"]),
            Route("/api/v2/rum/events", reading(self.list_rum, "rum_list"), methods=["GET"]),
            Route("/api/v2/rum/analytics/aggregate", reading(self.aggregate_rum), methods=["POST"]),
            Route("/api/v2/rum/applications", reading(self.applications), methods=["GET"]),
            Route("/api/v2/rum/applications/{id}", reading(self.one_application), methods=["GET"]),
            Route("/api/v2/logs/events/search", reading(self.search_logs, "logs_search"), methods=["POST"]),
            Route("/api/v2/logs/events", reading(self.list_logs, "logs_list"), methods=["GET"]),
        ]

    # -- shared search

    def found(self, kind: str, query: str, since: float, until: float) -> list[tuple[int, float, Any]]:
        """Return the events of `kind` that fit, newest first; raises BadSearch."""
        search = parse(query)
        events = self.store.events(kind, since=since, until=until, containing=search.needles)
        return [event for event in events if search.predicate(event[2])]

    def _page(self, request: Request, kind: str, given: dict[str, Any]) -> Response:
        filters, page = given.get("filter") or {}, given.get("page") or {}
        try:
            limit = int(page.get("limit") or 10)
            cursor = loads(base64.urlsafe_b64decode(page["cursor"])) if page.get("cursor") else {}
            since = moment(cursor.get("since", filters.get("from")), time.time() - 900)
            until = moment(cursor.get("until", filters.get("to")), time.time())
            if not 0 <= limit <= 1000:
                raise BadRequest("page.limit must be between 0 and 1000")
            events = self.found(kind, str(filters.get("query") or "*"), since, until)
        except (BadSearch, BadRequest, ValueError) as error:
            return failure(400, f"Invalid query: {error}")
        if given.get("sort") in ("timestamp",):
            events.reverse()
        offset = int(cursor.get("offset", 0))
        shown, rest = events[offset : offset + limit], events[offset + limit :]
        shape = self._rum if kind == RUM else self._log
        body: dict[str, Any] = {
            "data": [shape(*event) for event in shown],
            "meta": {"elapsed": 1, "request_id": "local", "status": "done", "page": {}},
        }
        if rest:
            state = {"offset": offset + limit, "since": int(since * 1000), "until": int(until * 1000)}
            after = base64.urlsafe_b64encode(json.dumps(state).encode()).decode()
            body["meta"]["page"]["after"] = after
            body["links"] = {"next": str(request.url.include_query_params(**{"page[cursor]": after}))}
        return JSONResponse(body)

    @staticmethod
    def _listed(request: Request) -> dict[str, Any]:
        asked = request.query_params
        return {
            "filter": {name: asked.get(f"filter[{name}]") for name in ("query", "from", "to")},
            "page": {name: asked.get(f"page[{name}]") for name in ("limit", "cursor")},
            "sort": asked.get("sort"),
        }

    async def _searched(self, request: Request) -> dict[str, Any]:
        body = await read_json(request) if await request.body() else {}
        return body if isinstance(body, dict) else {}

    # -- RUM

    @staticmethod
    def _rum(seq: int, at: float, body: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": f"AwAAAZ{seq:018d}",
            "type": "rum",
            "attributes": {
                "attributes": body["attributes"],
                "service": body["service"],
                "tags": body["tags"],
                "timestamp": iso(at),
            },
        }

    async def search_rum(self, request: Request) -> Response:
        """`POST /api/v2/rum/events/search`."""
        return self._page(request, RUM, await self._searched(request))

    async def list_rum(self, request: Request) -> Response:
        """`GET /api/v2/rum/events`."""
        return self._page(request, RUM, self._listed(request))

    async def aggregate_rum(self, request: Request) -> Response:
        """`POST /api/v2/rum/analytics/aggregate`: numbers of the events that fit, by facets."""
        given = await self._searched(request)
        filters = given.get("filter") or {}
        try:
            events = self.found(
                RUM,
                str(filters.get("query") or "*"),
                moment(filters.get("from"), time.time() - 900),
                moment(filters.get("to"), time.time()),
            )
        except (BadSearch, BadRequest, ValueError) as error:
            return failure(400, f"Invalid query: {error}")
        facets = [str(group["facet"]) for group in given.get("group_by") or []]
        computes = given.get("compute") or [{"aggregation": "count"}]
        for compute in computes:
            if compute.get("aggregation") not in AGGREGATIONS:
                return failure(400, f"Invalid query: unknown aggregation {compute.get('aggregation')}")
            if compute["aggregation"] != "count" and not compute.get("metric"):
                return failure(400, f"Invalid query: {compute['aggregation']} needs a metric")
        groups: dict[tuple[str, ...], list[dict[str, Any]]] = {} if facets else {(): []}
        for _, _, body in events:
            by = [values_at(body["attributes"], facet.removeprefix("@")) for facet in facets]
            if all(by):
                groups.setdefault(tuple(str(values[0]) for values in by), []).append(body["attributes"])
        buckets = [
            {
                "by": dict(zip(facets, key, strict=True)),
                "computes": {
                    f"c{number}": value
                    for number, compute in enumerate(computes)
                    if (value := computed(compute, found)) is not None
                },
            }
            for key, found in sorted(groups.items(), key=lambda group: -len(group[1]))
        ]
        return JSONResponse({"data": {"buckets": buckets}, "meta": {"status": "done", "elapsed": 1}})

    def _application(self) -> dict[str, Any]:
        fields = {
            "application_id": self.application,
            "client_token": self.client_token,
            "name": "platform",
            "type": "browser",
            "org_id": 1,
            "is_active": True,
            "created_at": 0,
            "created_by_handle": "assay",
            "updated_at": 0,
            "updated_by_handle": "assay",
        }
        return {"id": self.application, "type": "rum_application", "attributes": fields}

    async def applications(self, request: Request) -> Response:
        """`GET /api/v2/rum/applications`."""
        item = self._application()
        shown = {name: value for name, value in item["attributes"].items() if name != "client_token"}
        return JSONResponse({"data": [{**item, "attributes": shown}]})

    async def one_application(self, request: Request) -> Response:
        """`GET /api/v2/rum/applications/<id>`."""
        if request.path_params["id"] != self.application:
            return failure(404, "Not Found")
        return JSONResponse({"data": self._application()})

    # -- logs

    @staticmethod
    def _log(seq: int, at: float, body: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": f"AwAAAL{seq:018d}",
            "type": "log",
            "attributes": {
                "attributes": body["attributes"],
                "message": body["message"],
                "service": body["service"],
                "host": body["host"],
                "status": body["status"],
                "tags": body["tags"],
                "timestamp": iso(at),
            },
        }

    async def search_logs(self, request: Request) -> Response:
        """`POST /api/v2/logs/events/search`."""
        return self._page(request, LOG, await self._searched(request))

    async def list_logs(self, request: Request) -> Response:
        """`GET /api/v2/logs/events`."""
        return self._page(request, LOG, self._listed(request))
