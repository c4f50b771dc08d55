"""P5.1, P5.2: tokens at the door, bad frames, limits, presence."""

from __future__ import annotations

import json
import time

from clients.sdk import refused
from clients.service_clients import ServiceClients
from clients.services.rooms import RoomSocket
from core.expect import expect, expect_equal, expect_status
from core.passport import check
from core.run import Run
from suites.realtime.room_recorder import NewRoom
from suites.types import NewActor, Witness

ROOMS = "rooms"
CLOCKS = 300
"""Seconds by which two machines' clocks may differ."""
FLOOD = 100
"""Messages at once: far more than a room takes, also when a slow machine lets some seconds pass meanwhile."""


@check(
    "realtime.door",
    "Only a good token opens a room, given either way",
    requirement=("P5.1", "P6.3"),
    service=ROOMS,
    needs=("rooms.websocket", "platform.api", "auth.email"),
)
def test_door(run: Run, services: ServiceClients, actor: NewActor, witness: Witness) -> None:
    """None, nonsense, the public key, a changed signature and a bad room name are refused; a good token is not."""
    person = actor()
    room = f"assay-{run.tag()}"
    head, payload, signature = person.access_token.split(".")
    forged = f"{head}.{payload}.{signature[:-6]}{'AAAAAA' if not signature.endswith('AAAAAA') else 'BBBBBB'}"
    for what, token in (
        ("no token", None),
        ("nonsense", "nonsense"),
        ("the public key", services.auth.public_key),
        ("a token with a changed signature", forged),
    ):
        with refused("401", claim=f"{what} opens no room", service=ROOMS):
            services.rooms.join(room, token)
    with refused("400", "404", claim="a room name with a space is refused", service=ROOMS):
        services.rooms.join("a%20room", person.access_token)
    plain = services.platform.call("GET", f"/api/rooms/{room}", token=person.access_token)
    expect_status(plain, 426, "a request that is no upgrade answers 426", service="platform")
    unseen = services.platform.call("GET", f"/api/rooms/{room}/history")
    expect_status(unseen, 401, "the history needs a token too", service="platform")
    hidden = services.platform.call("GET", f"/api/rooms/{room}/presence")
    expect_status(hidden, 401, "who is there needs a token too", service="platform")
    for by_query in (False, True):
        member = services.rooms.join(room, person.access_token, by_query=by_query)
        way = "query" if by_query else "subprotocol"
        expect_equal(
            member.welcome["you"]["id"], person.id, f"a token in the {way} opens the room", service=ROOMS
        )
        member.close()
    history = services.platform.call("GET", f"/api/rooms/{room}/history", token=person.access_token)
    witness("the room's history over HTTP", "empty after five refusals")
    expect_equal(history.demand(200).json(dict)["messages"], [], "the room is empty still", service=ROOMS)


@check(
    "realtime.bad_frames",
    "Bad frames are answered with their error and cost nobody the connection",
    requirement=("P5.1", "P6.3"),
    service=ROOMS,
    needs=("rooms.websocket", "platform.api", "auth.email"),
)
def test_bad_frames(actor: NewActor, new_room: NewRoom, witness: Witness) -> None:
    """After each bad frame a good one still works (positive control), and nothing bad is kept."""
    anna, boris = actor(), actor()
    recorder = new_room()
    a, b = recorder.join(anna), recorder.join(boris)
    bad: tuple[tuple[str, str, tuple[str, ...]], ...] = (
        ("no JSON", "{oops", ("bad_json",)),
        ("a list", "[1]", ("bad_frame", "bad_json")),
        ("an unknown type", json.dumps({"type": "shutdown"}), ("unknown_type",)),
        (
            "a message without text",
            json.dumps({"type": "send", "client_id": "x", "body": ""}),
            ("empty", "bad_frame"),
        ),
        ("a message without client id", json.dumps({"type": "send", "body": "x"}), ("bad_frame",)),
        (
            "a client id too long",
            json.dumps({"type": "send", "client_id": "x" * 65, "body": "x"}),
            ("bad_frame",),
        ),
        (
            "a text of 4,001",
            json.dumps({"type": "send", "client_id": "y", "body": "y" * 4001}),
            ("too_large",),
        ),
        (
            "a frame over 16 KiB",
            json.dumps({"type": "typing", "on": True, "pad": "z" * 16400}),
            ("too_large",),
        ),
    )
    for number, (what, frame, codes) in enumerate(bad):
        start = len(a.frames)
        a.send(frame)
        error = a.wait_type("error", claim=f"{what} is answered with an error", start=start).data
        expect(
            error["code"] in codes,
            f"{what} is named rightly",
            expected=codes,
            saw=error["code"],
            service=ROOMS,
        )
        a.say(f"fine {number}", f"f{number}")
        b.wait_message(f"fine {number}")
    a.say("x" * 4000, "long")
    b.wait_message("x" * 4000)
    start = len(a.frames)
    a.send("ping")
    pong = a.wait_type("text", claim="ping is answered", start=start).data["text"]
    expect_equal(pong, "pong", "ping is answered with pong", service=ROOMS)
    kept = recorder.judge(anna, witness)
    expect_equal(
        [m["body"][:6] for m in kept],
        [f"fine {n}" for n in range(8)] + ["xxxxxx"],
        "only the good is kept",
        service=ROOMS,
    )


