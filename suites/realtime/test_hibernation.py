"""P5.1: a room in which nothing is said for a while: it may sleep, and forgets nothing."""

from __future__ import annotations

from core.expect import expect, expect_equal
from core.passport import check
from suites.realtime.room_recorder import NewRoom
from suites.types import NewActor, Witness


@check(
    "fallback.hibernation",
    "A room that slept wakes with its members and its messages",
    requirement=("risk.fallback", "P5.1"),
    service="rooms",
    needs=("rooms.websocket", "platform.api", "auth.email", "rooms.hears", "rooms.history"),
    timeout=60,
    why_slow="a Durable Object hibernates only after some ten idle seconds",
)
def test_hibernation(actor: NewActor, new_room: NewRoom, witness: Witness) -> None:
    """Twelve seconds in which nothing is said or heard, then a message: delivered, acknowledged, in order."""
    anna, boris = actor(), actor()
    recorder = new_room()
    a, b = recorder.join(anna), recorder.join(boris)
    a.say("before", "1")
    b.wait_message("before")
    heard = len(b.frames)
    expect(
        not b.hears_within(12),
        "an idle room is silent",
        saw=[f.type for f in b.frames[heard:]],
        service="rooms",
    )
    a.say("after", "2")
    b.wait_message("after")
    c = recorder.join(boris)
    if recorder.wire.tells("welcome", "members"):
        expect_equal(
            {m["id"] for m in c.welcome["members"]},
            {anna.id, boris.id},
            "the woken room knows who is there",
            service="rooms",
        )
    kept = recorder.judge(anna, witness)
    expect_equal(
        [m["body"] for m in kept],
        ["before", "after"],
        "a room that slept has forgotten no message",
        service="rooms",
    )
