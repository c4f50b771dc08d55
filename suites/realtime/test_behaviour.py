"""P5.1, P5.2: tokens at the door, bad frames, limits, presence."""

from __future__ import annotations

import time

from clients.sdk import refused
from clients.service_clients import ServiceClients
from clients.services.rooms import RoomSocket
from core.description import fill
from core.expect import expect, expect_equal, expect_status
from core.passport import check
from core.run import Run
from suites.realtime.room_recorder import NewRoom
from suites.types import NewActor, Witness

ROOMS = "rooms"
CLOCKS = 300
"""Seconds by which two machines' clocks may differ."""


@check(
    "realtime.door",
    "Only a good token opens a room, given either way",
    requirement=("P5.1", "P6.3"),
    service=ROOMS,
    needs=("rooms.websocket", "platform.api", "auth.email", "rooms.hears", "rooms.history"),
)
def test_door(services: ServiceClients, actor: NewActor, new_room: NewRoom, witness: Witness) -> None:
    """None, nonsense, the public key, a changed signature and a bad room name are refused; a good token is not."""
    person = actor()
    recorder = new_room()
    room, wire = recorder.room, recorder.wire
    head, payload, signature = person.access_token.split(".")
    forged = f"{head}.{payload}.{signature[:-6]}{'AAAAAA' if not signature.endswith('AAAAAA') else 'BBBBBB'}"
    for what, token in (
        ("no token", None),
        ("nonsense", "nonsense"),
        ("the public key", services.auth.public_key),
        ("a token with a changed signature", forged),
    ):
        with refused("401", claim=f"{what} opens no room", service=ROOMS):
            services.rooms.join(room, token, wire=wire)
    for name in wire.rooms.refused:
        with refused("400", "404", claim=f"the room name {name} is refused", service=ROOMS):
            services.rooms.join(name, person.access_token, wire=wire)
    if wire.rooms.plain is not None:
        plain = services.platform.call("GET", wire.address(room), token=person.access_token)
        claim = f"a request that is no upgrade answers {wire.rooms.plain}"
        expect_status(plain, wire.rooms.plain, claim, service="platform")
    unseen = services.platform.call("GET", wire.history_path(room, 0, wire.rooms.page))
    expect_status(unseen, 401, "the history needs a token too", service="platform")
    if wire.rooms.presence is not None:
        hidden = services.platform.call("GET", wire.presence_path(room))
        expect_status(hidden, 401, "who is there needs a token too", service="platform")
    ways = {"subprotocol": wire.rooms.subprotocols, "query": wire.rooms.query}
    for way in (name for name, described in ways.items() if described):
        member = services.rooms.join(room, person.access_token, by_query=way == "query", wire=wire)
        seen = member.welcome["you"]["id"] if wire.tells("welcome", "you.id") else person.id
        expect_equal(seen, person.id, f"a token in the {way} opens the room", service=ROOMS)
        member.close()
    kept = recorder.kept(person)
    witness("the room's history over HTTP", "empty after five refusals")
    expect_equal(kept, [], "the room is empty still", service=ROOMS)


@check(
    "realtime.bad_frames",
    "Bad frames are answered with their error and cost nobody the connection",
    requirement=("P5.1", "P6.3"),
    service=ROOMS,
    needs=(
        "rooms.websocket",
        "platform.api",
        "auth.email",
        "rooms.hears.error",
        "rooms.history",
        "rooms.bad",
        "rooms.longest",
    ),
)
def test_bad_frames(actor: NewActor, new_room: NewRoom, witness: Witness) -> None:
    """After each bad frame a good one still works (positive control), and nothing bad is kept."""
    anna, boris = actor(), actor()
    recorder = new_room()
    a, b = recorder.join(anna), recorder.join(boris)
    rooms = recorder.wire.rooms
    for number, bad in enumerate(rooms.bad):
        what, codes = bad.name, bad.codes
        frame = bad.frame if isinstance(bad.frame, str) else fill(bad.frame, {"filled": "y" * bad.fill})
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
    longest = "x" * (rooms.longest or 1)
    a.say(longest, "long")
    b.wait_message(longest)
    if rooms.ping is not None:
        start = len(a.frames)
        a.send(rooms.ping.sends)
        pong = a.wait_type("text", claim=f"{rooms.ping.sends} is answered", start=start).data["text"]
        claim = f"{rooms.ping.sends} is answered with {rooms.ping.answers}"
        expect_equal(pong, rooms.ping.answers, claim, service=ROOMS)
    kept = recorder.judge(anna, witness)
    expect_equal(
        [m["body"][:6] for m in kept],
        [f"fine {n}" for n in range(len(rooms.bad))] + ["xxxxxx"],
        "only the good is kept",
        service=ROOMS,
    )