@check(
    "realtime.rate_limit",
    "A flood from one connection is slowed by name, and hurts nobody else",
    requirement=("P5.1", "P6.3"),
    service=ROOMS,
    needs=("rooms.websocket", "platform.api", "auth.email"),
)
def test_rate_limit(actor: NewActor, new_room: NewRoom, witness: Witness) -> None:
    """A hundred at once: some are refused with a time to wait; every other is kept; the second member talks on."""
    anna, boris = actor(), actor()
    recorder = new_room()
    a, b = recorder.join(anna), recorder.join(boris)
    for n in range(FLOOD):
        a.say(f"flood {n}", f"n{n}")
    b.say("calm", "calm")
    b.acked("calm")

    def answered(member: RoomSocket) -> dict[str, str]:
        return {
            str(f.data["client_id"]): f.type if f.type == "ack" else str(f.data["code"])
            for f in list(member.frames)
            if f.type in ("ack", "error") and f.data.get("client_id")
        }

    a.wait(lambda _: len(answered(a)) == FLOOD, claim="each of a hundred messages is answered", within=15)
    slowed = [c for c, how in answered(a).items() if how == "rate_limited"]
    expect(
        slowed,
        "of a hundred messages at once some are refused as too many",
        expected="at least one",
        saw="none",
        service=ROOMS,
    )
    expect(len(slowed) < FLOOD, "not all are refused (positive control)", saw="all", service=ROOMS)
    waits = [f.data.get("retry_after_ms") for f in a.frames if f.type == "error"]
    expect(
        all(isinstance(w, int | float) and w > 0 for w in waits),
        "each refusal says how long to wait",
        saw=waits,
        service=ROOMS,
    )
    kept = {m["client_id"] for m in recorder.kept(anna)}
    witness("the room's history over HTTP", f"{len(kept)} messages")
    accepted = {c for c, how in answered(a).items() if how == "ack"} | {"calm"}
    expect_equal(kept, accepted, "kept is exactly what was acknowledged", service=ROOMS)


