"""From rows to bytes: preferences, media types, the statement's envelope, ranges, status."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from stack.supabase.http import JSON, Request, Response
from stack.supabase.rest.errors import ApiError
from stack.supabase.rest.parse import Node

OBJECT = "application/vnd.pgrst.object+json"
ARRAY = "application/vnd.pgrst.array+json"
PLAN = "application/vnd.pgrst.plan"
CSV = "text/csv"
STRIPPED = "nulls=stripped"

PREFERENCES = {
    "return": ("representation", "minimal", "headers-only"),
    "count": ("exact", "planned", "estimated"),
    "resolution": ("merge-duplicates", "ignore-duplicates"),
    "missing": ("default", "null"),
    "handling": ("strict", "lenient"),
    "tx": ("commit", "rollback"),
}
BODIES = {
    "json": "coalesce(json_agg(_t), '[]')::text",
    "stripped": "coalesce(json_strip_nulls(json_agg(_t)), '[]')::text",
    "one": "coalesce((json_agg(_t)->0)::text, 'null')",
    "one-stripped": "coalesce(json_strip_nulls(json_agg(_t)->0)::text, 'null')",
    "scalar": "coalesce((json_agg(_t.value)->0)::text, 'null')",
    "scalars": "coalesce(json_agg(_t.value), '[]')::text",
    "csv": "(SELECT coalesce(string_agg(a.k, ','), '') FROM (SELECT json_object_keys(r)::text AS k FROM "
    "(SELECT row_to_json(h) AS r FROM pgrst_rows AS h LIMIT 1) s) a) || E'\\n' || "
    "coalesce(string_agg(substring(_t::text, 2, length(_t::text) - 2), E'\\n'), '')",
}


@dataclass
class Answer:
    """What the statement gave. ``headers`` and ``status`` are those a function set; ``updated`` counts merged rows."""

    rows: int
    total: int | None
    body: bytes
    headers: str | None = None
    status: str | None = None
    updated: str | None = None

    @classmethod
    def of(cls, found: Any) -> Answer:
        """The one row that an envelope's statement gives."""
        total, rows, body, headers, status, updated = (found.get_value(0, n) for n in range(6))
        return cls(
            int(rows),
            int(total) if total else None,
            body or b"",
            *(v and v.decode() for v in (headers, status, updated)),
        )


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
        asked = cls(shape, _preferences(request), plan, request.method in ("GET", "HEAD"))
        asked.single = shape.startswith("one")
        return asked

    @property
    def count(self) -> str | None:
        """exact, planned, estimated or None."""
        return self.preferences.get("count")

    @property
    def returns(self) -> str:
        """What of written rows to answer with."""
        return self.preferences.get("return", "minimal")

    @property
    def representation(self) -> bool:
        """Whether written rows are answered."""
        return self.returns == "representation"

    @property
    def demanding(self) -> bool:
        """Whether ``check`` may refuse what was written."""
        return self.single or "max-affected" in self.preferences

    def check(self, answer: Answer) -> None:
        """Raise PGRST116 if one row was demanded and not had, PGRST124 if too many were written."""
        if self.single and answer.rows != 1 and (self.reading or self.representation):
            raise ApiError(
                406,
                "PGRST116",
                "Cannot coerce the result to a single JSON object",
                f"The result contains {answer.rows} rows",
            )
        limit = self.preferences.get("max-affected")
        if (
            limit
            and self.preferences.get("handling") == "strict"
            and answer.rows > int(limit)
            and not self.reading
        ):
            raise ApiError(
                400, "PGRST124", "Query result exceeds max-affected preference constraint",
                f"The query affects {answer.rows} rows",
            )  # fmt: skip


@dataclass(frozen=True)
class Window:
    """Where the answered rows begin, for Content-Range."""

    offset: int

    @classmethod
    def of(cls, node: Node, request: Request, max_rows: int) -> Window:
        """The range asked for, by ``limit``/``offset`` or by the Range header, put into ``node``."""
        header = re.fullmatch(r"(?:items=)?(\d{1,18})-(\d{0,18})", request.headers.get("range", ""))
        if header and request.method in ("GET", "HEAD"):
            first, last = int(header[1]), int(header[2]) if header[2] else None
            if last is not None and last < first:
                raise ApiError(
                    416, "PGRST103", "Requested range not satisfiable",
                    "The lower boundary must be lower than or equal to the upper boundary in the Range header.",
                )  # fmt: skip
            node.offset = max(node.offset, first)
            if last is not None:
                node.limit = min(node.limit if node.limit is not None else last - first + 1, last - first + 1)
        if node.limit is not None and node.limit < 0:
            raise ApiError(
                416,
                "PGRST103",
                "Requested range not satisfiable",
                "Limit should be greater than or equal to zero.",
            )
        node.offset = max(node.offset, 0)
        return cls(node.offset)


def _media(accept: str, explain: bool) -> tuple[str, str | None]:
    for part in re.split(r",(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", accept):
        kind, _, parameters = part.strip().partition(";")
        stripped = STRIPPED in parameters
        if kind in ("application/json", "*/*", "application/*", "application/openapi+json", ""):
            return "json", None
        if kind in (OBJECT, "application/vnd.pgrst.object"):
            return ("one-stripped" if stripped else "one"), None
        if kind in (ARRAY, "application/vnd.pgrst.array"):
            return ("stripped" if stripped else "json"), None
        if kind == CSV:
            return "csv", None
        if kind.startswith(PLAN) and explain:
            return "json", f"{'json' if kind.endswith('+json') else 'text'};{parameters}"
    raise ApiError(406, "PGRST107", f"None of these media types are available: {accept}")


