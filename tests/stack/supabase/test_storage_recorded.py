"""The Storage wire against two sessions recorded from the real server (recorded/README.md): the same requests in the same
order get the same answers: status, body, and every header that was recorded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import psycopg
import pytest

from stack.supabase.provision import provision
from tests.stack.supabase import engine

RECORDED = Path(__file__).parent / "recorded"
# What stands for a value that differs from run to run.
PLACEHOLDERS = {
    "<uuid>": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<timestamp>": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    "<jwt>": r"[\w-]+\.[\w-]+\.[\w-]+", "<date>": r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT",
    "https://<host>/<id>": r"https?://[\w.:]+/storage/v1/upload/resumable/[\w=-]+",
}  # fmt: skip
# Answers that must not be copied, by name, each with the reason.
EXCEPTIONS: dict[str, dict[str, str]] = {
    "storage_service": {
        "sign transform": "recorded without an image proxy; with one the link leads to /render/image",
        "render": "recorded without an image proxy; resizing is left out here and answers 501",
        "health": "an internal route, which a hosted project does not show",
        "options": "a browser's preflight is answered by the API gateway, which stood not before the recorded server",
    },
    "storage_rls": {},
}


def alike(wanted: Any, got: Any) -> bool:
    """Whether ``got`` is what was recorded, placeholders standing for any value of their kind."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        return wanted.keys() == got.keys() and all(alike(value, got[name]) for name, value in wanted.items())
    if isinstance(wanted, list) and isinstance(got, list):
        return len(wanted) == len(got) and all(map(alike, wanted, got))
    if isinstance(wanted, str) and isinstance(got, str):
        pattern = re.escape(wanted)
        for word, kind in PLACEHOLDERS.items():
            pattern = pattern.replace(re.escape(word), kind)
        return re.fullmatch(pattern, got, re.S) is not None
    return type(wanted) is type(got) and bool(wanted == got)


class Session:
    """Sends recorded requests to a gateway, filling in what earlier answers gave."""

    def __init__(self, gateway: engine.Gateway, client: httpx.Client) -> None:
        self._base, self._keys, self._client = f"{gateway.url}/storage/v1", gateway.keys, client
        self._names: dict[str, str] = {}

    def _token(self, who: Any) -> str | None:
        """The bearer token of ``who``, as the recording names people."""
        if isinstance(who, dict):
            own = "the project" in who["note"]
            secret = self._keys.jwt_secret if own else "another secret, long enough for SHA-256"
            return jwt.encode(who["claims"], secret, "HS256")
        user = {"sub": "11111111-1111-1111-1111-111111111111", "role": "authenticated"}
        return {
            None: None, "malformed": "a.b.c", "anon": self._keys.anon_key, "service_role": self._keys.service_role_key,
            "user 1111": jwt.encode(user, self._keys.jwt_secret, "HS256"),
        }[who]  # fmt: skip

    def _filled(self, text: str) -> str:
        for name, value in self._names.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    def send(self, exchange: dict[str, Any]) -> httpx.Response:
        """Send one request, keep what is to be captured from the answer."""
        request = exchange["request"]
        url = self._filled(request["path"])
        headers = {name: self._filled(value) for name, value in request.get("headers", {}).items()}
        if token := self._token(request["as"]):
            headers["authorization"] = f"Bearer {token}"
        content = request["text"].encode() if "text" in request else b"x" * request.get("size", 0)
        body: dict[str, Any] = {"json": request["json"]} if "json" in request else {"content": content}
        if not {"text", "size", "json"} & request.keys():
            body = {}
        url = url if url.startswith("http") else self._base + url
        answer = self._client.request(request["method"], url, headers=headers, **body)
        for name, place in exchange.get("capture", {}).items():
            where, _, what = place.partition(" ")
            if where in ("json", "header"):
                self._names[name] = answer.headers[what] if where == "header" else answer.json()[what[1:]]
        return answer


def difference(answer: dict[str, Any], got: httpx.Response) -> dict[str, Any]:
    """Where an answer is not the recorded one: what was wanted and what came, by part."""
    body: Any = got.text
    if "json" in answer:
        body = got.json() if "json" in got.headers.get("content-type", "") else got.text
    parts = {
        "status": (answer["status"], got.status_code),
        "body": (answer.get("json", answer.get("text")), body),
    }
    parts |= {name: (value, got.headers.get(name)) for name, value in answer["headers"].items()}
    return {part: pair for part, pair in parts.items() if not alike(*pair)}


@pytest.fixture(params=["storage_service", "storage_rls"])
def session(request: pytest.FixtureRequest, cluster: engine.Postgres) -> Iterator[tuple[str, engine.Gateway]]:
    """A recording's name, and a gateway over an empty project with the policies under which it was made."""
    name: str = request.param
    with psycopg.connect(cluster.dsn("supabase_admin"), autocommit=True) as db:
        db.execute(f"create database {name}")
    provision(cluster.dsn("supabase_admin", name))
    policies = RECORDED / f"{name}.sql"
    if policies.exists():
        with psycopg.connect(cluster.dsn("supabase_admin", name), autocommit=True) as db:
            db.execute(policies.read_bytes())
    with engine.gateway(cluster, database=name) as made:
        yield name, made


def test_every_recorded_exchange_is_answered_alike(session: tuple[str, engine.Gateway]) -> None:
    name, gateway = session
    exchanges = json.loads((RECORDED / f"{name}.json").read_text())
    with httpx.Client(timeout=20) as client:
        sender = Session(gateway, client)
        found = {one["name"]: difference(one["answer"], sender.send(one)) for one in exchanges}
    assert len(found) == len(exchanges), "two exchanges have one name"
    differing = {one: parts for one, parts in found.items() if parts}
    unexpected = {one: parts for one, parts in differing.items() if one not in EXCEPTIONS[name]}
    assert not unexpected, f"{len(unexpected)} of {len(exchanges)} differ: {json.dumps(unexpected, indent=1)}"
    assert set(EXCEPTIONS[name]) == set(differing), "an exception is alike by now: take it off the list"
