"""P5.2 as people live it: three people in a room, one of them offline for a while."""

from __future__ import annotations

import re

from playwright.sync_api import WebSocketRoute

from clients.service_clients import ServiceClients
from core.expect import expect, expect_equal
from core.passport import check
from core.run import Run
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
    needs=(
        "rooms.websocket",
        "platform.api",
        "platform.web",
        "settings.pages",
        "auth.email",
        "people.form",
    ),
    timeout=90,
    why_slow="three real browsers, one of them offline for a while",
)
def test_collaboration(run: Run, services: ServiceClients, member: NewMember, witness: Witness) -> None:
    """Everybody's page shows the same messages in the same order as the room keeps, marks of HTML as plain text."""
    room = f"table-{run.tag()}"
    (ada, _), (ben, b), (cem, c) = member("ada"), member("ben"), member("cem")
    for person in (ada, ben, cem):
        person.room.join(room)
    ada.room.sees_member(b.username)
    ada.room.sees_member(c.username)
    ben.room.is_now("busy")
    ada.room.sees_status(b.username, "busy")
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


@check(
    "browser.room_recovers",
    "A page whose connection to a room is ended comes back by itself, and shows what was said meanwhile",
    requirement=("P6.1", "P5.1", "P5.2"),
    service="rooms",
    needs=(
        "rooms.websocket",
        "platform.api",
        "platform.web",
        "settings.pages",
        "auth.email",
        "people.form",
    ),
    timeout=60,
    why_slow="two real browsers and a connection made anew",
)
def test_room_recovers(run: Run, services: ServiceClients, member: NewMember, witness: Witness) -> None:
    """Ended as the service ends it at a restart (close code 1012); nobody reloads, and the network is never away."""
    room = f"back-{run.tag()}"
    (ada, _), (ben, b) = member("ada"), member("ben")
    lines: list[tuple[WebSocketRoute, WebSocketRoute]] = []
    way = services.platform.path("rooms", room="")
    ada.person.context.route_web_socket(
        re.compile(re.escape(way)), lambda line: lines.append((line, line.connect_to_server()))
    )
    for person in (ada, ben):
        person.room.join(room)
    ada.room.say("before")
    heard("before", ada, (ben,))
    expect(lines, "the room is spoken to over a WebSocket (positive control)", service="rooms")
    ada.person.begin_action("lost the connection to the room")
    for end in lines[-1]:
        end.close(code=1012, reason="restart")
    ben.room.say("meanwhile")
    heard("meanwhile", ben, (ada,))
    ada.room.say("back")
    heard("back", ada, (ben,))
    kept = room_words(services, room, b.access_token)
    witness("room history", "three messages, each once")
    expect_equal(
        kept, ["before", "meanwhile", "back"], "each message is kept once, in order", service="rooms"
    )
    expect_equal(ada.room.words(), kept, "the page that came back shows the room's order", service="rooms")
