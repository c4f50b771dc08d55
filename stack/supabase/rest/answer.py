"""From rows to bytes: preferences, media types, the statement's envelope, ranges, status."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from zoneinfo import available_timezones as read_timezones

from stack.supabase.http import JSON, Request, Response
from stack.supabase.rest.errors import ApiError, left_out, out_of_range
from stack.supabase.rest.parse import Node

OBJECT = "application/vnd.pgrst.object"
PLAN = "application/vnd.pgrst.plan"
PREFERENCES = {
    "return": ("representation", "minimal"),
    "count": ("exact", "planned", "estimated"),
    "resolution": ("merge-duplicates", "ignore-duplicates"),
    "missing": ("default", "null"),
    "handling": ("strict", "lenient"),
}
ALWAYS = ("count", "handling", "timezone")
APPLIED = {  # what Preference-Applied tells, by method; "" is a function's call
    "GET": ALWAYS, "HEAD": ALWAYS, "POST": ("resolution", "missing", "return", *ALWAYS), "": (*ALWAYS, "max-affected"),
    "PUT": ("return", *ALWAYS), "PATCH": ("missing", "return", *ALWAYS, "max-affected"),
    "DELETE": ("return", *ALWAYS, "max-affected"),
}  # fmt: skip
BODIES = {
    "json": "coalesce(json_agg(_t), '[]')::text",
    "one": "coalesce((json_agg(_t)->0)::text, 'null')",
    "stripped": "coalesce(json_strip_nulls(json_agg(_t)), '[]')::text",
    "one stripped": "coalesce(json_strip_nulls(json_agg(_t)->0)::text, 'null')",
    "void": "null",
    "scalar": "coalesce((json_agg(_t.value)->0)::text, 'null')",
    "scalars": "coalesce(json_agg(_t.value), '[]')::text",
    "csv": "(SELECT coalesce(string_agg(a.k, ','), '') FROM (SELECT json_object_keys(r)::text AS k FROM "
    "(SELECT row_to_json(h) AS r FROM pgrst_rows AS h LIMIT 1) s) a) || E'\\n' || "
    "coalesce(string_agg(substring(_t::text, 2, length(_t::text) - 2), E'\\n'), '')",
}
SET = ", ".join(
    f"current_setting('{n}', true)" for n in ("pgrst.updated", "response.headers", "response.status")
)
REVERSED = "The lower boundary must be lower than or equal to the upper boundary in the Range header."
ARRAY = "application/vnd.pgrst.array"
TYPES = {
    "csv": "text/csv; charset=utf-8", "one": f"{OBJECT}+json; charset=utf-8",
    "stripped": f"{ARRAY}+json;nulls=stripped; charset=utf-8",
    "one stripped": f"{OBJECT}+json;nulls=stripped; charset=utf-8",
}  # fmt: skip
GUC_HEADERS = (
    "response.headers guc must be a JSON array composed of objects with a single key and a string value"
)


available_timezones = cache(read_timezones)


@dataclass
class Answer:
    """What the statement gave; ``updated`` counts merged rows; ``headers`` and ``status`` are what a function set."""

    rows: int
    total: int | None
    body: bytes
    updated: int = 0
    headers: bytes = b""
    status: bytes = b""

    @classmethod
    def of(cls, found: Any) -> Answer:
        """The one row that an envelope's statement gives."""
        total, rows, body, updated, headers, status = (found.get_value(0, n) for n in range(6))
        return cls(
            int(rows),
            int(total) if total else None,
            body or b"",
            int(updated or 0),
            headers or b"",
            status or b"",
        )


