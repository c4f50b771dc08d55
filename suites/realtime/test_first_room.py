"""P5.1, P5.2: two people talk; one loses the connection and gets what was missed."""

from __future__ import annotations

from core.expect import expect_equal
from core.passport import check
from core.run import Run
from suites.realtime.room_recorder import NewRoom
from suites.types import NewActor, Witness

ROOMS = "rooms"


@check(
    "realtime.two_people_reconnect",
    "Two people in a room: one loses the connection and gets what was missed",
    requirement=("P5.1", "P5.2", "perf.rooms", "done.nomocks"),
    service=ROOMS,
    needs=("rooms.websocket", "platform.api", "auth.email", "rooms.hears", "rooms.history", "rooms.since"),
)
def test_two_people_reconnect(run: Run, actor: NewActor, new_room: NewRoom, witness: Witness) -> None:
    """The history over HTTP, which no socket uses, holds every message once and in one order."""
    anna, boris = actor(), actor()
    room = new_room()
    a, b = room.join(anna), room.join(boris)
    if room.wire.tells("welcome", "you.id"):
        expect_equal(a.welcome["you"]["id"], anna.id, "the room knows who joined", service=ROOMS)
    if room.wire.tells("welcome", "members"):
        expect_equal(
            {m["id"] for m in b.welcome["members"]},
            {anna.id, boris.id},
            "the second one sees both members",
            service=ROOMS,
        )
    if room.wire.tells("join"):
        a.wait_type("presence", claim="the first one sees the second one join", event="join")

    sent = a.say("one", "c1")
    arrived = b.wait_message("one")
    run.journal.sample(
        run.journal.series("perf.rooms", {"kind": "message"}), intended=sent, sent=sent, done=arrived.at
    )
    a.acked("c1")
    last = b.last_id
    b.cut()
    for number in ("two", "three"):
        a.say(number, f"c-{number}")
        a.acked(f"c-{number}")

    again = room.join(boris, since=last)
    missed = [m["body"] for m in again.welcome["messages"]]
    expect_equal(
        missed, ["two", "three"], "the one who reconnects gets exactly what was missed", service=ROOMS
    )
    again.say("four", "c4")
    a.wait_message("four")

    kept = room.kept(anna)
    witness("the room's history over HTTP", "every message once, in order")
    expect_equal(
        [(m["body"], m["user"]["id"]) for m in kept],
        [("one", anna.id), ("two", anna.id), ("three", anna.id), ("four", boris.id)],
        "the room keeps every message once, in the order in which all saw them",
        service=ROOMS,
    )
    for since, limit, due in (
        (kept[1]["id"], 100, kept[2:]),
        (kept[0]["id"], 2, kept[1:3]),
        (kept[3]["id"], 100, []),
    ):
        messages, _ = room.read(anna, since, limit)
        claim = f"over HTTP, at most {limit} messages since one of {len(kept)} are exactly those after it"
        expect_equal([m["id"] for m in messages], [m["id"] for m in due], claim, service=ROOMS)
    ids = [m["id"] for m in kept]
    expect_equal(ids, sorted(set(ids)), "message ids rise", service=ROOMS)
    a.close()
    again.close()
