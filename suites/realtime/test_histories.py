"""P5.1, P5.2: rooms under a burst, under cuts, and full: what everybody saw, judged as one history."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from clients.identities import SharedIdentities
from core.expect import expect, expect_equal
from core.passport import check
from core.run import Run
from suites.realtime.room_recorder import NewRoom, say_all
from suites.types import NewActor, Witness

ROOMS = "rooms"


@check(
    "realtime.burst",
    "Six people join at once and all talk at once; everybody sees the same",
    requirement=("P5.1", "P5.2"),
    service=ROOMS,
    needs=("rooms.websocket", "platform.api", "auth.email", "rooms.hears", "rooms.history"),
)
def test_burst(shared_identities: SharedIdentities, new_room: NewRoom, witness: Witness) -> None:
    """Ninety messages in one burst; the history over HTTP and all six records must agree."""
    people = shared_identities.of(6)
    recorder = new_room()
    with ThreadPoolExecutor(6) as pool:
        members = list(pool.map(recorder.join, people))
        recorder.presence_converges()
        texts = [[(f"{i}-{n}", f"{i} says {n}") for n in range(15)] for i in range(6)]
        list(pool.map(say_all, members, texts))
    kept = recorder.judge(people[0], witness)
    expect_equal(len(kept), 90, "every one of ninety messages is kept", service=ROOMS)


@check(
    "realtime.cut_mid_send",
    "Who is cut off while sending comes back, sends again, and nothing is lost or doubled",
    requirement=("P5.1", "P5.2"),
    service=ROOMS,
    needs=(
        "rooms.websocket",
        "platform.api",
        "auth.email",
        "rooms.hears",
        "rooms.history",
        "rooms.duplicates",
        "rooms.since",
    ),
)
def test_cut_mid_send(actor: NewActor, new_room: NewRoom, witness: Witness) -> None:
    """The socket is reset with messages on the way, three times; the other member stays and sees each once."""
    talker, listener = actor(), actor()
    recorder = new_room()
    stays = recorder.join(listener)
    stays.say("hello", "hello")
    member = recorder.join(talker)
    member.wait_message("hello")
    number = 0
    for _ in range(3):
        batch = [(f"t{n}", f"talk {n}") for n in range(number, number + 5)]
        number += 5
        for client_id, body in batch:
            member.say(body, client_id)
        member.acked(batch[0][0])  # at least one is durable, the others anywhere
        member.cut()
        member = recorder.join(talker, since=member.last_id)
        say_all(member, batch)
    recorder.presence_converges()
    kept = recorder.judge(listener, witness)
    expect_equal(
        [m["body"] for m in kept if m["user"]["id"] == talker.id],
        [f"talk {n}" for n in range(15)],
        "every message is kept once, in the order in which it was first sent",
        service=ROOMS,
    )


@check(
    "realtime.same_message_again",
    "A message sent again with its client id is one message",
    requirement="P5.2",
    service=ROOMS,
    needs=(
        "rooms.websocket",
        "platform.api",
        "auth.email",
        "rooms.hears",
        "rooms.history",
        "rooms.duplicates",
    ),
)
def test_same_message_again(actor: NewActor, new_room: NewRoom, witness: Witness) -> None:
    """The second acknowledgement has the first id and says so; another person's same client id is another message."""
    anna, boris = actor(), actor()
    recorder = new_room()
    a, b = recorder.join(anna), recorder.join(boris)
    a.say("once", "same")
    first = a.acked("same")
    expect_equal(first["duplicate"], False, "the first acknowledgement is of a new message", service=ROOMS)
    start = len(a.frames)
    a.say("once", "same")
    again = a.acked("same", start=start)
    expect_equal(
        (again["id"], again["duplicate"]),
        (first["id"], True),
        "the second one names the same message",
        service=ROOMS,
    )
    b.say("mine", "same")
    other = b.acked("same")
    expect_equal(
        (other["id"] > first["id"], other["duplicate"]),
        (True, False),
        "another person's message with that client id is a new one",
        service=ROOMS,
    )
    kept = recorder.judge(anna, witness)
    expect_equal([m["body"] for m in kept], ["once", "mine"], "the room keeps two messages", service=ROOMS)


