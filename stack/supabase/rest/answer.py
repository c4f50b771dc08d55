"""From rows to bytes: preferences, media types, the statement's envelope, ranges, status."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

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
BODIES = {
    "json": "coalesce(json_agg(_t), '[]')::text",
    "one": "coalesce((json_agg(_t)->0)::text, 'null')",
    "scalar": "coalesce((json_agg(_t.value)->0)::text, 'null')",
    "scalars": "coalesce(json_agg(_t.value), '[]')::text",
    "csv": "(SELECT coalesce(string_agg(a.k, ','), '') FROM (SELECT json_object_keys(r)::text AS k FROM "
    "(SELECT row_to_json(h) AS r FROM pgrst_rows AS h LIMIT 1) s) a) || E'\\n' || "
    "coalesce(string_agg(substring(_t::text, 2, length(_t::text) - 2), E'\\n'), '')",
}
REVERSED = "The lower boundary must be lower than or equal to the upper boundary in the Range header."
TYPES = {"csv": "text/csv; charset=utf-8", "one": f"{OBJECT}+json; charset=utf-8"}


@dataclass
class Answer:
    """What the statement gave; ``updated`` counts merged rows."""

    rows: int
    total: int | None
    body: bytes
    updated: int = 0

    @classmethod
    def of(cls, found: Any) -> Answer:
        """The one row that an envelope's statement gives."""
        total, rows, body, updated = (found.get_value(0, n) for n in range(4))
        return cls(int(rows), int(total) if total else None, body or b"", int(updated or 0))


@dataclass
class Asked:
    """What the request's Accept and Prefer headers ask for; ``shape`` names one of BODIES."""

    shape: str
    preferences: dict[str, str] = field(default_factory=dict)
    plan: str | None = None
    reading: bool = True
    merging: bool = False
    single: bool = False

    @classmethod
    def of(cls, request: Request, explain: bool) -> Asked:
        """Read the headers. Raises PGRST107 for a media type not served, PGRST122 for a bad strict preference."""
        shape, plan = _media(request.headers.get("accept", "*/*"), explain)
        reading = request.method in ("GET", "HEAD")
        return cls(shape, _preferences(request), plan, reading, single=shape == "one")

    @property
    def count(self) -> str | None:
        """exact, planned, estimated or None."""
        return self.preferences.get("count")

    @property
    def representation(self) -> bool:
        """Whether written rows are answered."""
        return self.preferences.get("return") == "representation"

    def check(self, answer: Answer) -> None:
        """Raise PGRST116 if one row was demanded and not had."""
        if self.single and answer.rows != 1 and (self.reading or self.representation):
            details = f"The result contains {answer.rows} rows"
            raise ApiError("PGRST116", "Cannot coerce the result to a single JSON object", details)


def window(node: Node, request: Request) -> int:
    """Put the range asked for, by ``limit``/``offset`` or by the Range header, into ``node``; where it begins."""
    header = re.fullmatch(r"(?:items=)?(\d{1,18})-(\d{0,18})", request.headers.get("range", ""))
    if header and request.method in ("GET", "HEAD"):
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
        if "nulls=stripped" in parameters:
            raise left_out("nulls=stripped")
        if kind in ("application/json", "*/*", "application/*", "application/vnd.pgrst.array+json", ""):
            return "json", None
        if kind.removesuffix("+json") == OBJECT:
            return "one", None
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
        if part == "return=headers-only" or name == "max-affected":
            raise left_out(part)
        if value in PREFERENCES.get(name, ()):
            given.setdefault(name, value)
        else:
            invalid.append(part)
    if invalid and given.get("handling") == "strict":
        details = f"Invalid preferences: {', '.join(invalid)}"
        raise ApiError("PGRST122", "Invalid preferences given with handling=strict", details)
    return given


def envelope(source: str, inner: str, total: str | None, shape: str) -> str:
    """The whole statement: ``source`` CTEs, the rows, an optional count, and the body made of the rows."""
    counted = f", pgrst_total AS ({total})" if total else ""
    count = "(SELECT count(*) FROM pgrst_total)" if total else "null::bigint"
    return (
        f"WITH {source}pgrst_rows AS ({inner}){counted} SELECT {count} AS total, count(_t) AS rows, "
        f"{BODIES[shape]} AS body, nullif(current_setting('pgrst.updated', true), '') AS updated "
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
    headers = {"content-profile": schema, "content-type": TYPES.get(asked.shape, JSON)}
    if asked.plan:
        headers["content-type"] = f"{PLAN}+{asked.plan.split(';')[0]}; charset=utf-8"
        return Response(200, answer.body, headers)
    status, calling = _status(request, asked, answer, offset), request.path.startswith("/rest/v1/rpc/")
    spanless = answer.rows == 0 or (request.method == "POST" and not calling)
    span = "*" if spanless else f"{offset}-{offset + answer.rows - 1}"
    total = answer.rows if asked.count and not asked.reading and answer.total is None else answer.total
    headers["content-range"] = f"{span}/{'*' if total is None else total}"
    names = ("resolution", "missing", "return") if request.method == "POST" else ("return", "missing")
    names = ("handling", "count") if asked.reading else (*names, "handling", "count")
    if applied := [f"{name}={asked.preferences[name]}" for name in names if name in asked.preferences]:
        headers["preference-applied"] = ", ".join(applied)
    if not asked.reading and not asked.representation and not calling:
        del headers["content-type"]
        return Response(status, b"", headers)
    return Response(status, answer.body, headers)


def _status(request: Request, asked: Asked, answer: Answer, offset: int) -> int:
    if "/rpc/" in request.path or asked.reading:
        if answer.total is None:
            return 200
        if offset > 0 and offset >= answer.total:
            raise out_of_range(
                f"An offset of {offset} was requested, but there are only {answer.total} rows."
            )
        return 206 if answer.rows < answer.total else 200
    if request.method == "POST":
        return 200 if asked.merging and answer.rows and answer.updated >= answer.rows else 201
    return 200 if asked.representation else 204
