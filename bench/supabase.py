"""What the Supabase gateway costs: CPU of the gateway and PostgreSQL together, a request, at 64 connections.

    python -m bench.supabase [--seconds 10] [--connections 64] [--query typical|profile|insert]

A private PostgreSQL and gateway are started with the platform's own migrations: 1,000 people, 20,000 posts, row-level
security on. `typical` reads 20 posts with their authors, with a filter value that differs in each request. CPU is what the
processes themselves used (user and system), so a generator on the same cores does not blur it. Objective: 1 ms a request.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import httpx
import psutil
import psycopg

from stack.supabase.keys import generate
from stack.supabase.provision import provision
from tests.stack.supabase import engine

ROOT = Path(__file__).parents[1]
PEOPLE, POSTS = 1000, 20_000
SEED = """
set session_replication_role = replica;
insert into auth.users
  (id, aud, role, email, raw_app_meta_data, raw_user_meta_data, created_at, updated_at, email_confirmed_at)
  select ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, 'authenticated', 'authenticated',
    'p' || i || '@example.test', '{}', '{}', now(), now(), now() from generate_series(1, %(people)s) i;
insert into public.profiles (id, username, display_name)
  select ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, 'person_' || i, 'Person ' || i
  from generate_series(1, %(people)s) i;
insert into public.posts (author_id, title, body, status, tags, created_at)
  select ('00000000-0000-4000-8000-' || lpad((1 + i %% %(people)s)::text, 12, '0'))::uuid, 'Post ' || i, repeat('x', 200),
    case when i %% 5 = 0 then 'draft' else 'published' end, '{a,b}', now() - i * interval '1 minute'
  from generate_series(1, %(posts)s) i;
set session_replication_role = origin;
"""


def person(number: int) -> str:
    """The id of a seeded person."""
    return f"00000000-0000-4000-8000-{number:012d}"


def request(kind: str, host: str, key: str, token: str, me: str) -> bytes:
    """One request's bytes; its filter value is drawn anew each time."""
    head = f"host: {host}\r\napikey: {key}\r\nauthorization: Bearer {token}\r\naccept: application/json\r\n"
    if kind == "insert":
        body = json.dumps(
            {"author_id": me, "title": uuid.uuid4().hex, "body": "x" * 200, "status": "published"}
        )
        length = (
            f"content-type: application/json\r\nprefer: return=minimal\r\ncontent-length: {len(body)}\r\n"
        )
        return f"POST /rest/v1/posts HTTP/1.1\r\n{head}{length}\r\n{body}".encode()
    if kind == "profile":
        return f"GET /rest/v1/profiles?id=eq.{person(random.randint(1, PEOPLE))}&select=* HTTP/1.1\r\n{head}\r\n".encode()
    before = (
        f"2026-{random.randint(1, 12):02d}-{random.randint(1, 28):02d}T{random.randint(0, 23):02d}:00:00Z"
    )
    path = (
        "/rest/v1/posts?select=id,title,body,tags,created_at,author:profiles(id,username,display_name)"
        f"&status=eq.published&created_at=neq.{before}&order=created_at.desc&limit=20"
    )
    return f"GET {path} HTTP/1.1\r\n{head}\r\n".encode()


