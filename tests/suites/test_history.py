"""The rooms' checker on made histories: right ones pass, each wrong one is caught by its rule."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from core.room_history import RoomConnection, Sent, present, seen_present, violations


def message(number, user="anna", client_id=None, body=None):
    client_id = client_id or f"c{number}"
    return {
        "type": "message",
        "id": number,
        "client_id": client_id,
        "user": {"id": user, "name": user},
        "body": body or f"body {number}",
        "at": number,
    }


def welcome(last=0, messages=(), members=("anna", "boris")):
    return {
        "type": "welcome",
        "last_id": last,
        "messages": list(messages),
        "members": [{"id": m, "name": m, "status": "online"} for m in members],
    }


def ack(number, client_id=None):
    return {"type": "ack", "client_id": client_id or f"c{number}", "id": number, "duplicate": False}


def frames(*data):
    return tuple(enumerate(data))


def right():
    """Anna says three things; Boris hears one, is cut, and comes back for the other two."""
    kept = [message(n) for n in (1, 2, 3)]
    anna = RoomConnection(
        "anna-1",
        "anna",
        frames=frames(welcome(), kept[0], ack(1), kept[1], ack(2), kept[2], ack(3)),
        sent=tuple(Sent(n, f"c{n}", f"body {n}") for n in (1, 2, 3)),
    )
    boris = RoomConnection("boris-1", "boris", frames=frames(welcome(), kept[0]), ended="cut")
    again = RoomConnection("boris-2", "boris", since=1, frames=frames(welcome(2, [kept[1]]), kept[2]))
    return [anna, boris, again], kept


def rules(connections, kept):
    return {violation.rule for violation in violations(connections, kept)}


def test_a_right_history_breaks_nothing():
    assert violations(*right()) == []


def changed(index, **changes):
    connections, kept = right()
    connections[index] = replace(connections[index], **changes)
    return connections, kept


def test_an_acknowledged_message_lost():
    connections, kept = right()
    assert "acknowledged is kept" in rules(connections, kept[:2])


def test_an_acknowledgement_with_another_message_number():
    connections, kept = right()
    anna = connections[0]
    wrong = tuple((at, {**d, "id": 1} if d["type"] == "ack" and d["id"] == 2 else d) for at, d in anna.frames)
    assert {"acknowledged is kept"} <= rules([replace(anna, frames=wrong), *connections[1:]], kept)


def test_kept_twice():
    connections, kept = right()
    assert "kept once" in rules(connections, [*kept, message(4, client_id="c3", body="body 3")])


def test_a_hole_in_the_kept_ids():
    connections, kept = right()
    assert "ids rise by one" in rules(connections, [kept[0], kept[2]])


def test_a_message_nobody_sent():
    connections, kept = right()
    assert "nothing invented" in rules(connections, [*kept, message(4, user="mallory")])


def test_a_message_altered():
    connections, kept = right()
    assert {"nothing altered", "same for all"} <= rules(connections, [*kept[:2], message(3, body="other")])


@pytest.mark.parametrize(
    ("rule", "index", "wrong"),
    [
        ("none twice", 0, lambda k: (welcome(), k[0], k[0], ack(1), k[1], ack(2), k[2], ack(3))),
        ("one order", 0, lambda k: (welcome(), k[1], k[0], ack(1), ack(2), k[2], ack(3))),
        ("no gap", 0, lambda k: (welcome(), k[0], ack(1), ack(2), k[2], ack(3))),
        ("delivered to all present", 0, lambda k: (welcome(), k[0], ack(1), k[1], ack(2), ack(3))),
        ("exact replay", 2, lambda k: (welcome(2, []), k[2])),
        ("exact replay", 2, lambda k: (welcome(2, [k[0], k[1]]), k[2])),
        ("none twice after reconnecting", 2, lambda k: (welcome(2, [k[0], k[1]]), k[2])),
        ("nothing from before joining", 2, lambda k: (welcome(2, [k[1]]), k[1], k[2])),
        ("nothing before the welcome", 2, lambda k: (k[2], welcome(2, [k[1]]))),
        ("acknowledges what was sent", 2, lambda k: (welcome(2, [k[1]]), ack(3, "other"), k[2])),
        (
            "acknowledged as one",
            0,
            lambda k: (welcome(), k[0], ack(1), ack(2, "c1"), k[1], ack(2), k[2], ack(3)),
        ),
        ("same for all", 2, lambda k: (welcome(2, [message(2, body="forged")]), k[2])),
    ],
)
def test_each_wrong_history_is_caught_by_its_rule(rule, index, wrong):
    connections, kept = changed(index, frames=())
    connections[index] = replace(connections[index], frames=frames(*wrong(kept)))
    assert rule in rules(connections, kept)


def test_a_fresh_join_gets_the_last_fifty_only():
    kept = [message(n) for n in range(1, 61)]
    sent = tuple(Sent(n, f"c{n}", f"body {n}") for n in range(1, 61))
    anna = RoomConnection("a", "anna", frames=frames(welcome(), *kept), sent=sent)
    assert violations([anna, RoomConnection("b", "boris", frames=frames(welcome(60, kept[10:])))], kept) == []
    late = RoomConnection("b", "boris", frames=frames(welcome(60, kept)))
    assert rules([anna, late], kept) == {"exact replay"}


def test_two_screens_of_one_person_are_no_resumption():
    kept = [message(1)]
    one = RoomConnection(
        "a1", "anna", frames=frames(welcome(), kept[0], ack(1)), sent=(Sent(0, "c1", "body 1"),)
    )
    two = RoomConnection("a2", "anna", frames=frames(welcome(), kept[0]))
    assert violations([one, two], kept) == []


def test_presence_follows_the_deltas():
    def delta(event, user):
        return {"type": "presence", "event": event, "user": {"id": user, "name": user}, "status": "online"}

    c = RoomConnection("a", "anna", frames=frames(welcome(), delta("join", "clara"), delta("leave", "boris")))
    assert seen_present(c) == {"anna", "clara"}
    assert present([c, RoomConnection("b", "boris", ended="cut")]) == {"anna"}


@pytest.mark.parametrize("seed", range(200))
def test_any_single_corruption_of_a_random_right_history_is_caught(seed):
    """A made room, then one live frame dropped, doubled, swapped or altered at somebody who is present."""
    rng = random.Random(seed)
    kept = [message(n, user=rng.choice(["anna", "boris"])) for n in range(1, rng.randint(4, 20))]
    connections = []
    for user in ("anna", "boris"):
        seen = []
        for m in kept:
            seen.append(m)
            if m["user"]["id"] == user:
                seen.append(ack(m["id"]))
        sent = tuple(Sent(m["id"], m["client_id"], m["body"]) for m in kept if m["user"]["id"] == user)
        connections.append(RoomConnection(f"{user}-1", user, frames=frames(welcome(), *seen), sent=sent))
    assert violations(connections, kept) == []

    data = [d for _, d in connections[0].frames]
    places = [i for i, d in enumerate(data) if d["type"] == "message"]
    at = rng.choice(places)
    match rng.choice(["drop", "double", "swap", "alter"]):
        case "drop":
            del data[at]
        case "double":
            data.insert(at, data[at])
        case "swap":
            other = rng.choice([p for p in places if p != at])
            data[at], data[other] = data[other], data[at]
        case "alter":
            data[at] = {**data[at], "body": "something else"}
    wrong = [replace(connections[0], frames=frames(*data)), connections[1]]
    assert violations(wrong, kept)
