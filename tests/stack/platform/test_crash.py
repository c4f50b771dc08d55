"""Processes killed under traffic: what was acknowledged is there, and what was not leaves no orphan."""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from websockets.exceptions import WebSocketException

from .conftest import Person, Stack, until
from .test_files import MIB, upload
from .test_rooms import joined

pytestmark = pytest.mark.timeout(180)


def component(stack: Stack, name: str, verb: str) -> None:
    stack.control(
        f"http://127.0.0.1:{stack.config['ports']['control']}/components/{name}/{verb}"
    ).raise_for_status()


class Traffic:
    """Messages and uploads, as fast as they are answered, and what was answered well."""

    def __init__(self, stack: Stack, person: Person, room: str) -> None:
        self.stack, self.person, self.room = stack, person, room
        self.acked: dict[int, str] = {}
        self.files: dict[str, str] = {}
        self.stop = threading.Event()

    def talk(self) -> None:
        while not self.stop.is_set():
            try:
                with joined(self.stack, self.person, self.room) as it:
                    it.get("welcome")
                    while not self.stop.is_set():
                        body = secrets.token_hex(8)
                        self.acked[it.say(body)["id"]] = body
                        self.stop.wait(0.12)  # below the room's limit
            except (WebSocketException, OSError):
                self.stop.wait(0.1)

    def load(self, size: int) -> None:
        while not self.stop.is_set():
            body = os.urandom(size)
            try:
                answer = upload(self.person, f"{size}-{secrets.token_hex(4)}", body)
            except httpx.HTTPError:
                self.stop.wait(0.1)
                continue
            if answer.status_code == 201:
                self.files[answer.json()["file"]["id"]] = hashlib.sha256(body).hexdigest()
            self.stop.wait(0.4)  # below the limit on uploads


@pytest.mark.parametrize("name", ["platform", "postgres", "supabase"])
def test_a_process_is_killed_under_traffic(stack: Stack, person: Person, name: str) -> None:
    traffic = Traffic(stack, person, f"k-{secrets.token_hex(5)}")
    with ThreadPoolExecutor(3) as pool:
        jobs = [
            pool.submit(traffic.talk),
            pool.submit(traffic.load, 2000),
            pool.submit(traffic.load, 6 * MIB),
        ]
        try:
            assert until(lambda: len(traffic.acked) > 4 and len(traffic.files) > 3)
            component(stack, name, "kill")
            component(stack, name, "start")
            acked, files = len(traffic.acked), len(traffic.files)
            assert until(lambda: len(traffic.acked) > acked + 2 and len(traffic.files) > files + 3, 60)
        finally:
            traffic.stop.set()
        for job in jobs:
            job.result()
    with joined(stack, person, traffic.room, since=0) as it:
        kept = {m["id"]: m["body"] for m in it.get("welcome")["messages"]}
    assert {n: kept.get(n) for n in traffic.acked} == traffic.acked
    assert sorted(kept) == list(range(1, max(kept) + 1))
    for id_, sha256 in traffic.files.items():
        body = person.http.get(f"/api/files/{id_}/content").content
        assert hashlib.sha256(body).hexdigest() == sha256

    def orphans() -> set[str]:
        rows = {
            r[0]
            for r in stack.sql(
                "select v.object_key from file_versions v join files f on f.id = v.file_id where f.owner_id = %s",
                person.id,
            )
        }
        return set(stack.r2_keys(person.id) + stack.storage_keys(person.id)) ^ rows

    assert until(
        lambda: not orphans() and not stack.sql("select 1 from uploads where owner_id = %s", person.id), 90
    ), orphans()
    assert stack.sql("select 1 from files where owner_id = %s and status = 'pending'", person.id) == []


def test_parts_survive_a_restart(stack: Stack, person: Person) -> None:
    body = os.urandom(9 * MIB)
    it = person.http.post(
        "/api/upload/start", json={"name": "resumed", "size": len(body), "mime": "application/octet-stream"}
    ).json()["upload"]
    assert person.http.put(f"/api/upload/{it['id']}/parts/1", content=body[: 8 * MIB]).status_code == 200
    component(stack, "platform", "kill")
    component(stack, "platform", "start")
    assert person.http.get(f"/api/upload/{it['id']}").json()["upload"]["received"] == [1]
    assert person.http.put(f"/api/upload/{it['id']}/parts/2", content=body[8 * MIB :]).status_code == 200
    done = person.http.post(
        f"/api/upload/{it['id']}/complete", json={"sha256": hashlib.sha256(body).hexdigest()}
    )
    assert done.status_code == 201, done.text
