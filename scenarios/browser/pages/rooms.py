"""A room, as flows speak of it.

A platform's own pages override these (docs/adding.md); one that does not have something leaves it as it is.
"""

from __future__ import annotations

from playwright.sync_api import Locator

from scenarios.browser.pages.anypage import AnyPage, not_described


class Rooms(AnyPage):
    """A room where people talk."""

    def join(self, room: str) -> None:
        """Opens a room and waits until it is connected."""
        raise not_described(self.join)

    def types(self, text: str) -> None:
        """Types into the message field, key by key, without sending."""
        raise not_described(self.types)

    def say(self, text: str) -> None:
        """Writes and sends a message, and waits until it is known to be sent."""
        raise not_described(self.say)

    def message(self, text: str) -> Locator:
        """A message by its text."""
        raise not_described(self.message)

    def reads(self, text: str) -> None:
        """Waits until a message of somebody is shown."""
        raise not_described(self.reads)

    def words(self) -> list[str]:
        """The messages that the page shows, in its order."""
        raise not_described(self.words)

    def sees_member(self, username: str) -> None:
        """Waits until somebody is shown as present."""
        raise not_described(self.sees_member)

    def sees_member_leave(self, username: str) -> None:
        """Waits until somebody is no longer shown as present."""
        raise not_described(self.sees_member_leave)

    def is_now(self, status: str) -> None:
        """Tells the others how one is: online, away, busy."""
        raise not_described(self.is_now)

    def sees_status(self, username: str, status: str) -> None:
        """Waits until somebody is shown with this status."""
        raise not_described(self.sees_status)

    def sees_typing(self, username: str) -> None:
        """Waits until the page says that somebody is typing."""
        raise not_described(self.sees_typing)
