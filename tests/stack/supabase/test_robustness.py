"""Bad input, clients that leave, and PostgreSQL going away: the right error, nothing leaked, nothing half-written."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import string
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote_from_bytes

import httpx
import jwt
import psutil
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.stack.supabase import engine

REST, AUTH, STORAGE = "/rest/v1", "/auth/v1", "/storage/v1"
FUZZ = settings(
    max_examples=int(os.environ.get("ASSAY_FUZZ_EXAMPLES", "25")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    database=None,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
# Text that is nearly the query language, so that the parser is reached and not only its first complaint.
WORDS = [
    "eq",
    "not",
    "in",
    "or",
    "and",
    "is",
    "null",
    "fts",
    "like",
    "cs",
    "pages",
    "title",
    "meta",
    "author_id",
    "authors",
    "select",
    "order",
    "limit",
    "count()",
    "1",
    "2020-01-01",
    "*",
    "desc",
    "inner",
    "'",
    '"',
    "\\",
    "::int",
    "->",
    "->>",
    "(",
    ")",
    "{",
    "}",
    "[",
    ",",
    ".",
    ":",
    "!",
    "-",
    "...",
    "%",
    ";",
    "--",
    "$1",
    "é",
    "\0",
    "\ud800",
]
ALMOST = st.lists(st.sampled_from(WORDS), max_size=12).map("".join) | st.text(max_size=30)


@pytest.fixture(scope="module")
def every(gateway: engine.Gateway) -> Iterator[httpx.Client]:
    """Everything-allowed requests, so that nothing is refused before it is read."""
    with httpx.Client(
        base_url=gateway.url, headers={"apikey": gateway.keys.secret_key}, timeout=20
    ) as client:
        yield client


statuses: Counter[int] = Counter()


def sane(response: httpx.Response) -> None:
    """Never an unexpected failure, and an error that says what is wrong."""
    statuses[response.status_code] += 1
    assert response.status_code < 500 or response.status_code == 501, (
        f"{response.request.url}: {response.text}"
    )
    if (
        response.status_code >= 400
        and response.content
        and "json" in response.headers.get("content-type", "")
    ):
        body = response.json()
        assert {"message", "msg"} & set(body), body


def quote(text: str) -> str:
    return quote_from_bytes(text.encode("utf-8", "surrogatepass"), safe="")


@FUZZ
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["select", "order", "limit", "offset", "or", "and", "columns", "on_conflict"])
            | ALMOST,
            ALMOST,
        ),
        max_size=4,
    )
)
def test_any_query_string(every: httpx.Client, pairs: list[tuple[str, str]]) -> None:
    query = "&".join(f"{quote(k)}={quote(v)}" for k, v in pairs)
    for path in ("books", "rpc/published", "rpc/add"):
        sane(every.get(f"{REST}/{path}?{query}"))
    sane(every.delete(f"{REST}/secrets?id=eq.0&{query}"))


@FUZZ
@given(
    JSON | st.lists(st.fixed_dictionaries({"title": JSON, "author_id": JSON}), max_size=3),
    st.sampled_from(["books", "rpc/add", "rpc/echo", "rpc/total"]),
)
def test_any_body_for_rest(every: httpx.Client, body: Any, path: str) -> None:
    headers = {"content-type": "application/json", "prefer": "return=representation,missing=default"}
    sane(every.post(f"{REST}/{path}", content=json.dumps(body), headers=headers))
    if path == "books":
        sane(every.patch(f"{REST}/books?id=eq.-1", content=json.dumps(body), headers=headers))


@FUZZ
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "email",
                "password",
                "data",
                "type",
                "token",
                "token_hash",
                "refresh_token",
                "auth_code",
                "code_verifier",
                "code_challenge",
                "code_challenge_method",
                "create_user",
                "phone",
                "user_metadata",
                "ban_duration",
                "id",
                "new_email",
            ]
        ),
        JSON | st.sampled_from(["a@b.test", "signup", "recovery", "s256", "1h", str(uuid.uuid4()), "x" * 43]),
        max_size=6,
    )
)
def test_any_body_for_auth(every: httpx.Client, body: dict[str, Any]) -> None:
    for path in (
        "signup",
        "otp",
        "recover",
        "resend",
        "verify",
        "token?grant_type=password",
        "token?grant_type=refresh_token",
        "token?grant_type=pkce",
        "admin/users",
        "admin/generate_link",
        "invite",
    ):
        sane(every.post(f"{AUTH}/{path}", content=json.dumps(body)))


@FUZZ
@given(
    st.text(max_size=20),
    st.dictionaries(
        st.sampled_from(
            [
                "prefix",
                "limit",
                "offset",
                "search",
                "sortBy",
                "cursor",
                "with_delimiter",
                "prefixes",
                "expiresIn",
                "paths",
                "bucketId",
                "sourceKey",
                "destinationKey",
                "id",
                "name",
                "public",
                "file_size_limit",
                "allowed_mime_types",
            ]
        ),
        JSON,
        max_size=5,
    ),
)
def test_any_path_and_body_for_storage(every: httpx.Client, name: str, body: dict[str, Any]) -> None:
    key, text = quote(name), json.dumps(body)
    for path in (
        "object/list/shelf",
        "object/list-v2/shelf",
        "object/move",
        "object/copy",
        f"object/sign/shelf/{key}",
        "object/sign/shelf",
        f"object/upload/sign/shelf/{key}",
        "bucket",
    ):
        sane(every.post(f"{STORAGE}/{path}", content=text))
    for path in (
        f"object/shelf/{key}",
        f"object/public/{key}/x",
        f"object/info/shelf/{key}",
        f"object/sign/shelf/{key}?token={key}",
        f"bucket/{key}",
        f"upload/resumable/{key}",
    ):
        sane(every.get(f"{STORAGE}/{path}"))
    sane(every.request("DELETE", f"{STORAGE}/object/shelf", content=text))
    sane(
        every.post(
            f"{STORAGE}/upload/resumable", headers={"tus-resumable": "1.0.0", "upload-metadata": quote(name)}
        )
    )


@FUZZ
@given(st.text(string.ascii_letters + string.digits + "-_.=", max_size=80), JSON)
def test_any_token(gateway: engine.Gateway, every: httpx.Client, text: str, claims: Any) -> None:
    tokens = [text]
    if isinstance(claims, dict):
        tokens.append(
            jwt.encode(
                {**claims, "role": claims.get("role", "authenticated")}, gateway.keys.jwt_secret, "HS256"
            )
        )
    for token in filter(None, tokens):
        headers = {"authorization": f"Bearer {token}"}
        for path in (f"{REST}/books?limit=1", f"{AUTH}/user", f"{AUTH}/admin/users", f"{STORAGE}/bucket"):
            sane(every.get(path, headers=headers))


@pytest.mark.parametrize(
    "method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "BREW"]
)
def test_any_method_anywhere(every: httpx.Client, method: str) -> None:
    for path in (
        "/",
        REST,
        f"{REST}/",
        f"{REST}/books",
        f"{REST}/rpc/add",
        f"{REST}/rpc",
        AUTH,
        f"{AUTH}/user",
        f"{AUTH}/nope",
        STORAGE,
        f"{STORAGE}/bucket",
        f"{STORAGE}/object",
        f"{STORAGE}/object/shelf",
        f"{STORAGE}/upload/resumable",
        "/__control/x",
    ):
        if (method, path) not in (("DELETE", f"{REST}/books"), ("PATCH", f"{REST}/books")):
            sane(every.request(method, path))


def test_a_megabyte_of_headers(gateway: engine.Gateway, every: httpx.Client) -> None:
    answer = every.get(f"{REST}/books?limit=1", headers={"x-long": "y" * (1 << 20)})
    assert answer.status_code == 431
    assert every.get(f"{REST}/books?limit=1").status_code == 200


def test_a_body_beyond_the_limit(every: httpx.Client) -> None:
    assert every.post(f"{REST}/rpc/echo", content=b'{"v": "' + b"x" * (21 << 20) + b'"}').status_code == 413


def connections(gateway: engine.Gateway) -> int:
    """PostgreSQL's connections from this gateway that are in a transaction."""
    with psycopg.connect(gateway.postgres.dsn("supabase_admin")) as db:
        row = db.execute(
            "select count(*) from pg_stat_activity where application_name like 'supabase-%' "
            "and state <> 'idle'"
        ).fetchone()
        return int(row[0]) if row else 0


