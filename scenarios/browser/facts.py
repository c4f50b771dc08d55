"""What flows read back from the services, past the pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from playwright.sync_api import FilePayload

from clients.made_files import MadeFile
from clients.service_clients import ServiceClients
from core.clock import eventually
from core.errors import Missed
from scenarios.adapter import adapter_of
from scenarios.browser.pages import Pages


def mailed_link(services: ServiceClients, email: str, kind: str = "magiclink", *, after: int = 0) -> str:
    """The newest link mailed to an address (`after`: how many mails came before); else the admin API's."""
    if services.auth.mailbox:
        return str(services.auth.mailbox.wait_for(email, after=after).links()[0])
    made = services.auth.as_admin("POST", "/admin/generate_link", {"type": kind, "email": email})
    return str(made.demand(200).json(dict)["action_link"])


def payload(file: MadeFile) -> FilePayload:
    """A made file as a browser's file input takes it."""
    return FilePayload(name=file.name, mimeType=file.mime, buffer=file.data)


def requested(person: Pages, wanted: Callable[[str], bool], *, within: float = 20, after: int = 0) -> bool:
    """Whether a request to a wanted address left this person's browser and was accepted, waiting for it.

    `after` is how many requests came before those that count.
    """
    seen, page = person.person.seen, person.person.page

    def accepted() -> bool:
        page.evaluate("() => 1")  # Playwright hands events over only while it is spoken to
        return any(
            wanted(r["url"]) and isinstance(r["status"], int) and r["status"] < 400
            for r in seen.requests[after:]
        )

    try:
        return bool(eventually(accepted, within=within, claim="a request leaves the browser"))
    except Missed:
        return False


def answered(person: Pages, *, within: float = 5) -> None:
    """Waits until nothing that this person's browser asked is under way; a page that never rests is not waited for."""
    seen, page = person.person.seen, person.person.page

    def rests() -> bool:
        page.evaluate("() => 1")  # Playwright hands events over only while it is spoken to
        return all(r["status"] != "no answer" for r in seen.requests)

    with suppress(Missed):
        eventually(rests, within=within, claim="the page rests")


def heard(text: str, speaker: Pages, listeners: Sequence[Pages]) -> None:
    """What somebody says in a room is shown to everybody else in it. Says who sees it when somebody does not."""
    for listener in listeners:
        try:
            listener.room.reads(text)
        except AssertionError:
            everybody = (speaker, *listeners)
            seen = [one.person.name for one in everybody if one.room.message(text).count()]
            only = seen == [speaker.person.name]
            raise Missed(
                f"{listener.person.name} should read '{text}', which {speaker.person.name} said in the room",
                expected="shown to everybody in the room",
                saw="shown only to its sender" if only else f"shown to {', '.join(seen) or 'nobody'}",
                service="rooms",
            ) from None


def room_words(services: ServiceClients, room: str, token: str) -> list[str]:
    """What the room itself keeps, in its order."""
    wire = adapter_of(services.run.target).room_wire()
    answer = services.platform.call("GET", wire.history_path(room, 0, wire.rooms.page), token=token)
    messages, _ = wire.messages(answer.demand(200).json(dict))
    return [str(message["body"]) for message in messages]
