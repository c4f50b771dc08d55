"""Rooms: order, delivery, replay, idempotence, presence, limits, tokens and erasure, over real sockets."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jwt
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from .conftest import Person, Stack


class Member:
    """One socket in a room, and every frame it got."""

    def __init__(self, ws: Connection) -> None:
        self.ws = ws
        self.frames: list[dict[str, Any]] = []

    def put(self, **frame: Any) -> None:
        self.ws.send(json.dumps(frame))

    def get(self, kind: str, timeout: float = 10, **fields: Any) -> dict[str, Any]:
        """The next frame of a kind, with these fields."""
        end = time.monotonic() + timeout
        while True:
            frame: dict[str, Any] = json.loads(self.ws.recv(timeout=max(0.01, end - time.monotonic())))
            self.frames.append(frame)
            if frame["type"] == kind and all(frame.get(k) == v for k, v in fields.items()):
                return frame

    def say(self, body: str, client_id: str | None = None) -> dict[str, Any]:
        client_id = client_id or secrets.token_hex(8)
        self.put(type="send", client_id=client_id, body=body)
        return self.get("ack", client_id=client_id)


@contextmanager
def joined(stack: Stack, person: Person, room: str, since: int | None = None) -> Iterator[Member]:
    query = "" if since is None else f"?since={since}"
    url = f"{stack.url.replace('http', 'ws')}/api/rooms/{room}{query}"
    with connect(url, subprotocols=["assay.v1", f"token.{person.token}"], close_timeout=1) as ws:  # type: ignore[list-item]
        assert ws.subprotocol == "assay.v1"
        member = Member(ws)
        yield member


@pytest.fixture
def room() -> str:
    return f"t-{secrets.token_hex(6)}"


def test_two_people_talk_and_one_returns(stack: Stack, room: str) -> None:
    ann, bob = stack.person(), stack.person()
    with joined(stack, ann, room) as a:
        assert a.get("welcome")["members"] == [
            {"id": ann.id, "name": f"u_{ann.email[2:12]}", "status": "online"}
        ]
        with joined(stack, bob, room) as b:
            assert {m["id"] for m in b.get("welcome")["members"]} == {ann.id, bob.id}
            assert a.get("presence")["event"] == "join"
            b.put(type="typing", on=True)
            assert a.get("typing")["user"]["id"] == bob.id
            first = a.say("one")
            assert first == {
                "type": "ack",
                "client_id": first["client_id"],
                "id": 1,
                "at": first["at"],
                "duplicate": False,
            }
            got = b.get("message")
            assert (got["id"], got["body"], got["user"]["id"]) == (1, "one", ann.id)
            b.put(type="status", status="away")
            assert a.get("presence", event="status")["status"] == "away"
        assert a.get("presence", event="leave")["user"]["id"] == bob.id
        a.say("two")
        a.say("three")
        again = a.say("three", "fixed-id"), a.say("other words", "fixed-id")
        assert again[0]["id"] == again[1]["id"] == 4
        assert again[1]["duplicate"] is True
        with joined(stack, bob, room, since=1) as b:
            welcome = b.get("welcome")
            assert [(m["id"], m["body"]) for m in welcome["messages"]] == [
                (2, "two"),
                (3, "three"),
                (4, "three"),
            ]
            assert (welcome["last_id"], welcome["more"]) == (4, False)
            b.put(type="replay", since=2, limit=1)
            history = b.get("history")
            assert ([m["id"] for m in history["messages"]], history["more"]) == ([3], True)
    api = ann.http.get(f"/api/rooms/{room}/history?since=0").json()
    assert ([m["id"] for m in api["messages"]], api["first_id"], api["last_id"]) == ([1, 2, 3, 4], 1, 4)


def test_a_name_is_cut_between_letters(stack: Stack, room: str) -> None:
    """31 letters and an emoji are 32 letters and 33 units of UTF-16; half an emoji is no text, and closed every room."""
    person, name = stack.person(), "n" * 31 + "\U0001f600"
    made = stack.service(
        "PUT", f"/auth/v1/admin/users/{person.id}", json={"user_metadata": {"username": name + "more"}}
    )
    made.raise_for_status()
    person.token = stack.sign_in(person.email, person.password)
    with joined(stack, person, room) as it:
        assert it.get("welcome")["you"]["name"] == name
        it.ws.send('{"type": "send", "client_id": "half", "body": "half \\ud83d"}')
        assert it.get("message")["body"] == "half \ufffd"
    kept = stack.http.get(f"/api/rooms/{room}/history", headers=person.bearer).json()["messages"]
    assert [m["body"] for m in kept] == ["half \ufffd"], "what was heard is what is kept"


def test_a_second_window_is_one_person(stack: Stack, person: Person, room: str) -> None:
    other = stack.person()
    with joined(stack, other, room) as o:
        o.get("welcome")
        with joined(stack, person, room) as one:
            one.get("welcome")
            o.get("presence", event="join")
            with joined(stack, person, room) as two:
                assert len(two.get("welcome")["members"]) == 2
            one.say("still here")
        frames = [o.get("presence", event="leave")] and o.frames
    assert [f.get("event") for f in frames if f["type"] == "presence"] == ["join", "leave"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "bad_json"),
        ("[]", "bad_frame"),
        ('{"type":"dance"}', "unknown_type"),
        ('{"type":"send","client_id":"a","body":" "}', "empty"),
        ('{"type":"send","body":"x"}', "bad_frame"),
        (json.dumps({"type": "send", "client_id": "a", "body": "x" * 4001}), "too_large"),
        ("x" * 17000, "too_large"),
        (b"\x00\x01", "bad_frame"),
        ('{"type":"replay","since":"x"}', "bad_frame"),
        ('{"type":"auth","token":"x"}', "forbidden"),
    ],
)
def test_a_bad_frame_is_an_error_and_no_disconnect(
    stack: Stack, person: Person, room: str, text: str | bytes, code: str
) -> None:
    with joined(stack, person, room) as it:
        it.get("welcome")
        it.ws.send(text)
        assert it.get("error")["code"] == code
        assert it.say("fine")["id"] == 1
        it.get("message")
        it.ws.send("ping")
        assert it.ws.recv(timeout=10) == "pong"


def test_too_fast_is_refused_with_a_time_to_wait(stack: Stack, person: Person, room: str) -> None:
    with joined(stack, person, room) as it:
        it.get("welcome")
        for n in range(60):
            it.put(type="send", client_id=str(n), body="x")
        refused = it.get("error")
        assert refused["code"] == "rate_limited"
        assert refused["retry_after_ms"] > 0
        assert "client_id" in refused


@pytest.mark.parametrize("token", ["", "abc", "a.b.c"])
def test_no_good_token_no_room(stack: Stack, room: str, token: str) -> None:
    url = f"{stack.url.replace('http', 'ws')}/api/rooms/{room}?token={token}"
    with pytest.raises(InvalidStatus) as refused, connect(url):
        pass
    assert refused.value.response.status_code == 401
    assert stack.http.get(f"/api/rooms/{room}").status_code == 426


def test_a_forged_token_opens_nothing(stack: Stack, person: Person) -> None:
    claims = jwt.decode(person.token, options={"verify_signature": False})
    header = jwt.get_unverified_header(person.token)
    for algorithm, key in [("HS256", "x" * 40), ("none", "")]:
        forged = jwt.encode(claims, key, algorithm=algorithm, headers={"kid": header.get("kid", "")})
        assert stack.http.get("/api/me", headers={"authorization": f"Bearer {forged}"}).status_code == 401
    head, _, signature = person.token.split(".")
    body = jwt.utils.base64url_encode(
        json.dumps({**claims, "sub": "00000000-0000-4000-8000-000000000000"}).encode()
    ).decode()
    assert (
        stack.http.get("/api/me", headers={"authorization": f"Bearer {head}.{body}.{signature}"}).status_code
        == 401
    )
    assert person.http.get("/api/me").json()["id"] == person.id


def own_token(stack: Stack, person: Person, seconds: int) -> str:
    """A token of that person with a short life, signed with the project's own key."""
    claims = jwt.decode(person.token, options={"verify_signature": False})
    jwk = stack.config["secrets"]["jwt_signing_jwk"]
    claims["exp"] = int(time.time()) + seconds
    key = jwt.PyJWK(jwk).key
    return jwt.encode(claims, key, algorithm="ES256", headers={"kid": jwk["kid"]})


def test_an_expired_token_ends_the_session_and_a_fresh_one_extends_it(
    stack: Stack, person: Person, room: str
) -> None:
    lasting = person.token
    person.token = own_token(stack, person, 3)
    with joined(stack, person, room) as ending, joined(stack, person, room) as going_on:
        ending.get("welcome")
        going_on.get("welcome")
        going_on.put(type="auth", token=lasting)
        assert going_on.get("authed")["expires_at"] > time.time() + 60
        with pytest.raises(ConnectionClosed) as closed:
            ending.get("never", timeout=20)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4401
        assert going_on.say("still here")["id"] == 1
    with pytest.raises(InvalidStatus), joined(stack, person, room):
        pass