def test_clients_that_leave_leak_nothing(gateway: engine.Gateway, every: httpx.Client) -> None:
    process = psutil.Process(gateway.process.pid if gateway.process else 0)
    every.get(f"{REST}/books?limit=1")
    for _ in range(60):
        with socket.create_connection(("127.0.0.1", gateway.port)) as client:
            body = json.dumps({"seconds": 0.3})
            client.sendall(
                f"POST {REST}/rpc/nap HTTP/1.1\r\nhost: x\r\napikey: {gateway.keys.secret_key}\r\n"
                f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
            )
    assert every.get(f"{REST}/books?limit=1").status_code == 200
    while connections(gateway):
        continue
    while len([c for c in process.net_connections("tcp") if c.laddr.port == gateway.port and c.raddr]) > 1:
        continue
    assert sum(1 for c in process.net_connections("unix")) < 60


def test_nothing_is_left_of_all_that(gateway: engine.Gateway, every: httpx.Client) -> None:
    process = psutil.Process(gateway.process.pid if gateway.process else 0)
    while connections(gateway):
        continue
    print(
        f"{sum(statuses.values())} requests: {dict(sorted(statuses.items()))}; {process.num_fds()} descriptors"
    )
    assert process.num_fds() < 100
    assert list((gateway.folder / "storage/tmp").iterdir()) == []
    assert "Traceback" not in gateway.log()
    with psycopg.connect(gateway.postgres.dsn("supabase_admin")) as db:
        rows = db.execute("select version from storage.objects").fetchall()
    kept_files = {p.name for p in (gateway.folder / "storage/objects").rglob("*") if p.is_file()}
    assert kept_files == {row[0] for row in rows}