@dataclass
class Asked:
    """What the request's Accept and Prefer headers ask for; ``media`` and ``shape`` each name one of BODIES.

    They differ for a function's single result, whose shape is its own.
    """

    media: str
    shape: str
    preferences: dict[str, str] = field(default_factory=dict)
    plan: str | None = None
    reading: bool = True
    merging: bool = False
    putting: bool = False
    single: bool = False

    @classmethod
    def of(cls, request: Request, explain: bool) -> Asked:
        """Read the headers. Raises PGRST107 for a media type not served, PGRST122 for a bad strict preference."""
        shape, plan = _media(request.headers.get("accept", "*/*"), explain)
        reading = request.method in ("GET", "HEAD")
        return cls(shape, shape, _preferences(request), plan, reading, single=shape.startswith("one"))

    @property
    def count(self) -> str | None:
        """exact, planned, estimated or None."""
        return self.preferences.get("count")

    @property
    def representation(self) -> bool:
        """Whether written rows are answered."""
        return self.preferences.get("return") == "representation"

    def check(self, answer: Answer) -> None:
        """Raise PGRST116 if one row was demanded and not had, PGRST124 if more were changed than was allowed."""
        if self.single and answer.rows != 1:
            details = f"The result contains {answer.rows} rows"
            raise ApiError("PGRST116", "Cannot coerce the result to a single JSON object", details)
        if self.putting and answer.rows != 1:
            raise ApiError("PGRST115", "Payload values do not match URL in primary key column(s)")
        if self.most is not None and answer.rows > self.most:
            details = f"The query affects {answer.rows} rows"
            raise ApiError("PGRST124", "Query result exceeds max-affected preference constraint", details)

    @property
    def most(self) -> int | None:
        """How many rows may be changed, if that is limited."""
        given = self.preferences.get("max-affected")
        return int(given) if given else None

    @property
    def demanding(self) -> bool:
        """Whether the answer may break what is asked for, so that it has to be seen before the commit."""
        return self.single or self.putting or self.most is not None


def window(node: Node, request: Request) -> int:
    """Put the range asked for, by ``limit``/``offset`` or by the Range header, into ``node``; where it begins."""
    header = re.fullmatch(r"(?:items=)?(\d{1,18})-(\d{0,18})", request.headers.get("range", ""))
    if header and request.method == "GET":
        node.offset = max(node.offset, int(header[1]))
        if header[2]:
            rows = int(header[2]) - int(header[1]) + 1
            if rows <= 0:
                raise out_of_range(REVERSED)
            node.limit = rows if node.limit is None else min(node.limit, rows)
    if node.limit is not None and node.limit < 0:
        raise out_of_range("Limit should be greater than or equal to zero.")
    node.offset = max(node.offset, 0)
    return node.offset


def _media(accept: str, explain: bool) -> tuple[str, str | None]:
    for part in re.split(r",(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", accept):
        kind, _, parameters = part.strip().partition(";")
        stripped = "stripped" if "nulls=stripped" in parameters else ""
        if kind.removesuffix("+json") == ARRAY and stripped:
            return stripped, None
        if kind in ("application/json", "*/*", "application/*", "application/vnd.pgrst.array+json", ""):
            return "json", None
        if kind.removesuffix("+json") == OBJECT:
            return f"one {stripped}".strip(), None
        if kind == "text/csv":
            return "csv", None
        if kind.startswith(PLAN) and explain:
            return "json", f"{'json' if kind.endswith('+json') else 'text'};{parameters}"
    raise ApiError("PGRST107", f"None of these media types are available: {accept}")


def _preferences(request: Request) -> dict[str, str]:
    given: dict[str, str] = {}
    invalid = []
    for part in filter(None, map(str.strip, request.headers.get("prefer", "").split(","))):
        name, _, value = part.partition("=")
        if part == "return=headers-only":
            raise left_out(part)
        known = name == "max-affected" and value.isdigit()
        if name == "timezone":
            known = value in available_timezones()
        if known or value in PREFERENCES.get(name, ()):
            given.setdefault(name, value)
        else:
            invalid.append(part)
    if invalid and given.get("handling") == "strict":
        details = f"Invalid preferences: {', '.join(invalid)}"
        raise ApiError("PGRST122", "Invalid preferences given with handling=strict", details)
    if given.get("handling") != "strict":
        given.pop("max-affected", None)
    return given


