"""A mailbox that a check can read: Mailpit's API, or anything of its shape. The address may be absent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from clients.http_port import HttpPort
from clients.strict_json import strict_json
from core.clock import eventually
from core.errors import Missed
from core.permit import Permit

SERVICE = "supabase.auth"


@dataclass(frozen=True)
class Mail:
    """One received message."""

    id: str
    to: tuple[str, ...]
    subject: str
    text: str
    html: str

    def links(self) -> list[str]:
        """Every address in the message, HTML entities resolved; Missed when one is asked for that is not there."""
        found = re.findall(r"https?://[^\s\"'<>)]+", f"{self.html}\n{self.text}")

        def on_missing(what: str) -> Missed:
            saw = (self.text or self.html)[:300]
            return Missed(f"the mail {self.subject!r} holds a link", expected=what, saw=saw, service=SERVICE)

        links: list[str] = strict_json(
            list(dict.fromkeys(a.replace("&amp;", "&") for a in found)), on_missing
        )
        return links


class Mailbox:
    """Reads by recipient, so that checks running beside each other do not see each other's mail."""

    def __init__(self, url: str, permit: Permit) -> None:
        self._port = HttpPort(SERVICE, permit, base=url, headers={"Accept": "application/json"})

    def for_address(self, address: str) -> list[Mail]:
        """Messages to this address, newest first."""
        listed = self._port.request("GET", "/api/v1/messages", params={"limit": 500}).demand(200).json(dict)
        mine = [m for m in listed.get("messages", []) if address.lower() in _addresses(m.get("To"))]
        return [self._read(str(m["ID"])) for m in mine]

    def wait_for(self, address: str, *, within: str | float = 10, after: int = 0) -> Mail:
        """The newest message to this address once there are more than `after`."""
        found = eventually(
            lambda: self.for_address(address),
            until=lambda mails: len(mails) > after,
            within=within,
            claim=f"a mail to the test identity arrives (more than {after})",
            service=SERVICE,
        )
        return found[0]

    def delete_for(self, address: str) -> None:
        """Removes the messages to this address."""
        ids = [mail.id for mail in self.for_address(address)]
        if ids:
            self._port.request("DELETE", "/api/v1/messages", body={"IDs": ids}).demand(200, 204)

    def _read(self, identifier: str) -> Mail:
        m = self._port.request("GET", f"/api/v1/message/{identifier}").demand(200).json(dict)
        return Mail(
            id=identifier,
            to=tuple(_addresses(m.get("To"))),
            subject=str(m.get("Subject", "")),
            text=str(m.get("Text", "")),
            html=str(m.get("HTML", "")),
        )

    def close(self) -> None:
        """Closes the connections."""
        self._port.close()


def _addresses(people: Any) -> list[str]:
    return [str(person.get("Address", "")).lower() for person in people or [] if isinstance(person, dict)]
