"""People under load, without a target: what a seat finds wrong, whose token it is, addresses that differ."""

import base64
import json
import time
from types import SimpleNamespace

import pytest

from loadprofiles.users import room_member
from loadprofiles.users.file_round_trip import NUMBERED, RoundTripFile
from loadprofiles.users.room_monitor import text_of
from loadprofiles.users.session import EARLY, UserSession, seen_as, subject, whose

ROOM = "load-abc-1"


@pytest.fixture
def listener():
    """A seat that has heard nothing yet."""
    made = object.__new__(room_member.RoomMember)
    made.room, made.last_id, made._missing = ROOM, 0, set()
    made.monitor = SimpleNamespace(wire=SimpleNamespace(rooms=SimpleNamespace(consecutive=True)))
    return made


def message(number, room=ROOM, body=None):
    client_id = f"{room}.7.{number}"
    return {"id": number, "client_id": client_id, "body": body or text_of(client_id)}


def heard(listener, *numbers):
    return [listener._wrong_with(message(number)) for number in numbers]


def test_messages_in_order_are_right(listener):
    assert heard(listener, 1, 2, 3) == [None, None, None]
    assert listener.last_id == 3


@pytest.mark.parametrize(
    ("numbers", "found"),
    [
        ((1, 2, 2, 3), [None, None, "a message came twice", None]),
        ((1, 3, 4), [None, "a message was left out before this one", None]),
        ((1, 3, 2, 4), [None, "a message was left out before this one", "a message came out of order", None]),
    ],
)  # fmt: skip
def test_what_is_lost_doubled_or_swapped_is_named(listener, numbers, found):
    assert heard(listener, *numbers) == found


def test_what_is_altered_or_of_another_room_is_named(listener):
    assert listener._wrong_with(message(1, body="something else")) == "a message came altered"
    assert listener._wrong_with(message(2, room="load-abc-2")) == "a message of another room came"
    assert listener._wrong_with(message(3)) is None


class Answer:
    def __init__(self, status, document):
        self.status, self._document = status, document

    def json(self):
        return self._document


def token_for(user):
    claims = base64.urlsafe_b64encode(json.dumps({"sub": user}).encode()).rstrip(b"=").decode()
    return f"h.{claims}.s"


def session(user, signed_for=None, refresh="r"):
    return {
        "user": {"id": user},
        "access_token": token_for(signed_for or user),
        "refresh_token": refresh,
    }


def test_a_session_must_be_of_the_person_and_signed_for_them():
    judge = whose("anna")
    assert judge(Answer(200, session("anna"))) is None
    assert judge(Answer(200, session("boris"))) == "another user's session"
    assert judge(Answer(200, session("anna", signed_for="boris"))) == "another user's session"
    assert judge(Answer(200, session("anna", refresh=""))) == "a session that cannot be renewed"
    assert judge(Answer(400, {})) == "answered 400"
    assert subject("no token") == ""


def test_the_platform_must_see_the_person_at_their_address():
    judge = seen_as("anna", "127.1.2.3")
    assert judge(Answer(200, {"id": "anna", "address": "127.1.2.3"})) is None
    assert (
        judge(Answer(200, {"id": "boris", "address": "127.1.2.3"}))
        == "the platform takes a person for somebody else"
    )
    assert judge(Answer(200, {"id": "anna", "address": "127.0.0.1"})) == (
        "the platform sees another address than was sent from"
    )
    assert seen_as("anna", None)(Answer(200, {"id": "anna", "address": "203.0.113.9"})) is None


@pytest.mark.parametrize(("left", "renewed"), [(EARLY + 60, False), (EARLY - 60, True)])
def test_a_token_is_renewed_before_it_ends(monkeypatch, left, renewed):
    person = object.__new__(UserSession)
    person._token, person._ends = "old", time.time() + left
    monkeypatch.setattr(UserSession, "refresh", lambda self: setattr(self, "_token", "new"))
    assert person.token == ("new" if renewed else "old")


def test_small_parcels_differ_and_large_ones_go_to_the_other_store():
    small, large = RoundTripFile(1000, "1kB"), RoundTripFile(NUMBERED + 1, "large")
    assert small.make()[1] != small.make()[1]
    assert len(small.make()[0]) == 1000
    assert large.make()[1] == large.make()[1]


def test_people_of_all_workers_send_from_different_addresses(engine, monkeypatch):
    found = []
    for number in range(3):
        monkeypatch.setattr(engine, "worker_rank", lambda number=number: (number, 3))
        monkeypatch.setattr(engine, "_addresses", iter(range(2, 402)))
        found += [engine.next_address("http://127.0.0.1:80") for _ in range(400)]
    assert len(set(found)) == 1200
    assert all(address.startswith("127.") for address in found)
    assert engine.next_address("https://platform.example") is None
