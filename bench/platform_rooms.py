"""People in rooms of ten on the reference platform while it serves its API: how long a message takes to each other member.

    python -m bench.platform_rooms [--people 1000] [--seconds 60] [--api 20] [--state DIR]

Each person has an identity and a socket of their own, says something each 10 s and changes status each 30 s; meanwhile
`--api` requests a second read files, pages and the account, and a file is uploaded each second. A delivery is from the
sender's send to the receiver's frame, by one clock; what has not come 5 s after the end is lost. `--state`: a stack that
runs already, else one is started. Client and target share this machine: the figures hold the client's own work too.
People are written into the database and their tokens signed with the stack's own key: signing in is not measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import psycopg
from jwt.algorithms import ECAlgorithm

ROOT = Path(__file__).resolve().parents[1]
ROOM, SAYS_S, MOVES_S, GRACE_S = 10, 10.0, 30.0, 5.0
OBJECTIVE_MS = 50.0
SEED = """
insert into auth.users
  (id, aud, role, email, raw_app_meta_data, raw_user_meta_data, created_at, updated_at, email_confirmed_at)
  select id::uuid, 'authenticated', 'authenticated', id || '@example.test', '{}', '{}', now(), now(), now()
  from unnest(%s::text[]) id"""


def tokens(config: dict[str, Any], count: int) -> list[str]:
    """Access tokens of so many new people."""
    ids = [str(uuid.uuid4()) for _ in range(count)]
    with psycopg.connect(config["variables"]["SUPABASE_DB_URL"]) as db:
        db.execute(SEED, (ids,))
    jwk, now = config["secrets"]["jwt_signing_jwk"], int(time.time())
    key = ECAlgorithm.from_jwk(json.dumps(jwk))
    base = {
        "aud": "authenticated",
        "role": "authenticated",
        "iss": config["variables"]["VITE_SUPABASE_URL"] + "/auth/v1",
        "iat": now,
        "exp": now + 3600,
    }
    claims = [{**base, "sub": one, "email": f"{one}@example.test"} for one in ids]
    return [jwt.encode(one, key, "ES256", {"kid": jwk["kid"]}) for one in claims]  # type: ignore[arg-type]


class Bench:
    """Everybody at once, in one event loop."""

    def __init__(self, url: str, people: list[str], seconds: float, rate: float) -> None:
        self.url, self.people, self.seconds, self.rate = url, people, seconds, rate
        self.sent: dict[str, float] = {}
        self.delivered: list[float] = []
        self.api: list[float] = []
        self.seen: Counter[str] = Counter()
        self.until = 0.0

    async def member(
        self, http: aiohttp.ClientSession, number: int, gate: asyncio.Semaphore, go: asyncio.Event
    ) -> None:
        """Join, speak and move until the end; every frame is read as it comes."""
        room, last = f"bench-{os.getpid()}-{number // ROOM}", 0
        protocols = ("assay.v1", f"token.{self.people[number]}")
        async with gate:
            ws = await http.ws_connect(f"{self.url}/api/rooms/{room}", protocols=protocols)
        self.seen["joined"] += 1

        async def read() -> None:
            nonlocal last
            async for message in ws:
                now, frame = time.perf_counter(), json.loads(message.data)
                if frame["type"] == "message":
                    self.seen["out of order"] += frame["id"] <= last
                    last = frame["id"]
                    began = self.sent[frame["client_id"]]
                    if int(frame["client_id"].split(".")[0]) != number:
                        self.delivered.append(now - began)
                else:
                    self.seen[frame["type"]] += 1

        async def speak() -> None:
            await go.wait()
            await asyncio.sleep(random.uniform(0, SAYS_S))
            count, moved = 0, time.perf_counter() - random.uniform(0, MOVES_S)
            while time.perf_counter() < self.until:
                client_id = f"{number}.{count}"
                self.sent[client_id] = time.perf_counter()
                await ws.send_str(
                    json.dumps({"type": "send", "client_id": client_id, "body": f"message {count}"})
                )
                if self.sent[client_id] - moved >= MOVES_S:
                    moved, state = self.sent[client_id], random.choice(("online", "away", "busy"))
                    await ws.send_str(json.dumps({"type": "status", "status": state}))
                count += 1
                await asyncio.sleep(SAYS_S)

        reading = asyncio.create_task(read())
        await speak()
        await asyncio.sleep(max(0.0, self.until - time.perf_counter()) + GRACE_S)
        await ws.close()
        await reading

    async def ask(self, http: aiohttp.ClientSession, go: asyncio.Event) -> None:
        """The API's share: an open load, so that a slow answer does not thin it out."""
        await go.wait()
        paths = ("/api/files", "/api/me", "/api/content?path=/welcome", "/api/version")
        under_way: set[asyncio.Task[None]] = set()

        async def one(count: int) -> None:
            headers = {"authorization": f"Bearer {random.choice(self.people)}"}
            began = time.perf_counter()
            if count % max(1, int(self.rate)) == 0:
                headers["content-type"] = "text/plain"
                asked = http.post(
                    f"{self.url}/api/upload?name={count}.txt", data=b"x" * 50_000, headers=headers
                )
            else:
                asked = http.get(self.url + paths[count % len(paths)], headers=headers)
            async with asked as answer:
                await answer.read()
                self.seen["API failures"] += answer.status >= 400 and answer.status != 404
            self.api.append(time.perf_counter() - began)

        count = 0
        while time.perf_counter() < self.until:
            task = asyncio.create_task(one(count))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            count += 1
            await asyncio.sleep(1 / self.rate)
        await asyncio.gather(*under_way)

    async def run(self) -> None:
        """Join everybody, then measure."""
        gate, go = asyncio.Semaphore(20), asyncio.Event()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
            tasks = [
                asyncio.create_task(self.member(http, number, gate, go)) for number in range(len(self.people))
            ]
            tasks.append(asyncio.create_task(self.ask(http, go)))
            began = time.perf_counter()
            while self.seen["joined"] < len(self.people):
                if failed := [t for t in tasks if t.done()]:
                    failed[0].result()
                await asyncio.sleep(0.05)
            self.seen["seconds to join"] = round(time.perf_counter() - began)
            self.seen["presence"] = 0
            self.until = time.perf_counter() + self.seconds
            go.set()
            await asyncio.gather(*tasks)

    def report(self) -> dict[str, Any]:
        """The figures, in ms."""

        def points(taken: list[float]) -> dict[str, float]:
            ordered = sorted(taken)
            at = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
            return {
                name: round(ordered[min(len(ordered) - 1, int(len(ordered) * q))] * 1000, 1)
                for name, q in at.items()
            }

        expected = len(self.sent) * (ROOM - 1)
        return {
            "people": len(self.people),
            "rooms": len(self.people) // ROOM,
            "messages": len(self.sent),
            "deliveries": len(self.delivered),
            "lost": expected - len(self.delivered),
            "delivery_ms": points(self.delivered),
            "objective_p95_ms": OBJECTIVE_MS,
            "api_requests": len(self.api),
            "api_ms": points(self.api),
            "seen": dict(self.seen),
            "load": round(os.getloadavg()[0], 1),
        }