async def hammer(url: str, key: str, stop: asyncio.Event, seen: dict[int, int]) -> None:
    """Insert a label and read, again and again, counting statuses; a status of 201 promises that the row is there."""
    async with httpx.AsyncClient(base_url=url, headers={"apikey": key}, timeout=20) as client:
        while not stop.is_set():
            number = uuid.uuid4().int % 2**30
            made = await client.post(f"{REST}/labels", json={"id": number, "label": "h"})
            seen[made.status_code] = seen.get(made.status_code, 0) + 1
            if made.status_code == 201:
                kept.append(number)
            read = await client.get(f"{REST}/labels?select=id&limit=1")
            seen[read.status_code] = seen.get(read.status_code, 0) + 1


kept: list[int] = []


async def until(seen: dict[int, int], status: int) -> None:
    """Until somebody has seen ``status``."""
    while not seen.get(status):  # noqa: ASYNC110 the counter is the point
        await asyncio.sleep(0.01)


def test_postgres_restarted_under_load() -> None:
    """It crashes and comes back twice: only 503 meanwhile, then every promise kept and every connection fresh."""
    with engine.postgres() as cluster, engine.gateway(cluster) as gateway:
        seen: dict[int, int] = {}

        async def scene() -> None:
            stop = asyncio.Event()
            clients = [
                asyncio.ensure_future(hammer(gateway.url, gateway.keys.secret_key, stop, seen))
                for _ in range(16)
            ]
            for fast in (True, False):
                await until(seen, 201)
                await asyncio.to_thread(cluster.stop, fast)
                await until(seen, 503)
                await asyncio.to_thread(cluster.start)
                seen.pop(201, None)
            await until(seen, 201)
            stop.set()
            await asyncio.gather(*clients)

        with ThreadPoolExecutor(1) as thread:  # an earlier test's browser may hold this thread's loop
            thread.submit(asyncio.run, scene()).result()
        assert set(seen) <= {200, 201, 503}, f"{seen}: {gateway.log()[-6000:]}"
        with psycopg.connect(cluster.dsn("supabase_admin")) as db:
            there = {row[0] for row in db.execute("select id from labels").fetchall()}
        assert set(kept) <= there
        with httpx.Client(base_url=gateway.url, headers={"apikey": gateway.keys.secret_key}) as client:
            assert client.get(f"{AUTH}/admin/users").status_code == 200
            assert client.get(f"{STORAGE}/bucket").status_code == 200


def test_planned_faults_and_health(gateway: engine.Gateway, every: httpx.Client) -> None:
    control = {"authorization": f"Bearer {engine.CONTROL_TOKEN}"}
    assert every.get("/__control/health", headers={"authorization": "Bearer no"}).status_code == 401
    every.post("/__control/faults", headers=control, json={"path": REST, "status": 503, "times": 1})
    assert [every.get(f"{REST}/books?limit=1").status_code for _ in range(2)] == [503, 200]
    assert every.post("/__control/faults", headers=control, json={"nope": 1}).status_code == 400
    every.post("/__control/faults", headers=control, json=[{"path": REST, "drop": True}])
    with pytest.raises(httpx.HTTPError):
        every.get(f"{REST}/books?limit=1")
    assert every.get(f"{AUTH}/health").status_code == 200
    every.delete("/__control/faults", headers=control)
    while not (health := every.get("/__control/health", headers=control).json())["seconds"]:
        continue
    assert {"loop_lag_ms", "pool_wait_ms", "cpu", "requests", "saturated"} <= set(health["seconds"][-1])


def test_a_fault_may_switch_auths_limits_and_the_life_of_tokens(
    gateway: engine.Gateway, every: httpx.Client, raw: httpx.Client
) -> None:
    control = {"authorization": f"Bearer {engine.CONTROL_TOKEN}"}

    def plan(*faults: dict[str, object]) -> int:
        return every.post("/__control/faults", headers=control, json=list(faults)).status_code

    def expires_in() -> int:
        return int(raw.post(f"{AUTH}/signup", json={}).json()["expires_in"])

    for wrong in ({"jwt_expiry": "5"}, {"rate_limits": 1}, {"site_url": "http://evil.example"}, {"nope": 1}):
        assert plan({"auth": wrong}) == 400, wrong
    try:
        assert plan({"auth": {"jwt_expiry": 5}}) == 200
        assert expires_in() == 5
        assert plan({"auth": {"rate_limits": True, "rate_limit_anonymous": 2}}) == 200
        said = [raw.post(f"{AUTH}/signup", json={}) for _ in range(3)]
        assert [answer.status_code for answer in said] == [200, 200, 429]
    finally:
        assert plan() == 200
    assert expires_in() == 3600
