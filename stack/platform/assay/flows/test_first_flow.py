"""P6.1, as one person's first evening: register, confirm, upload to both stores, chat with a second one."""

from __future__ import annotations

from clients.identities import Actor, make_actor, new_identity, plan_user
from clients.made_files import MadeFile
from clients.service_clients import ServiceClients
from core.expect import expect, expect_equal
from core.ledger import Ledger
from core.passport import check
from core.run import Run
from fixtures.browser.flow import BrowserFlow
from scenarios.browser.conftest import NewPerson, Witness
from scenarios.browser.facts import heard, mailed_link, payload, room_words
from stack.platform.assay.flows.stored_files import same_bytes

SMALL, LARGE = 64 * 1024, 6 * 1024 * 1024


@check(
    "browser.register_upload_chat",
    "A person registers, confirms by mail, uploads to both stores and chats with another",
    requirement=("P6.1", "P1.2", "P2.2", "P5.2"),
    service="platform",
    needs=(
        "platform.web",
        "settings.pages",
        "platform.api",
        "auth.email",
        "database.rest",
        "storage.r2",
        "storage.supabase",
        "rooms.websocket",
        "people.form",
        "people.register",
        "people.confirmed_by_mail",
    ),
    timeout=90,
    why_slow="three real browser contexts through registration, two uploads and a room",
)
def test_register_upload_chat(
    run: Run, flow: BrowserFlow, people: NewPerson, services: ServiceClients, ledger: Ledger, witness: Witness
) -> None:
    """Every fact is read back from the service that keeps it, never from the page."""
    email, username, password = new_identity(run, services)
    entry = plan_user(ledger, email)
    ada = people("ada")
    ada.account.register(username, email, password)
    ada.account.follow_mail(mailed_link(services, email))
    ada.account.is_signed_in_as(username)
    identifier = services.auth.find_id(email)
    expect(identifier, "the registered person exists at Supabase Auth", service="supabase.auth")
    entry.confirm(id=identifier)
    witness("admin API", "the person who registered in the browser exists")

    small = MadeFile(f"small-{run.tag()}.bin", SMALL, run.tag(), "application/octet-stream")
    large = MadeFile(f"large-{run.tag()}.bin", LARGE, run.tag(), "application/octet-stream")
    ada.file.upload(payload(small), payload(large))
    same_bytes(services, ada.file.shows(small.name, store="supabase"), small, witness)
    same_bytes(services, ada.file.shows(large.name, store="r2"), large, witness)

    other: Actor = make_actor(run, services, ledger)
    ben = people("ben")
    ben.account.log_in(other.email, other.password)
    room = f"evening-{run.tag()}"
    ada.room.join(room)
    ben.room.join(room)
    ada.room.sees_member(other.username)
    ada.room.say("good evening")
    heard("good evening", ada, (ben,))
    ben.room.say("hello to you")
    heard("hello to you", ben, (ada,))
    expect_equal(
        room_words(services, room, other.access_token),
        ["good evening", "hello to you"],
        "the room keeps both messages in the order they were said",
        service="rooms",
    )
    witness("room history", "both messages are kept in order")
    flow.picture(ada.person, "the-room")