def envelope(source: str, inner: str, total: str | None, shape: str) -> str:
    """The whole statement: ``source`` CTEs, the rows, an optional count, and the body made of the rows."""
    counted = f", pgrst_total AS ({total})" if total else ""
    count = "(SELECT count(*) FROM pgrst_total)" if total else "null::bigint"
    return (
        f"WITH {source}pgrst_rows AS ({inner}){counted} SELECT {count} AS total, count(_t) AS rows, "
        f"{BODIES[shape]} AS body, {SET} "
        "FROM (SELECT * FROM pgrst_rows) _t"
    )


def explained(asked: Asked, statement: str) -> str:
    """The statement that tells the plan of ``statement`` instead of its rows (only where the option allows it)."""
    kind, _, parameters = (asked.plan or "").partition(";")
    options = re.search(r"options=([\w|]*)", parameters)
    wanted = {o.upper() for o in (options[1] if options else "").split("|")}
    allowed = [o for o in ("ANALYZE", "VERBOSE", "SETTINGS", "BUFFERS", "WAL") if o in wanted]
    return f"EXPLAIN ({', '.join([*allowed, f'FORMAT {kind.upper()}'])}) {statement}"


def finish(request: Request, asked: Asked, answer: Answer, offset: int, schema: str) -> Response:
    """The response for ``answer``. Raises PGRST103 for an offset beyond the counted end."""
    headers = {"content-profile": schema, "content-type": TYPES.get(asked.media, JSON)}
    if asked.plan:
        headers["content-type"] = f"{PLAN}+{asked.plan.split(';')[0]}; charset=utf-8"
        return Response(200, answer.body, headers)
    status, calling = _status(request, asked, answer, offset), request.path.startswith("/rest/v1/rpc/")
    spanless = answer.rows == 0 or (request.method in ("POST", "DELETE") and not calling)
    span = "*" if spanless else f"{offset}-{offset + answer.rows - 1}"
    total = answer.rows if asked.count and not asked.reading and answer.total is None else answer.total
    if not asked.putting:
        headers["content-range"] = f"{span}/{'*' if total is None else total}"
    names = APPLIED["" if calling else request.method]
    if applied := [f"{name}={asked.preferences[name]}" for name in names if name in asked.preferences]:
        headers["preference-applied"] = ", ".join(applied)
    if asked.reading and not calling:
        query = "&".join(sorted(filter(None, request.query.split("&"))))
        headers["content-location"] = request.path.removeprefix("/rest/v1") + f"?{query}" * bool(query)
    if answer.headers:
        headers |= _own_headers(answer.headers)
    if answer.status:
        if not (answer.status.isdigit() and 100 <= int(answer.status) < 1000):
            raise ApiError("PGRST112", "response.status guc must be a valid status code", status=500)
        status = int(answer.status)
    if asked.shape == "void" or not (asked.reading or asked.representation or calling):
        headers.pop("content-type")
        return Response(status, b"", headers)
    return Response(status, answer.body, headers)


def _own_headers(text: bytes) -> dict[str, str]:
    """What a function set as ``response.headers`` (PostgREST documentation, "Transactions"). Raises PGRST111."""
    try:
        given = json.loads(text)
        if all(len(one) == 1 and isinstance(v, str) for one in given for v in one.values()):
            return {name.lower(): value for one in given for name, value in one.items()}
    except (ValueError, AttributeError, TypeError):
        pass
    raise ApiError("PGRST111", GUC_HEADERS, status=500)


def _status(request: Request, asked: Asked, answer: Answer, offset: int) -> int:
    if asked.shape == "void":
        return 204
    if "/rpc/" in request.path or asked.reading:
        if answer.total is None:
            return 200
        if offset > answer.total:
            why = f"An offset of {offset} was requested, but there are only {answer.total} rows."
            refused = out_of_range(why)
            refused.headers["content-range"] = f"*/{answer.total}"
            raise refused
        return 206 if answer.rows < answer.total else 200
    if request.method == "PUT" and not asked.representation:
        return 204
    if request.method in ("POST", "PUT"):
        return 200 if asked.merging and answer.updated >= answer.rows else 201
    return 200 if asked.representation else 204
