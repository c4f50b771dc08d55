"""REST's own OpenAPI description, and random requests that it allows: Schemathesis draws them and judges the answers.

PostgREST describes itself loosely (its documentation, "OpenAPI"). `tightened` says the rest, so that what is drawn is
mostly understood and what is judged is what PostgREST promises: filters and paging are texts of a known form, a column that
may be null is, types beyond JSON's own are not judged.
"""

from __future__ import annotations

import contextlib
import copy
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core import NotSet
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from clients.http_port import ANY_5XX, WireAnswer
from clients.service_clients import ServiceClients

CASES = 12
"""Requests of one operation at most."""
SECONDS = 15.0
"""For all of them; operations that were not reached are told."""
KEPT = 20
"""Failures that are told; one operation tells each kind once."""
JUDGED = frozenset(
    {
        "boolean",
        "int32",
        "int64",
        "integer",
        "smallint",
        "bigint",
        "text",
        "character varying",
        "uuid",
        "date",
    }
)
"""Formats whose JSON is what the description says it is."""
_FILTER = {"pattern": r"^(not\.)?(eq|neq|gt|gte|lt|lte|like|ilike|is|in)\.[ -~]{0,12}$"}
_NUMBER = {"pattern": r"^[0-9]{1,3}$"}
_PAGING = {"offset": _NUMBER, "limit": _NUMBER}
_LEFT_OUT = frozenset({"select", "range", "rangeUnit", "preferCount", "on_conflict", "order"})
_CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance]


@dataclass
class Tried:
    """What was drawn: `described` operations may be asked; requests by operation, those that time left out, failures."""

    described: int = 0
    requests: dict[str, int] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)


def tightened(document: Mapping[str, Any], *, writes: bool) -> dict[str, Any]:
    """The description with what PostgREST leaves out; without `writes` only what reads."""
    made: dict[str, Any] = copy.deepcopy(dict(document))
    made |= {"consumes": ["application/json"], "produces": ["application/json"]}
    for definition in made.get("definitions", {}).values():
        needed = definition.get("required", [])
        definition["additionalProperties"] = False
        for name, column in definition.get("properties", {}).items():
            _judged(column, nullable=name not in needed)
    for name in _LEFT_OUT | {n for n in made["parameters"] if n.startswith("prefer")}:
        made["parameters"].pop(name, None)
    for name, parameter in made["parameters"].items():
        if name.startswith("rowFilter."):
            parameter |= _FILTER
        parameter |= _PAGING.get(name, {})
    made["paths"] = {path: item for path, item in made["paths"].items() if path != "/"}
    for path, item in made["paths"].items():
        for method in [m for m in item if m != "get" and (not writes or path.startswith("/rpc/"))]:
            del item[method]
        for operation in item.values():
            operation["produces"] = ["application/json"]
            operation["parameters"] = [p for p in operation.get("parameters", ()) if _is_there(made, p)]
            for parameter in operation["parameters"]:
                parameter.pop("format", None)
    return made


def _is_there(document: Mapping[str, Any], parameter: Mapping[str, Any]) -> bool:
    return parameter.get("$ref", "").rpartition("/")[2] in (*document["parameters"], "")


def _judged(column: dict[str, Any], *, nullable: bool) -> None:
    """Keeps of a column's type what its JSON surely is."""
    column.pop("default", None)
    kind = column.get("format", "")
    inside = column.get("items", {})
    if kind not in JUDGED and not (kind.endswith("[]") and kind.removesuffix("[]") in JUDGED):
        for word in ("type", "items", "maxLength", "format"):
            column.pop(word, None)
    elif inside:
        inside["x-nullable"] = True
    if nullable:
        column["x-nullable"] = True


def try_all(services: ServiceClients, document: Mapping[str, Any], *, writes: bool) -> Tried:
    """Sends requests of every operation as the service role, in an order and with values that are the same each time.

    A row that an insert made is removed again; updates and deletions are filtered so that no row is met.
    """
    tried, until = Tried(), time.monotonic() + SECONDS
    schema = schemathesis.openapi.from_dict(tightened(document, writes=writes))
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    tried.described = len(operations)
    random.Random(1).shuffle(operations)  # noqa: S311  # so that time leaves out no kind of them
    for operation in operations:
        if time.monotonic() > until:
            tried.left.append(operation.label)
        else:
            _try_one(services, operation, _keys(document, operation.path.removeprefix("/")), tried, until)
    return tried


def _try_one(
    services: ServiceClients,
    operation: schemathesis.APIOperation[Any, Any, Any, Any],
    keys: tuple[str, ...],
    tried: Tried,
    until: float,
) -> None:
    """Sends requests of one operation, as many as CASES and the time allow."""
    if operation.method.upper() == "POST" and not keys:
        return  # what it made could not be removed

    @seed(1)
    @settings(
        max_examples=CASES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def send(case: schemathesis.Case[Any]) -> None:
        if time.monotonic() > until:
            raise _TimeIsUp
        tried.requests[operation.label] = tried.requests.get(operation.label, 0) + 1
        for title, said in _send(services, case, keys):
            if len(tried.failures) < KEPT:
                tried.failures.setdefault(f"{operation.label}: {title}", said)

    with contextlib.suppress(_TimeIsUp):
        send()


class _TimeIsUp(BaseException):
    """Ends what Hypothesis draws; it lets what is no Exception pass at once."""


def _keys(document: Mapping[str, Any], relation: str) -> tuple[str, ...]:
    """The columns of a relation's primary key."""
    columns = document.get("definitions", {}).get(relation, {}).get("properties", {})
    return tuple(name for name, column in columns.items() if "<pk/>" in column.get("description", ""))


def _send(
    services: ServiceClients, case: schemathesis.Case[Any], keys: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    """Sends one request; yields each failure as its title and its words."""
    params = {
        name: value
        for name, value in (case.query or {}).items()
        if isinstance(value, str | int | float | bool)
    }
    if case.method in ("PATCH", "DELETE"):
        if not keys:
            return
        params["and"] = f"({keys[0]}.is.null)"
    body = None if isinstance(case.body, NotSet) else case.body
    answer = services.database.as_admin(
        case.method, case.formatted_path, params=params, body=body, allow=ANY_5XX
    )
    if case.method == "POST" and answer.status == 201:
        for row in answer.json(list):
            one = {key: f"eq.{row[key]}" for key in keys}
            services.database.as_admin("DELETE", case.formatted_path, params=one, allow=ANY_5XX)
    try:
        case.validate_response(_response(answer, case), checks=_CHECKS)
    except FailureGroup as group:
        for failure in group.exceptions:
            said = " ".join(str(failure).split())
            yield getattr(failure, "title", type(failure).__name__), f"{params or body!r} {said}"[:600]


def _response(answer: WireAnswer, case: schemathesis.Case[Any]) -> httpx.Response:
    headers = {name: value for name, value in answer.headers.items() if name.lower() != "content-encoding"}
    request = httpx.Request(case.method, f"http://rest{case.formatted_path}")
    made = httpx.Response(answer.status, headers=headers, content=answer.content, request=request)
    made.elapsed = timedelta(microseconds=(answer.done - answer.sent) // 1000)
    return made