async def client(kind: str, port: int, key: str, token: str, me: str, until: float, took: list[float]) -> int:
    """One kept-alive connection that asks again as soon as it is answered; returns its failures."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    failures = 0
    while time.monotonic() < until:
        began = time.monotonic()
        writer.write(request(kind, f"127.0.0.1:{port}", key, token, me))
        head = await reader.readuntil(b"\r\n\r\n")
        lower = head.lower()
        at = lower.find(b"content-length: ")
        length = int(lower[at + 16 : lower.index(b"\r\n", at)]) if at >= 0 else 0
        body = await reader.readexactly(length)
        took.append(time.monotonic() - began)
        failures += not (
            head[9:12] in (b"200", b"201") and (kind != "typical" or body.count(b'"author"') == 20)
        )
    writer.close()
    return failures


async def drive(kind: str, connections: int, seconds: float, *where: object) -> dict[str, float]:
    """Every connection at once."""
    took: list[float] = []
    until = time.monotonic() + seconds
    port, key, token, me = where
    failures = await asyncio.gather(
        *(
            client(kind, int(str(port)), str(key), str(token), str(me), until, took)
            for _ in range(connections)
        )
    )
    took.sort()
    return {"requests": len(took), "failures": sum(failures), "p50_ms": took[len(took) // 2] * 1000,
            "p99_ms": took[int(len(took) * 0.99)] * 1000}  # fmt: skip


def cpu(root: int) -> float:
    """CPU seconds that a process and its children have used."""
    every = [psutil.Process(root), *psutil.Process(root).children(recursive=True)]
    return sum(sum(p.cpu_times()[:2]) for p in every)


def main() -> None:
    """Start, seed, warm up, measure, print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--query", choices=("typical", "profile", "insert"), default="typical")
    parser.add_argument("--signing", choices=("ES256", "HS256"), default="ES256")
    parser.add_argument("--drive", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.drive:
        print(
            json.dumps(
                asyncio.run(drive(given.query, given.connections, given.seconds, *json.loads(given.drive)))
            )
        )
        return
    with engine.postgres() as cluster:
        with psycopg.connect(cluster.dsn("supabase_admin"), autocommit=True) as db:
            db.execute("create database bench")
        provision(cluster.dsn("supabase_admin", "bench"), ROOT / "stack/platform/supabase/migrations")
        with psycopg.connect(cluster.dsn("supabase_admin", "bench"), autocommit=True) as db:
            for statement in (SEED % {"people": PEOPLE, "posts": POSTS}).split(";\n"):
                db.execute(statement.encode())
            db.execute("vacuum analyze")
        with tempfile.TemporaryDirectory() as folder:
            gateway = engine.Gateway(
                cluster,
                Path(folder),
                generate(),
                {"bcrypt_cost": 4, "rate_limits": False, "jwt_algorithm": given.signing},
                database="bench",
            )
            gateway.start()
            try:
                measure(given, cluster, gateway)
            finally:
                gateway.stop()


def measure(given: argparse.Namespace, cluster: engine.Postgres, gateway: engine.Gateway) -> None:
    """Drive from a process of its own, and read both servers' CPU clocks before and after."""
    assert cluster.process is not None
    assert gateway.process is not None
    headers = {"apikey": gateway.keys.secret_key}
    with httpx.Client(base_url=gateway.url, headers=headers) as http:
        email = {"email": "bench@example.test", "password": "secret-1"}
        me = http.post("/auth/v1/admin/users", json={**email, "email_confirm": True}).json()["id"]
        token = http.post("/auth/v1/token?grant_type=password", json=email).json()["access_token"]
    where = json.dumps([gateway.port, gateway.keys.publishable_key, token, me])

    def run(seconds: float) -> dict[str, float]:
        command = [sys.executable, "-m", "bench.supabase", "--drive", where, "--seconds", str(seconds)]
        command += ["--connections", str(given.connections), "--query", given.query]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        found: dict[str, float] = json.loads(done.stdout)
        return found

    run(2)
    before = cpu(gateway.process.pid), cpu(cluster.process.pid)
    began = time.monotonic()
    found = run(given.seconds)
    wall = time.monotonic() - began
    spent = cpu(gateway.process.pid) - before[0], cpu(cluster.process.pid) - before[1]
    count = found["requests"]
    print(json.dumps({
        "query": given.query, "connections": given.connections, "requests": count, "failures": found["failures"],
        "requests_per_s": round(count / wall), "cpu_ms_a_request": round(sum(spent) / count * 1000, 3),
        "gateway_cpu_ms": round(spent[0] / count * 1000, 3), "postgres_cpu_ms": round(spent[1] / count * 1000, 3),
        "p50_ms": round(found["p50_ms"], 1), "p99_ms": round(found["p99_ms"], 1), "objective_ms": 1.0,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
