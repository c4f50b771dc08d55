"""A room's wire: what a platform says in its own form is heard in ours, and ours is handed on as it came."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.description import parse_description, read_description
from core.description.rooms import KINDS
from core.errors import ConfigError, Missed, NotDescribed
from core.project import REFERENCE
from core.room_wire import RoomWire

OWN = """
[rooms]
path = "/talk/{room}"
query = { key = "{token}" }
since = "after"
history = { path = "/talk/{room}/lines", query = { after = "{since}", most = "{limit}" } }
frames.send = { say = "{body}", ref = "{client_id}", kind = "line" }
[rooms.hears]
welcome = { when = { k = "hello" }, fields = { last_id = "upto", messages = "past", members = "who" } }
message.when = { k = "line" }
ack = { when = { k = "noted" }, fields = { id = "no", client_id = "ref" } }
join = { when = { k = "door", in = true }, fields = { "user.id" = "by" } }
leave = { when = { k = "door", in = false }, fields = { "user.id" = "by" } }
error.when = { k = "door" }
[rooms.parts]
message = { id = "no", client_id = "ref", "user.id" = "by", body = "words" }
member = { id = "uid" }
history = { messages = "lines" }
"""


def wire(text=OWN):
    rooms = parse_description(text).rooms
    assert rooms is not None
    return RoomWire(rooms)


def test_another_platforms_frames_are_heard_in_our_words():
    its = wire()
    line = {"k": "line", "no": 3, "ref": "a", "by": "u", "words": "hi"}
    said = {"id": 3, "client_id": "a", "user": {"id": "u"}, "body": "hi"}
    assert its.heard(line) == {"type": "message", **said}
    welcome = its.heard({"k": "hello", "upto": 3, "past": [line], "who": [{"uid": "u"}]})
    assert welcome == {"type": "welcome", "last_id": 3, "messages": [said], "members": [{"id": "u"}]}
    assert its.heard({"k": "noted", "no": 3, "ref": "a"}) == {"type": "ack", "id": 3, "client_id": "a"}
    for way, event in ((True, "join"), (False, "leave")):
        heard = its.heard({"k": "door", "in": way, "by": "u"})
        assert heard == {"type": "presence", "event": event, "user": {"id": "u"}}
    assert its.heard({"k": "door"})["type"] == "error"
    assert its.heard({"k": "else"})["type"] == "unknown"
    assert its.messages({"lines": [line]}) == ([said], None)
    with pytest.raises(Missed, match="tells its messages"):
        its.messages({"rows": []})


def test_addresses_and_frames_are_filled():
    its = wire()
    assert its.address("r", since=3, token="t") == "/talk/r?after=3&key=t"
    assert its.frame("send", body="b", client_id="1") == {"say": "b", "ref": "1", "kind": "line"}
    assert its.history_path("r", 0, 5) == "/talk/r/lines?after=0&most=5"
    assert its.subprotocols("t") == []
    for ask in (lambda: its.frame("typing", on=True), lambda: its.presence_path("r")):
        with pytest.raises(NotDescribed):
            ask()


@given(st.sampled_from(sorted(KINDS)), st.dictionaries(st.text(), st.integers() | st.text()))
def test_a_frame_in_our_own_form_is_handed_on_as_it_came(kind, more):
    rooms = read_description(REFERENCE / "target.toml").rooms
    assert rooms is not None
    frame = {**more, **rooms.hears[kind].when}
    assert RoomWire(rooms).heard(frame) is frame


WRONG = [
    ('frames.send = { say = "{body}" }', "without {body} and {client_id}"),
    ('[rooms.hears]\nhello.when = { k = "x" }', "'hello' is not known"),
    ('[rooms.hears]\nwelcome.when = { k = "x" }', "says nothing of message, ack"),
    ('[rooms.hears]\nmessage = { when = { k = "x" }, fields = { boddy = "x" } }', "'boddy' is not known"),
    ('[rooms.parts]\nmessage = { number = "no" }', "'number' is not known"),
    ('bad = [{ name = "x", frame = { a = "{long}" }, codes = ["c"] }]', "{long}, which is not known there"),
]


@pytest.mark.parametrize(("text", "says"), WRONG)
def test_what_is_wrong_is_one_sentence_with_its_line(text, says):
    with pytest.raises(ConfigError) as caught:
        parse_description(f'[rooms]\npath = "/talk/{{room}}"\n{text}\n')
    assert says in str(caught.value)
    assert str(caught.value).startswith("target.toml line ")
