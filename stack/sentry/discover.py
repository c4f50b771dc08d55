"""Sentry's event query (`GET /organizations/<org>/events/`), check-ins and feedback.

Source: Sentry's API reference, "Query Explore events in table format" (`field`, `query`, `dataset`, `sort`,
`per_page`; answer `{data, meta}`; `is_transaction` marks a segment), "Crons" (check-ins of a monitor), "User feedback".
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stack.sentry.access import Access
from stack.sentry.reading import Reading, period
from stack.sentry.recorder import BY_BUGSINK, BY_RECORDER, CHECK_IN, FEEDBACK, SPAN, TRANSACTION, seconds
from stack.sentry.search import BadSearch, Search
from stack.sentry.shapes import iso, part, search_fields, tags_of
from stack.sentry.variables import PROJECT
from stack.vendors.store import Store

AGGREGATE = re.compile(
    r"(count|count_unique|avg|sum|min|max|p50|p75|p90|p95|p99|failure_rate|epm)\(([\w.]*)\)"
)
DATASETS = ("discover", "errors", "transactions", "spans")


def transaction_fields(body: dict[str, Any], at: float) -> dict[str, Any]:
    """Return what a query may ask of a transaction."""
    trace = part(part(body, "contexts"), "trace")
    user = part(body, "user")
    started, ended = seconds(body.get("start_timestamp")), seconds(body.get("timestamp"))
    duration = round((ended - started) * 1000, 3)
    measured = part(body, "measurements")
    return {
        **{tag["key"]: tag["value"] for tag in tags_of({"level": "info", **body})},
        **{f"measurements.{name}": part(measured, name).get("value") for name in measured},
        "id": body["event_id"],
        "event.type": "transaction",
        "title": body.get("transaction"),
        "transaction": body.get("transaction"),
        "transaction.op": trace.get("op"),
        "transaction.status": trace.get("status"),
        "transaction.duration": duration,
        "span.op": trace.get("op"),
        "span.description": body.get("transaction"),
        "span.duration": duration,
        "span_id": trace.get("span_id"),
        "is_transaction": "true",
        "trace": trace.get("trace_id"),
        "timestamp": iso(at),
        "platform": body.get("platform"),
        "user.id": user.get("id"),
        "project": PROJECT,
        "project.name": PROJECT,
    }


def span_fields(span: dict[str, Any], parent: dict[str, Any]) -> dict[str, Any]:
    """Return what a query may ask of a span inside a transaction."""
    started, ended = seconds(span.get("start_timestamp")), seconds(span.get("timestamp"))
    return {
        **parent,
        **{
            key: value
            for key, value in (span.get("data") or {}).items()
            if isinstance(value, str | int | float)
        },
        "id": span.get("span_id"),
        "span_id": span.get("span_id"),
        "span.op": span.get("op"),
        "span.description": span.get("description"),
        "span.duration": round((ended - started) * 1000, 3),
        "span.status": span.get("status"),
        "is_transaction": "false",
    }


def streamed_fields(span: dict[str, Any], at: float) -> dict[str, Any]:
    """Return what a query may ask of a span that an SDK streamed (span protocol version 2, or 1)."""
    given = span.get("attributes") or span.get("data") or {}
    attributes = {key: one.get("value") if isinstance(one, dict) else one for key, one in given.items()}
    ended = span.get("end_timestamp") or span.get("timestamp")
    duration = round((seconds(ended) - seconds(span.get("start_timestamp"))) * 1000, 3)
    description = span.get("name") or span.get("description")
    segment = bool(span.get("is_segment"))
    return {
        **attributes,
        "id": span.get("span_id"),
        "span_id": span.get("span_id"),
        "span.op": attributes.get("sentry.op") or span.get("op"),
        "span.description": description,
        "span.duration": duration,
        "span.status": span.get("status"),
        "is_transaction": "true" if segment else "false",
        "event.type": "transaction" if segment else "span",
        "transaction": attributes.get("sentry.segment.name") or description,
        "transaction.op": attributes.get("sentry.op"),
        "transaction.duration": duration if segment else None,
        "transaction.status": span.get("status"),
        "title": description,
        "trace": span.get("trace_id"),
        "release": attributes.get("sentry.release"),
        "environment": attributes.get("sentry.environment"),
        "user.id": attributes.get("user.id"),
        "timestamp": iso(at),
        "project": PROJECT,
        "project.name": PROJECT,
    }


def reduce(name: str, field: str, rows: list[dict[str, Any]], minutes: float) -> float | int | None:
    """Return one aggregate over rows."""
    if name == "count":
        return len(rows)
    if name == "epm":
        return len(rows) / minutes
    if name == "failure_rate":
        bad = [
            row for row in rows if row.get("transaction.status") not in (None, "ok", "cancelled", "unknown")
        ]
        return len(bad) / len(rows) if rows else 0
    values = [row.get(field) for row in rows if row.get(field) is not None]
    if name == "count_unique":
        return len(set(values))
    numbers = sorted(float(value) for value in values if isinstance(value, int | float))
    if not numbers:
        return None
    if name.startswith("p"):
        return numbers[min(len(numbers) - 1, int(len(numbers) * int(name[1:]) / 100))]
    return {"avg": sum(numbers) / len(numbers), "sum": sum(numbers), "min": numbers[0], "max": numbers[-1]}[
        name
    ]


class Discover:
    """Queries over errors (Bugsink's) and transactions, spans, check-ins, feedback (kept here)."""

    def __init__(self, store: Store, reading: Reading, access: Access) -> None:
        self.store, self.reading, self.access = store, reading, access

    def routes(self) -> list[Route]:
        """Return the routes of queries."""
        guard = self.access.guard
        checkins = "/monitors/{slug}/checkins/"
        return [
            Route("/organizations/{org}/events/", guard(self.events), methods=["GET"]),
            Route("/organizations/{org}/monitors/", guard(self.monitors), methods=["GET"]),
            Route(f"/organizations/{{org}}{checkins}", guard(self.check_ins), methods=["GET"]),
            Route(f"/projects/{{org}}/{{project}}{checkins}", guard(self.check_ins), methods=["GET"]),
            Route("/projects/{org}/{project}/user-feedback/", guard(self.feedback), methods=["GET"]),
        ]

    async def _rows(self, dataset: str, since: float, until: float) -> tuple[list[dict[str, Any]], str]:
        """Return every row of a dataset, newest first, and who holds it."""
        transactions = [
            transaction_fields(body, at) | {"_body": body}
            for _, at, body in self.store.events(TRANSACTION, since=since, until=until)
        ]
        streamed = [
            streamed_fields(span, at) for _, at, span in self.store.events(SPAN, since=since, until=until)
        ]
        if dataset == "spans":
            rows = list(streamed)
            for row in transactions:
                body = row.pop("_body")
                rows += [row, *(span_fields(span, row) for span in body.get("spans") or [])]
            return rows, "recorder"
        transactions += [row for row in streamed if row["is_transaction"] == "true"]
        if dataset == "transactions":
            return transactions, "recorder"
        errors = [
            search_fields(event) | {"project": PROJECT, "project.name": PROJECT}
            for event in await self.reading.newest(1000)
        ]
        kept = [row for row in errors if since <= seconds(row["timestamp"]) <= until]
        if dataset == "errors":
            return kept, "bugsink"
        return sorted([*kept, *transactions], key=lambda row: str(row["timestamp"]), reverse=True), "both"

    async def events(self, request: Request) -> Response:
        """`GET /organizations/<org>/events/`."""
        asked = request.query_params
        fields = asked.getlist("field")
        dataset = asked.get("dataset", "discover")
        if not fields:
            return JSONResponse({"detail": "No columns selected"}, 400, BY_RECORDER)
        if dataset not in DATASETS:
            detail = f"dataset must be one of: {', '.join(DATASETS)}"
            return JSONResponse({"detail": detail}, 400, BY_RECORDER)
        since, until = period(dict(asked))
        try:
            search = Search(asked.get("query", ""))
        except BadSearch as error:
            return JSONResponse({"detail": f"Parse error: {error}"}, 400, BY_RECORDER)
        rows, holder = await self._rows(dataset, since, until)
        wanted_environments = asked.getlist("environment")
        rows = [
            row
            for row in rows
            if search.matches(row, str(row.get("title") or ""))
            and (not wanted_environments or row.get("environment") in wanted_environments)
        ]
        data = self._table(fields, rows, max(1.0, (min(until, time.time()) - since) / 60))
        if sort := asked.get("sort"):
            key = sort.lstrip("-")
            data.sort(key=lambda row: (row.get(key) is not None, row.get(key)), reverse=sort.startswith("-"))
        limit = int(asked.get("per_page", "50"))
        kinds = {
            field: "number" if AGGREGATE.fullmatch(field) or field.endswith("duration") else "string"
            for field in fields
        }
        headers = {"recorder": BY_RECORDER, "bugsink": BY_BUGSINK}.get(
            holder, {"X-Assay-Engine": "bugsink, recorder"}
        )
        return JSONResponse(
            {"data": data[:limit], "meta": {"fields": kinds, "dataset": dataset}}, headers=headers
        )

    @staticmethod
    def _table(fields: list[str], rows: list[dict[str, Any]], minutes: float) -> list[dict[str, Any]]:
        reducers = {field: match for field in fields if (match := AGGREGATE.fullmatch(field))}
        plain = [field for field in fields if field not in reducers]
        if not reducers:
            return [{"id": row.get("id"), **{field: row.get(field) for field in plain}} for row in rows]
        groups: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            groups[tuple(str(row.get(field)) for field in plain)].append(row)
        if not plain and not groups:
            groups[()] = []
        return [
            {field: members[0].get(field) for field in plain}
            | {field: reduce(match[1], match[2], members, minutes) for field, match in reducers.items()}
            for members in groups.values()
        ]

    async def monitors(self, request: Request) -> Response:
        """`GET /organizations/<org>/monitors/`: those that sent a check-in."""
        slugs = {body["monitor_slug"]: body for _, _, body in self.store.events(CHECK_IN)}
        shown = [
            {
                "id": slug,
                "slug": slug,
                "name": slug,
                "status": "active",
                "config": body.get("monitor_config", {}),
            }
            for slug, body in sorted(slugs.items())
        ]
        return JSONResponse(shown, headers=BY_RECORDER)

    async def check_ins(self, request: Request) -> Response:
        """`GET .../monitors/<slug>/checkins/`: newest first."""
        slug = request.path_params["slug"]
        shown = [
            {
                "id": body.get("check_in_id"),
                "status": body["status"],
                "duration": body.get("duration"),
                "environment": body.get("environment", "production"),
                "dateCreated": iso(at),
            }
            for _, at, body in self.store.events(CHECK_IN)
            if body.get("monitor_slug") == slug
        ]
        return JSONResponse(shown, headers=BY_RECORDER)

    async def feedback(self, request: Request) -> Response:
        """`GET .../user-feedback/`: newest first."""
        shown = []
        for _, at, body in self.store.events(FEEDBACK):
            feedback = (body.get("contexts") or {}).get("feedback") or body
            shown.append(
                {
                    "eventID": body.get("event_id"),
                    "name": feedback.get("name"),
                    "email": feedback.get("contact_email") or feedback.get("email"),
                    "comments": feedback.get("message") or feedback.get("comments"),
                    "dateCreated": iso(at),
                }
            )
        return JSONResponse(shown, headers=BY_RECORDER)
