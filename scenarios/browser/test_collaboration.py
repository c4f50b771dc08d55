"""P5.2 as people live it: three people in a room, one of them offline for a while."""

from __future__ import annotations

from core.expect import expect_equal
from core.passport import check
from fixtures.run import Run
from fixtures.toolbox import Services
from scenarios.browser.conftest import NewMember, Witness
from scenarios.browser.facts import heard, room_words

FOURTH = "fourth <b>from</b> cem <img src=x onerror=alert(1)>"
"""What somebody says who would like it to be HTML."""
OFFLINE = "said while offline"


@check(
    "browser.collaboration",
    "Three people talk in a room: one order for all, typing and presence seen, and nothing missed while offline",
    requirement=("P6.1", "P5.1", "P5.2"),
    service="rooms",
    capability="rooms.websocket",
    timeout=90,
    why_slow="three real browsers, one of them offline for a while",
)
def test_collaboration(run: Run, services: Services, member: NewMember, witness: Witness) -> None:
    """Everybody's page shows the same messages in the same order as the room keeps, marks of HTML as plain text."""
    room = f"table-{run.tag()}"
    (ada, _), (ben, b), (cem, c) = member("ada"), member("ben"), member("cem")
    for person in (ada, ben, cem):
        person.room.join(room)
    ada.room.sees_member(b.username)
    ada.room.sees_member(c.username)
    ben.room.types("first")
    ada.room.sees_typing(b.username)
    ben.room.say("first from ben")
    heard("first from ben", ben, (ada, cem))
    cem.person.context.set_offline(True)
    ada.room.say("second from ada")
    ben.room.say("third from ben")
    heard("third from ben", ben, (ada,))
    cem.room.types(OFFLINE)
    cem.room.press("Send")  # it waits in the page until the room is back
    cem.person.context.set_offline(False)
    heard("second from ada", ada, (cem,))
    heard("third from ben", ben, (cem,))
    heard(OFFLINE, cem, (ada, ben))
    cem.room.say(FOURTH)
    heard(FOURTH, cem, (ada, ben))
    kept = room_words(services, room, b.access_token)
    witness("room history", "five messages in one order")
    expect_equal(
        kept,
        ["first from ben", "second from ada", "third from ben", OFFLINE, FOURTH],
        "the room keeps every message once, in the order they were said",
        service="rooms",
    )
    for person in (ada, ben, cem):
        expect_equal(
            person.room.words(), kept, f"{person.person.name}'s page shows the room's order", service="rooms"
        )
    ben.account.open("/")
    ada.room.sees_member_leave(b.username)
