"""P6.3: what no client would send is refused in the platform's own words: nothing breaks, nothing of the inside is told."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from clients.service_clients import ServiceClients
from core.description import Route, fill_path, names_in
from core.errors import ServiceError
from core.expect import expect
from core.passport import check
from core.run import Run
from scenarios.adapter import Adapter
from suites.platform.test_protection import routes_of
from suites.security.attempts import Attempts, HostilePort, said
from suites.types import NewActor, Witness

PLATFORM = "platform"
INSIDE = re.compile(
    r"Traceback \(most recent|^\s+at .+[(:]\d+|node_modules|\.(ts|js|mjs|py|go|rb):\d+|line \d+, in |SQLSTATE"
    r"|syntax error at or near|relation \"\w+\" does not exist|column \"?\w+\"? does not exist|invalid input syntax for"
    r"|pg_catalog|psycopg|PG::|ORA-\d{5}|/home/\w+/|/usr/(local|lib|src)/|postgres(ql)?://",
    re.M,
)
"""What tells of the inside: stack traces, paths, and PostgreSQL's own words."""
DEEP = 20_000
WORDS = (
    "'",
    '"',
    "\\",
    "%",
    "%00",
    "..",
    "*",
    "null",
    "-1",
    "1e400",
    "99999999999999999999",
    "eq.1",
    "id.not.is.null",
    "') or ('1'='1",
    "x" * 4000,
)
"""Words for a place in a path or a query: quotes, wildcards, filters of PostgREST, SQL, lengths."""


def bodies(fields: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Bodies for a route that takes JSON: no JSON, JSON of another kind, wrong kinds in each described field."""
    yield "half a JSON", b'{"a":'
    yield "no UTF-8", b'{"a": "\xff\xfe"}'
    yield "a list", b"[]"
    yield "null", b"null"
    yield "a number", b"1e400"
    yield "nothing", b""
    yield f"{DEEP:,} lists in each other", b"[" * DEEP + b"]" * DEEP
    yield "a prototype", b'{"__proto__": {"admin": true}, "constructor": {"prototype": {"admin": true}}}'
    for name in sorted(fields):
        for what, value in (
            ("a list", []),
            ("an object", {"$ne": 1}),
            ("NUL", "a\x00b"),
            ("a huge number", 10**40),
            ("false", False),
        ):
            yield f"{what} as {name}", json.dumps({**dict.fromkeys(fields, "x"), name: value}).encode()


def requests_of(route: Route, file: str) -> Iterator[tuple[str, str, bytes | None, str]]:
    """(what it is, address, body, content type) of each malformed request for a route; `file` is one that is there."""
    names = names_in(route.path)
    plain = fill_path(route.path, {name: file if name == "id" else str(uuid.uuid4()) for name in names})
    body = b"{}" if route.method in ("POST", "PUT", "PATCH") else None
    for word in WORDS if names else ():
        yield (
            f"{word[:20]!r} in its path",
            fill_path(route.path, dict.fromkeys(names, word)),
            body,
            "application/json",
        )
    for word in WORDS if route.query else ():
        query = urlencode(dict.fromkeys(route.query, word))
        yield f"{word[:20]!r} in its query", f"{plain}?{query}", body, "application/json"
    if route.body == "json":
        for what, sent in bodies(route.fields):
            yield f"{what} as its body", plain, sent, "application/json"
        yield "a form as its body", plain, b"a=1", "application/x-www-form-urlencoded"
        yield "XML with an entity as its body", plain, _entity(), "application/xml"
    yield "a path that is badly encoded", f"{plain}%zz%c3%28", body, "application/json"


def _entity() -> bytes:
    return b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'


@check(
    "security.malformed_requests",
    "A malformed request is refused: it breaks nothing, and the refusal tells nothing of the inside",
    requirement="P6.3",
    service=PLATFORM,
    needs=("platform.api", "auth.email", "platform.private", "platform.files"),
    timeout=120,
    why_slow="some hundreds of requests, one after the other",
    threat="An error that nobody thought of tells an attacker how the inside looks, and may be the way in.",
    references=(
        "ASVS 2.2.1",
        "ASVS 16.5.1",
        "ASVS 1.2.4",
        "API8:2023 Security Misconfiguration",
        "CWE-209",
        "CWE-89",
    ),
    fix="Check each value by a schema before it is used, bind values in queries, and answer errors in words of your own.",
)
def test_malformed(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, witness: Witness
) -> None:
    """Every described route, with a person's token: words of other languages in each place, bodies of every wrong kind."""
    person, attempts = actor(), Attempts(PLATFORM)
    described = run.target.description
    port = HostilePort(services.platform.port)
    first = described.platform.private[0]
    routes = {(r.method, r.path): r for r in routes_of(described) if r != described.platform.error}
    headers = adapter.platform_headers(person.access_token)
    file = _file(run, services, adapter, person.access_token)
    for route in sorted(
        routes.values(), key=lambda r: r.method == "DELETE"
    ):  # last, since it may take the file away
        for what, path, body, kind in requests_of(route, file):
            sent = headers | {"Content-Type": kind, "Accept": "*/*"}
            answer = port.request(route.method, adapter.platform + path, headers=sent, body=body)
            inside = INSIDE.search(answer.text)
            stated = f"{route.method} {route.path} with {what}"
            attempts.must_fail(f"{stated} breaks it", answer.status < 500, said(answer))
            attempts.must_fail(f"{stated} tells of the inside", not inside, inside[0] if inside else "")
    well = adapter.get(services.platform.port, first, person.access_token)
    expect(
        well.status == 200,
        f"GET {first} is answered as before (positive control)",
        saw=said(well),
        service=PLATFORM,
    )
    witness(PLATFORM, f"{attempts.tried // 2} malformed requests for {len(routes)} routes")
    attempts.judge("a malformed request is refused, and no more", "a 4xx without stack, path or SQL")


def _file(run: Run, services: ServiceClients, adapter: Adapter, token: str) -> str:
    """A file of the person's own, so that a malformed change of it is read at all; any id where there are no files."""
    described = run.target.description.files()
    if described is None:
        return str(uuid.uuid4())
    name = f"assay-{run.tag()}.bin"
    answer = adapter.upload(services.platform.port, token, name=name, data=name.encode(), mime=described.type)
    if answer.status != described.upload.answers:
        raise ServiceError(PLATFORM, f"preparing a file: {said(answer)}")
    return adapter.stored(answer).id