@check(
    "realtime.rate_limit",
    "A flood from one connection is slowed by name, and hurts nobody else",
    requirement=("P5.1", "P6.3"),
    service=ROOMS,
    needs=(
        "rooms.websocket",
        "platform.api",
        "auth.email",
        "rooms.hears.error",
        "rooms.history",
        "rooms.flood",
    ),
)
def test_rate_limit(actor: NewActor, new_room: NewRoom, witness: Witness) -> None:
    """A hundred at once: some are refused with a time to wait; every other is kept; the second member talks on."""
    anna, boris = actor(), actor()
    recorder = new_room()
    a, b = recorder.join(anna), recorder.join(boris)
    met = recorder.wire.rooms.flood
    assert met is not None
    for n in range(met.messages):
        a.say(f"flood {n}", f"n{n}")
    b.say("calm", "calm")
    b.acked("calm")

    def answered(member: RoomSocket) -> dict[str, str]:
        return {
            str(f.data["client_id"]): f.type if f.type == "ack" else str(f.data["code"])
            for f in list(member.frames)
            if f.type in ("ack", "error") and f.data.get("client_id")
        }

    a.wait(
        lambda _: len(answered(a)) == met.messages,
        claim=f"each of {met.messages} messages is answered",
        within=15,
    )
    slowed = [c for c, how in answered(a).items() if how == met.code]
    expect(
        slowed,
        f"of {met.messages} messages at once some are refused as too many",
        expected="at least one",
        saw="none",
        service=ROOMS,
    )
    expect(len(slowed) < met.messages, "not all are refused (positive control)", saw="all", service=ROOMS)
    if recorder.wire.tells("error", "retry_after_ms"):
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
    needs=(
        "rooms.websocket",
        "platform.api",
        "auth.email",
        "rooms.presence",
        "rooms.hears.join",
        "rooms.hears.leave",
        "rooms.hears.status",
        "rooms.hears.typing",
        "rooms.frames.status",
        "rooms.frames.typing",
        "rooms.history",
    ),
)
def test_presence(actor: NewActor, new_room: NewRoom, witness: Witness) -> None:
    """A second screen of the same person is no second person; they have gone only with their last screen."""
    anna, boris = actor(), actor()
    recorder = new_room()
    a = recorder.join(anna)
    b1 = recorder.join(boris)
    a.wait_type("presence", event="join", claim="the first member sees the second join")
    b2 = recorder.join(boris)
    b1.send(recorder.wire.frame("status", status="busy"))
    status = a.wait_type("presence", event="status", claim="a change of status is seen").data
    expect_equal(
        (status["user"]["id"], status["status"]),
        (boris.id, "busy"),
        "a status says who is busy",
        service=ROOMS,
    )
    b1.send(recorder.wire.frame("typing", on=True))
    typing = a.wait_type("typing", claim="typing is seen").data
    expect_equal(
        (typing["user"]["id"], typing["on"]), (boris.id, True), "a typing frame says who types", service=ROOMS
    )
    start = len(a.frames)
    b1.send(recorder.wire.frame("typing", on=False))
    ended = a.wait_type("typing", claim="the end of typing is seen", start=start).data
    expect_equal(
        (ended["user"]["id"], ended["on"]),
        (boris.id, False),
        "a typing frame says who stopped typing",
        service=ROOMS,
    )
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
    shown = sorted((m["id"], m["status"]) for m in recorder.counted(anna)["members"])
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
    needs=(
        "rooms.websocket",
        "platform.api",
        "auth.email",
        "rooms.hears.authed",
        "rooms.hears.error",
        "rooms.frames.token",
        "rooms.history",
    ),
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
    a.send(a.wire.frame("token", token=fresh.access_token))
    authed = a.wait_type("authed", claim="a fresh token of the same person is taken").data
    expect(
        authed["expires_at"] > 0,
        "the answer to a fresh token says until when it holds",
        saw=authed,
        service=ROOMS,
    )
    start = len(a.frames)
    a.send(a.wire.frame("token", token=boris.access_token))
    try_again = a.wait(
        lambda d: d.get("type") == "error", claim="another person's token is refused", start=start
    ).data
    if foreign := a.wire.rooms.foreign:
        expect(
            try_again["code"] in foreign,
            "another person's token is refused as foreign",
            expected=foreign,
            saw=try_again,
            service=ROOMS,
        )
    a.say("who am I", "w")
    a.acked("w")
    kept = recorder.kept(anna)
    witness("the room's history over HTTP", "the author of the message after the refused token")
    expect_equal(kept[-1]["user"]["id"], anna.id, "the member is still who they were", service=ROOMS)
    claims = {"user": boris.id, "user_id": boris.id, "name": boris.username, "id": 10**6, "at": 1}
    a.send({**claims, **a.wire.frame("send", client_id="claimed", body="so I say")})
    a.acked("claimed")
    last = recorder.kept(anna)[-1]
    expect_equal(
        (last["user"]["id"], last["id"] > kept[-1]["id"]),
        (anna.id, True),
        "a message is its sender's, whatever it says of itself",
        service=ROOMS,
    )
    if a.wire.tells("message", "user.name"):
        expect_equal(last["user"]["name"], anna.username, "a message bears its sender's name", service=ROOMS)
    if a.wire.tells("message", "at"):
        frame = a.wait(
            lambda d: d.get("client_id") == "claimed" and d.get("type") == "message", claim="it is told"
        )
        expect_equal(
            frame.data["at"], last["at"], "those present are told the time that is kept", service=ROOMS
        )
        expect(
            abs(last["at"] / 1000 - time.time()) < CLOCKS,
            "a message tells when it was said, in milliseconds",
            expected="about now",
            saw=last["at"],
            service=ROOMS,
        )
