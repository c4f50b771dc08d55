"""P5.2 as people live it: three people in a room, one of them offline for a while."""

from __future__ import annotations

from playwright.sync_api import expect as shows

from core.expect import expect_equal
from core.passport import check
from fixtures.run import Run
from fixtures.toolbox import Services
from scenarios.browser.conftest import NewMember, Witness


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
    """Everybody's page shows the same messages in the same order as the room keeps."""
    room = f"table-{run.tag()}"
    (ada, _), (ben, b), (cem, c) = member("ada"), member("ben"), member("cem")
    for person in (ada, ben, cem):
        person.room.join(room)
    ada.room.sees_member(b.username)
    ada.room.sees_member(c.username)
    ben.person.page.get_by_label("Message", exact=True).press_sequentially("first")
    shows(ada.room.test_id("typing")).to_contain_text(b.username, timeout=10_000)
    ben.room.say("first from ben")
    for person in (ada, cem):
        person.room.reads("first from ben")
    cem.person.context.set_offline(True)
    ada.room.say("second from ada")
    ben.room.say("third from ben")
    cem.person.context.set_offline(False)
    for text in ("second from ada", "third from ben"):
        cem.room.reads(text)
    cem.room.say("fourth from cem")
    ada.room.reads("fourth from cem")
    ben.room.reads("fourth from cem")
    history = (
        services.platform.call("GET", f"/api/rooms/{room}/history", token=b.access_token)
        .demand(200)
        .json(dict)
    )
    kept = [(m["id"], m["body"]) for m in history["messages"]]
    witness("room history", "four messages in one order")
    expect_equal(
        [body for _, body in kept],
        ["first from ben", "second from ada", "third from ben", "fourth from cem"],
        "the room keeps every message once, in the order they were said",
        service="rooms",
    )
    for person in (ada, ben, cem):
        bodies = person.room.test_id("message-body").all_inner_texts()
        expect_equal(
            bodies,
            [body for _, body in kept],
            f"{person.person.name}'s page shows the room's order",
            service="rooms",
        )
    ben.person.page.goto("/")
    shows(ada.room.test_id("member").filter(has_text=b.username)).to_have_count(0, timeout=15_000)