@check(
    "realtime.presence",
    "Members see who is there, in what status, who types, and who has gone",
    requirement="P5.2",
    service=ROOMS,
    needs=("rooms.websocket", "platform.api", "auth.email"),
)
def test_presence(services: ServiceClients, actor: NewActor, new_room: NewRoom, witness: Witness) -> None:
    """A second screen of the same person is no second person; they have gone only with their last screen."""
    anna, boris = actor(), actor()
    recorder = new_room()
    a = recorder.join(anna)
    b1 = recorder.join(boris)
    a.wait_type("presence", event="join", claim="the first member sees the second join")
    b2 = recorder.join(boris)
    b1.send({"type": "status", "status": "busy"})
    status = a.wait_type("presence", event="status", claim="a change of status is seen").data
    expect_equal(
        (status["user"]["id"], status["status"]), (boris.id, "busy"), "it says who is busy", service=ROOMS
    )
    b1.send({"type": "typing", "on": True})
    typing = a.wait_type("typing", claim="typing is seen").data
    expect_equal((typing["user"]["id"], typing["on"]), (boris.id, True), "it says who types", service=ROOMS)
    start = len(a.frames)
    b1.send({"type": "typing", "on": False})
    ended = a.wait_type("typing", claim="the end of typing is seen", start=start).data
    expect_equal((ended["user"]["id"], ended["on"]), (boris.id, False), "it says who ended", service=ROOMS)
    b1.say("typed", "t")
    b1.wait_message("typed")  # what the room told before has come by now
    own = [f.data for f in b1.frames if f.type == "typing"]
    expect_equal(own, [], "who types is not told of their own typing", service=ROOMS)
    b1.close()
    b2.say("still here", "s")
    a.wait_message("still here")
    events = [f.data["event"] for f in a.frames if f.type == "presence"]
    expect_equal(
        events, ["join", "status"], "a second screen is no join, one of two closing no leave", service=ROOMS
    )
    third = recorder.join(anna)
    members = sorted((m["id"], m["status"]) for m in third.welcome["members"])
    expect_equal(
        members,
        sorted([(anna.id, "online"), (boris.id, "busy")]),
        "a newcomer's list holds each person once, in their status",
        service=ROOMS,
    )
    asked = services.platform.call("GET", f"/api/rooms/{recorder.room}/presence", token=anna.access_token)
    shown = sorted((m["id"], m["status"]) for m in asked.demand(200).json(dict)["members"])
    expect_equal(shown, members, "over HTTP the same people are there, each once", service=ROOMS)
    b2.cut()
    a.wait_type("presence", event="leave", claim="a member whose network was cut has gone", within=15)
    recorder.presence_converges()
    kept = recorder.judge(anna, witness)
    expect_equal(
        [m["body"] for m in kept],
        ["typed", "still here"],
        "typing and status leave nothing in the history",
        service=ROOMS,
    )


@check(
    "realtime.fresh_token",
    "A member hands in a fresh token; another person's token is refused",
    requirement=("P5.1", "P6.3"),
    service=ROOMS,
    needs=("rooms.websocket", "platform.api", "auth.email"),
)
def test_fresh_token(run: Run, actor: NewActor, new_room: NewRoom, witness: Witness) -> None:
    """The same person's new token is taken (positive control); with a stranger's they do not become the stranger."""
    anna, boris = actor(), actor()
    recorder = new_room()
    a = recorder.join(anna)
    fresh = anna.supabase.auth.refresh_session().session
    expect(fresh is not None, "refreshing gives a new session", service="supabase.auth")
    assert fresh is not None
    run.redactor.add(fresh.access_token)
    a.send({"type": "auth", "token": fresh.access_token})
    authed = a.wait_type("authed", claim="a fresh token of the same person is taken").data
    expect(authed["expires_at"] > 0, "it says until when", saw=authed, service=ROOMS)
    start = len(a.frames)
    a.send({"type": "auth", "token": boris.access_token})
    try_again = a.wait(
        lambda d: d.get("type") == "error", claim="another person's token is refused", start=start
    ).data
    expect(
        try_again["code"] in ("forbidden", "bad_frame"),
        "it is refused as forbidden",
        saw=try_again,
        service=ROOMS,
    )
    a.say("who am I", "w")
    a.acked("w")
    kept = recorder.kept(anna)
    witness("the room's history over HTTP", "the author of the message after the refused token")
    expect_equal(kept[-1]["user"]["id"], anna.id, "the member is still who they were", service=ROOMS)
    claims = {"user": boris.id, "user_id": boris.id, "name": boris.username, "id": 10**6, "at": 1}
    a.send({"type": "send", "client_id": "claimed", "body": "so I say", **claims})
    a.acked("claimed")
    last = recorder.kept(anna)[-1]
    told = a.wait(
        lambda d: d.get("client_id") == "claimed" and d.get("type") == "message", claim="it is told"
    )
    expect_equal(told.data["at"], last["at"], "those present are told the time that is kept", service=ROOMS)
    expect_equal(
        (last["user"]["id"], last["user"]["name"], last["id"]),
        (anna.id, anna.username, kept[-1]["id"] + 1),
        "a message is its sender's, whatever it says of itself",
        service=ROOMS,
    )
    expect(
        abs(last["at"] / 1000 - time.time()) < CLOCKS,
        "a message tells when it was said, in milliseconds",
        expected="about now",
        saw=last["at"],
        service=ROOMS,
    )