@check(
    "realtime.replay",
    "A newcomer gets the last fifty, and can ask for all that came before",
    requirement="P5.2",
    service=ROOMS,
    needs=(
        "rooms.websocket",
        "platform.api",
        "auth.email",
        "rooms.hears.history",
        "rooms.history",
        "rooms.frames.replay",
    ),
)
def test_replay(shared_identities: SharedIdentities, new_room: NewRoom, witness: Witness) -> None:
    """Sixty messages by four people; replays by limit and from any point are exact and in order."""
    people = shared_identities.of(4)
    recorder = new_room()
    members = [recorder.join(p) for p in people]
    for i, member in enumerate(members):
        say_all(member, [(f"{i}-{n}", f"{i} says {n}") for n in range(15)])
    late = recorder.join(people[0])
    kept = [m["id"] for m in recorder.judge(people[0], witness)]
    expect_equal(
        [m["id"] for m in late.welcome["messages"]],
        kept[-late.wire.rooms.newcomer :],
        f"a newcomer gets the last {late.wire.rooms.newcomer}",
        service=ROOMS,
    )
    expect(late.welcome["more"], "a newcomer is told that there is more", saw="no more", service=ROOMS)
    for since, limit, due, more in (
        (0, late.wire.rooms.page, kept, False),
        (0, 10, kept[:10], True),
        (kept[54], late.wire.rooms.page, kept[55:], False),
    ):
        start = len(late.frames)
        late.send(late.wire.frame("replay", since=since, limit=limit))
        history = late.wait_type("history", start=start).data
        expect_equal(
            ([m["id"] for m in history["messages"]], history["more"]),
            (due, more),
            f"a replay since {since} of at most {limit} is exact, and tells whether more follow",
            service=ROOMS,
        )


@check(
    "realtime.hundred_people",
    "A hundred people meet in one room; each sees all the others, and what each of them says",
    requirement=("P5.1", "P5.2"),
    service=ROOMS,
    needs=("rooms.websocket", "platform.api", "auth.email", "rooms.hears", "rooms.history", "rooms.presence"),
    timeout=60,
    why_slow="a hundred people sign in, join and leave; hosted log-ins are limited to one in two seconds",
)
def test_hundred_people(
    run: Run, shared_identities: SharedIdentities, new_room: NewRoom, witness: Witness
) -> None:
    """One connection each; every one says one thing to the ninety-nine others; the room counts them itself."""
    people = shared_identities.of(100)
    recorder = new_room()
    with ThreadPoolExecutor(10) as pool:
        members = list(pool.map(recorder.join, people))
        recorder.presence_converges()
        seen = recorder.counted(people[0])
        expect_equal(
            ({m["id"] for m in seen["members"]}, seen["sockets"]),
            ({p.id for p in people}, 100),
            "the room itself counts a hundred different people",
            service=ROOMS,
        )
        sent = list(pool.map(lambda n: members[n].say(f"this is {n}", f"c{n}"), range(100)))
    fanout = run.journal.series("rooms.fanout", {"members": "100"})
    for n, begin in enumerate(sent):
        arrived = members[(n + 1) % 100].wait_message(f"this is {n}")
        run.journal.sample(fanout, intended=begin, sent=begin, done=arrived.at)
    kept = recorder.judge(people[0], witness)
    expect_equal(
        {m["user"]["id"] for m in kept}, {p.id for p in people}, "a message of each is kept", service=ROOMS
    )


@check(
    "realtime.rooms_apart",
    "What is said in one room is heard in no other, nor after leaving",
    requirement=("P5.1", "P5.2"),
    service=ROOMS,
    needs=("rooms.websocket", "platform.api", "auth.email", "rooms.hears", "rooms.history"),
)
def test_rooms_apart(actor: NewActor, new_room: NewRoom, witness: Witness) -> None:
    """The listener elsewhere hears their own room (positive control) and nothing of the other."""
    anna, boris = actor(), actor()
    here, there = new_room(), new_room()
    a, b, c = here.join(anna), there.join(boris), here.join(boris)
    a.say("before leaving", "1")
    c.wait_message("before leaving")
    c.close()
    if here.wire.tells("leave"):
        a.wait_type("presence", claim="the others see one leave", event="leave")
    a.say("after leaving", "2")
    a.acked("2")
    b.say("elsewhere", "3")
    b.wait_message("elsewhere")
    heard_after = [m["body"] for m in c.messages()]
    expect_equal(heard_after, ["before leaving"], "who left hears nothing more", service=ROOMS)
    expect_equal(
        [m["body"] for m in b.messages()], ["elsewhere"], "the other room hears its own alone", service=ROOMS
    )
    both = [[m["body"] for m in r.judge(anna, witness)] for r in (here, there)]
    expect_equal(
        both, [["before leaving", "after leaving"], ["elsewhere"]], "each room keeps its own", service=ROOMS
    )