def main() -> None:
    """Start what is not there, measure, print one JSON object; exit code 1 when the objective is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--api", type=float, default=20, help="requests a second to the API")
    parser.add_argument("--state", type=Path)
    given = parser.parse_args()
    if given.people % ROOM:
        parser.error(f"--people is a multiple of {ROOM}")
    if given.state and not (given.state / "CONFIG.json").exists():
        parser.error(f"no embedded target runs in {given.state}; start one there, or leave --state out")
    with tempfile.TemporaryDirectory() as folder:
        state = given.state or Path(folder) / "state"
        command = [sys.executable, "-m", "stack.supervisor"]
        if not given.state:
            subprocess.run([*command, "up", "--state", str(state)], cwd=ROOT, check=True, capture_output=True)
        try:
            config = json.loads((state / "CONFIG.json").read_text())
            bench = Bench(
                config["variables"]["PLATFORM_URL"], tokens(config, given.people), given.seconds, given.api
            )
            asyncio.run(bench.run())
        finally:
            if not given.state:
                subprocess.run([*command, "down", "--state", str(state)], cwd=ROOT, capture_output=True)
    found = bench.report()
    print(json.dumps(found))
    sys.exit(found["lost"] > 0 or found["delivery_ms"]["p95"] >= OBJECTIVE_MS)


if __name__ == "__main__":
    main()
