"""DataDog's metrics: points in by API v1 and v2, asynchronously indexed, and queried back.

Source: DataDog's API reference, "Metrics" (submit: v1 `/series`, v2 `/series`, `/distribution_points`;
points up to ten minutes ahead and one hour back, older ones dropped after a 202; query `/api/v1/query`,
`/api/v2/query/timeseries`, `/api/v2/query/scalar`; sizes of a payload) and "Metric names" (letters, digits, `_` and `.`).
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stack.vendors.datadog.intake import DROPPED
from stack.vendors.datadog.keys import Keys, failure
from stack.vendors.store import Store
from stack.vendors.web import read_json

POINT = "datadog.point"
METADATA = "datadog.metric"
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,199}")
OLDEST = 3600
NEWEST = 600
TYPES = {0: "unspecified", 1: "count", 2: "rate", 3: "gauge"}
QUERY = re.compile(
    r"^\s*(?P<aggregator>avg|sum|min|max|count|p50|p75|p90|p95|p99):(?P<metric>[A-Za-z][\w.]*)"
    r"\{(?P<scope>[^}]*)\}(?:\s+by\s+\{(?P<by>[^}]*)\})?"
    r"(?P<functions>(?:\.(?:as_count|as_rate)\(\)|\.rollup\([^)]*\)|\.fill\([^)]*\))*)\s*$"
)
SPACES = {"avg", "sum", "min", "max", "count", "last"}


class BadQuery(ValueError):
    """The text is not a metric query that this reads."""


@dataclass(frozen=True)
class Query:
    """A parsed metric query."""

    aggregator: str
    metric: str
    scope: tuple[str, ...]
    by: tuple[str, ...]
    rollup: tuple[str, int] | None
    text: str


def parse(text: str) -> Query:
    """Return the query of a text such as `avg:upload.time{store:r2} by {host}.rollup(max, 60)`."""
    match = QUERY.match(text)
    if match is None:
        raise BadQuery(f"Error parsing query: unable to parse {text}: Rule 'scope_expr' didn't match")
    rollup = None
    if found := re.search(r"\.rollup\(\s*(?:(\w+)\s*,\s*)?(\d+)?\s*\)", match["functions"]):
        if found[1] and found[1] not in SPACES:
            raise BadQuery(f"Error parsing query: unknown rollup {found[1]}")
        rollup = (found[1] or match["aggregator"], int(found[2] or 60))
    scope = tuple(part.strip() for part in match["scope"].split(",") if part.strip() not in ("", "*"))
    by = tuple(part.strip() for part in (match["by"] or "").split(",") if part.strip())
    return Query(match["aggregator"], match["metric"], scope, by, rollup, text.strip())


def aggregate(name: str, values: list[float]) -> float:
    """Return one number of many, as the aggregator `name` does."""
    ordered = sorted(values)
    if name.startswith("p"):
        return ordered[min(len(ordered) - 1, int(len(ordered) * int(name[1:]) / 100))]
    return {
        "avg": sum(values) / len(values),
        "sum": sum(values),
        "min": ordered[0],
        "max": ordered[-1],
        "count": float(len(values)),
        "last": values[-1],
    }[name]


class Metrics:
    """The organisation's metrics."""

    def __init__(self, store: Store, keys: Keys, delay: float) -> None:
        self.store, self.keys, self.delay = store, keys, delay

    def routes(self) -> list[Route]:
        """Return the routes of metrics."""
        reading, writing = self.keys.reading, self.keys.writing
        return [
            Route("/api/v1/validate", writing(self.validate), methods=["GET"]),
            Route("/api/v1/series", writing(self.submit_v1), methods=["POST"]),
            Route("/api/v1/distribution_points", writing(self.submit_v1), methods=["POST"]),
            Route("/api/v2/series", writing(self.submit_v2), methods=["POST"]),
            Route("/api/v1/query", reading(self.query, "metrics_query"), methods=["GET"]),
            Route("/api/v2/query/timeseries", reading(self.timeseries, "metrics_query"), methods=["POST"]),
            Route("/api/v2/query/scalar", reading(self.scalar, "metrics_query"), methods=["POST"]),
            Route("/api/v1/metrics", reading(self.active), methods=["GET"]),
            Route("/api/v1/metrics/{name}", reading(self.metadata), methods=["GET"]),
        ]

    async def validate(self, request: Request) -> Response:
        """`GET /api/v1/validate`: that the API key is good."""
        return JSONResponse({"valid": True})

    # -- in

    def _keep(self, series: dict[str, Any], points: list[tuple[float, float]], tags: list[str]) -> None:
        name, now = series["metric"], time.time()
        for at, value in points:
            if now - OLDEST <= at <= now + NEWEST:
                body = {"metric": name, "value": value, "tags": tags}
                self.store.append(f"{POINT}.{name}", body, at=at, delay=self.delay)
            else:
                self.store.append(DROPPED, {"why": "point too old or too new", "event": f"{name} at {at}"})

    @staticmethod
    def _number(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{value!r} is not a number")
        return float(value)

    async def submit_v1(self, request: Request) -> Response:
        """`POST /api/v1/series` and `/api/v1/distribution_points`."""
        body = await read_json(request, 62_914_560, sent=3_200_000)
        try:
            ready = []
            for series in body["series"]:
                if not NAME.fullmatch(series["metric"]):
                    raise ValueError(f"invalid metric name {series['metric']!r}")
                tags = [*series.get("tags", []), *([f"host:{series['host']}"] if series.get("host") else [])]
                points = [
                    (self._number(at), self._number(value))
                    for at, values in series["points"]
                    for value in (values if isinstance(values, list) else [values])
                ]
                ready.append((series, points, tags))
        except (KeyError, TypeError, ValueError) as error:
            return failure(400, f"Payload is not in the expected format: {error}")
        with self.store.together():
            for series, points, tags in ready:
                kind = series.get("type", "gauge")
                self.store.put(METADATA, series["metric"], {"metric": series["metric"], "type": kind})
                self._keep(series, points, tags)
        return JSONResponse({"status": "ok"}, 202)

    async def submit_v2(self, request: Request) -> Response:
        """`POST /api/v2/series`."""
        body = await read_json(request, 5_242_880, sent=512_000)
        try:
            ready = []
            for series in body["series"]:
                if not NAME.fullmatch(series["metric"]):
                    raise ValueError(f"invalid metric name {series['metric']!r}")
                if series.get("type", 0) not in TYPES:
                    raise ValueError("type must be 0, 1, 2 or 3")
                hosts = [f"{one['type']}:{one['name']}" for one in series.get("resources", [])]
                points = [
                    (self._number(point["timestamp"]), self._number(point["value"]))
                    for point in series["points"]
                ]
                ready.append((series, points, [*series.get("tags", []), *hosts]))
        except (KeyError, TypeError, ValueError) as error:
            return failure(400, f"Payload is not in the expected format: {error}")
        with self.store.together():
            for series, points, tags in ready:
                shown = {
                    "metric": series["metric"],
                    "type": TYPES[series.get("type", 0)],
                    "unit": series.get("unit"),
                }
                self.store.put(METADATA, series["metric"], shown)
                self._keep(series, points, tags)
        return JSONResponse({"errors": []}, 202)

    # -- out

    def groups(
        self, query: Query, since: float, until: float
    ) -> dict[tuple[str, ...], list[tuple[float, float]]]:
        """Return the points of each group of the query, in order of time."""
        found: dict[tuple[str, ...], list[tuple[float, float]]] = defaultdict(list)
        kind = f"{POINT}.{query.metric}"
        for _, at, body in self.store.events(kind, since=since, until=until, newest_first=False):
            tags = set(body["tags"])
            if not all((part[1:] not in tags) if part[0] == "!" else (part in tags) for part in query.scope):
                continue
            by = [
                next((tag for tag in sorted(tags) if tag.startswith(f"{name}:")), f"{name}:N/A")
                for name in query.by
            ]
            found[tuple(by)].append((at, body["value"]))
        return dict(found)

    def series(self, query: Query, since: float, until: float) -> list[dict[str, Any]]:
        """Return the query's series, as API v1 shows them."""
        made = []
        space, interval = query.rollup or (query.aggregator, max(1, int((until - since) / 300)))
        for group, points in sorted(self.groups(query, since, until).items()):
            buckets: dict[int, list[float]] = defaultdict(list)
            for at, value in points:
                buckets[int(at // interval) * interval].append(value)
            line = [
                [at * 1000.0, aggregate(space if query.rollup else query.aggregator, values)]
                for at, values in sorted(buckets.items())
            ]
            scope = ",".join([*query.scope, *group]) or "*"
            made.append(
                {
                    "metric": query.metric,
                    "display_name": query.metric,
                    "expression": f"{query.aggregator}:{query.metric}{{{scope}}}",
                    "query_index": 0,
                    "aggr": query.aggregator,
                    "scope": scope,
                    "tag_set": list(group),
                    "interval": interval,
                    "length": len(line),
                    "start": int(line[0][0]),
                    "end": int(line[-1][0]) + interval * 1000 - 1,
                    "pointlist": line,
                    "unit": None,
                    "attributes": {},
                }
            )
        return made

    async def query(self, request: Request) -> Response:
        """`GET /api/v1/query`: series of one or more queries between two times in seconds."""
        asked = request.query_params
        try:
            since, until = int(asked["from"]), int(asked["to"])
            texts = re.split(r",(?![^{]*\})(?![^(]*\))", asked["query"])
            queries = [parse(text) for text in texts]
        except KeyError as error:
            return failure(400, f"The parameter '{error.args[0]}' is required")
        except ValueError as error:
            return failure(400, str(error))
        if since > until:
            return failure(400, "The parameter 'from' must be before 'to'")
        made = [
            {**one, "query_index": index}
            for index, query in enumerate(queries)
            for one in self.series(query, since, until)
        ]
        return JSONResponse(
            {
                "status": "ok",
                "res_type": "time_series",
                "resp_version": 1,
                "query": asked["query"],
                "from_date": since * 1000,
                "to_date": until * 1000,
                "series": made,
                "values": [],
                "times": [],
                "message": "",
                "group_by": list(queries[0].by),
            }
        )

    async def _asked(self, request: Request) -> tuple[Any, float, float]:
        """Return the only query of an API v2 body and its times; raises BadQuery."""
        body = await read_json(request)
        try:
            attributes = body["data"]["attributes"]
            asked = attributes["queries"][0]
            since, until = attributes["from"] / 1000, attributes["to"] / 1000
        except (KeyError, IndexError, TypeError) as error:
            raise BadQuery(f"missing {error}") from error
        if asked.get("data_source") != "metrics":
            raise BadQuery("only the data source 'metrics' is read here")
        return asked, since, until

    async def timeseries(self, request: Request) -> Response:
        """`POST /api/v2/query/timeseries`."""
        try:
            asked, since, until = await self._asked(request)
            made = self.series(parse(asked["query"]), since, until)
        except (BadQuery, KeyError) as error:
            return failure(400, str(error))
        times = sorted({int(at) for one in made for at, _ in one["pointlist"]})
        values = [[dict(map(tuple, one["pointlist"])).get(float(at)) for at in times] for one in made]
        shown = [{"group_tags": one["tag_set"], "query_index": 0, "unit": None} for one in made]
        attributes = {"series": shown, "times": times, "values": values}
        return JSONResponse({"data": {"type": "timeseries_response", "attributes": attributes}})

    async def scalar(self, request: Request) -> Response:
        """`POST /api/v2/query/scalar`: one number a group."""
        try:
            asked, since, until = await self._asked(request)
            query = parse(asked["query"])
        except (BadQuery, KeyError) as error:
            return failure(400, str(error))
        groups = self.groups(query, since, until)
        reducer = asked.get("aggregator", "avg")
        columns: list[dict[str, Any]] = [
            {"name": name, "type": "group", "values": [[group[index]] for group in sorted(groups)]}
            for index, name in enumerate(query.by)
        ]
        numbers = [aggregate(reducer, [value for _, value in points]) for _, points in sorted(groups.items())]
        columns.append({"name": asked.get("name", "query1"), "type": "number", "values": numbers})
        return JSONResponse({"data": {"type": "scalar_response", "attributes": {"columns": columns}}})

    async def active(self, request: Request) -> Response:
        """`GET /api/v1/metrics?from=`: names of metrics that had points since."""
        since = request.query_params.get("from", "")
        if not since.isdigit():
            return failure(400, "The parameter 'from' is required")
        names = [
            one["metric"]
            for one in self.store.all(METADATA)
            if self.store.events(f"{POINT}.{one['metric']}", since=int(since), limit=1)
        ]
        return JSONResponse({"from": since, "metrics": sorted(names)})

    async def metadata(self, request: Request) -> Response:
        """`GET /api/v1/metrics/<name>`."""
        found = self.store.get(METADATA, request.path_params["name"])
        if found is None:
            return failure(404, "metric_name not found")
        return JSONResponse({"type": found["type"], "unit": found.get("unit") or None, "description": ""})