def _preferences(request: Request) -> dict[str, str]:
    given: dict[str, str] = {}
    invalid = []
    for part in request.headers.get("prefer", "").split(","):
        name, _, value = part.strip().partition("=")
        known = PREFERENCES.get(name)
        if name in ("max-affected", "timezone") and value:
            if name == "timezone" or value.isdigit():
                given.setdefault(name, value)
        elif known and value in known:
            given.setdefault(name, value)
        elif part.strip():
            invalid.append(part.strip())
    if invalid and given.get("handling") == "strict":
        raise ApiError(
            400,
            "PGRST122",
            "Invalid preferences given with handling=strict",
            f"Invalid preferences: {', '.join(invalid)}",
        )
    return given


def envelope(source: str, inner: str, total: str | None, shape: str) -> str:
    """The whole statement: ``source`` CTEs, the rows, an optional count, and the body made of the rows."""
    counted = f", pgrst_total AS ({total})" if total else ""
    count = "(SELECT count(*) FROM pgrst_total)" if total else "null::bigint"
    return (
        f"WITH {source}pgrst_rows AS ({inner}){counted} SELECT {count} AS total, count(_t) AS rows, "
        f"{BODIES[shape]} AS body, "
        "nullif(current_setting('response.headers', true), '') AS headers, "
        "nullif(current_setting('response.status', true), '') AS status, "
        "nullif(current_setting('pgrst.updated', true), '') AS updated FROM (SELECT * FROM pgrst_rows) _t"
    )


def explained(asked: Asked, statement: str) -> str:
    """The statement that tells the plan of ``statement`` instead of its rows (only where the option allows it)."""
    kind, _, parameters = (asked.plan or "").partition(";")
    options = re.search(r"options=([\w|]*)", parameters)
    wanted = (
        [
            o.upper()
            for o in options[1].split("|")
            if o in ("analyze", "verbose", "settings", "buffers", "wal")
        ]
        if options
        else []
    )
    return f"EXPLAIN ({', '.join([*wanted, f'FORMAT {kind.upper()}'])}) {statement}"


def finish(request: Request, asked: Asked, answer: Answer, window: Window, schema: str) -> Response:
    """The response for ``answer``. Raises PGRST103 for an offset beyond the counted end."""
    headers = {"content-profile": schema, "content-type": JSON}
    if asked.plan:
        headers["content-type"] = f"{PLAN}+{asked.plan.split(';')[0]}; charset=utf-8"
        return Response(200, answer.body, headers)
    status = _status(request, asked, answer, window)
    span = (
        "*"
        if answer.rows == 0
        or (request.method in ("POST", "PUT") and not request.path.startswith("/rest/v1/rpc/"))
        else (f"{window.offset}-{window.offset + answer.rows - 1}")
    )
    total = answer.total
    if asked.count and not asked.reading and total is None:
        total = answer.rows
    headers["content-range"] = f"{span}/{'*' if total is None else total}"
    applied = [f"{k}={asked.preferences[k]}" for k in _applicable(request, asked) if k in asked.preferences]
    if applied:
        headers["preference-applied"] = ", ".join(applied)
    headers["content-type"] = _content_type(asked)
    body = answer.body
    if not asked.reading and not asked.representation and "/rpc/" not in request.path:
        body = b""
        headers.pop("content-type")
    _override(headers, answer)
    return Response(int(answer.status) if answer.status else status, body, headers)


def _status(request: Request, asked: Asked, answer: Answer, window: Window) -> int:
    total = answer.total
    if "/rpc/" in request.path or asked.reading:
        if total is None:
            return 200
        if window.offset > 0 and window.offset >= total:
            raise ApiError(
                416, "PGRST103", "Requested range not satisfiable",
                f"An offset of {window.offset} was requested, but there are only {total} rows.",
            )  # fmt: skip
        return 206 if answer.rows < total else 200
    if request.method == "POST":
        return 200 if asked.merging and answer.rows and int(answer.updated or 0) >= answer.rows else 201
    if request.method == "PUT" and not int(answer.updated or 0):
        return 201
    return 200 if asked.representation else 204


def _applicable(request: Request, asked: Asked) -> tuple[str, ...]:
    common = ("handling", "timezone", "count")
    if asked.reading:
        return common
    return ("resolution", "missing", "return", *common, "max-affected") if request.method == "POST" else (
        "return", "missing", *common, "max-affected")  # fmt: skip


def _content_type(asked: Asked) -> str:
    if asked.shape == "csv":
        return "text/csv; charset=utf-8"
    if asked.single:
        return f"{OBJECT}{';' + STRIPPED if asked.shape == 'one-stripped' else ''}; charset=utf-8"
    return f"{ARRAY};{STRIPPED}; charset=utf-8" if asked.shape == "stripped" else JSON


def _override(headers: dict[str, str], answer: Answer) -> None:
    """Headers that a function set through ``response.headers``: a JSON array of one-key objects."""
    if not answer.headers:
        return
    try:
        for one in json.loads(answer.headers):
            headers.update({str(k).lower(): str(v) for k, v in one.items()})
    except (ValueError, AttributeError, TypeError) as error:
        raise ApiError(500, "PGRST111", "response.headers GUC must be a JSON array composed of objects "
                                        "with a single key and a "
                       "string value") from error  # fmt: skip
