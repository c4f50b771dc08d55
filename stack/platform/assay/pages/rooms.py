"""A room: members, messages, typing."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, expect

from scenarios.browser.pages.anypage import ARRIVES
from scenarios.browser.pages.rooms import Rooms


class ReferenceRooms(Rooms):
    """A room where people talk."""

    def join(self, room: str) -> None:
        """Opens a room and waits until it is connected."""
        self.open(f"/rooms/{room}")
        self.reads_in(self.test_id("room-status"), "online", "that the room is connected")
        self.step("joined")

    def types(self, text: str) -> None:
        """Types into the message field, key by key, without sending."""
        self.person.begin_action("typed a message")
        self.page.get_by_label("Message", exact=True).press_sequentially(text)

    def say(self, text: str) -> None:
        """Writes and sends a message, and waits until it is known to be sent."""
        self.page.get_by_label("Message", exact=True).fill(text)
        self.press("Send")
        sent = f"{self.person.name} should see '{text}' as sent"
        expect(self.message(text), sent).to_have_attribute("data-state", "sent", timeout=ARRIVES)
        self.step("said something")

    def message(self, text: str) -> Locator:
        """A message by its text."""
        return self.test_id("message").filter(has_text=text)

    def reads(self, text: str) -> None:
        """Waits until a message of somebody is shown."""
        self.shown(self.message(text), f"the message '{text}'")
        self.step("read a message")

    def words(self) -> list[str]:
        """The messages that the page shows, in its order."""
        return self.test_id("message-body").all_inner_texts()

    def sees_member(self, username: str) -> None:
        """Waits until somebody is shown as present."""
        self.shown(self.test_id("member").filter(has_text=username), f"{username} among those present")

    def sees_member_leave(self, username: str) -> None:
        """Waits until somebody is no longer shown as present."""
        self.gone(self.test_id("member").filter(has_text=username), f"{username} among those present")

    def is_now(self, status: str) -> None:
        """Tells the others how one is: online, away, busy."""
        self.person.begin_action(f"chose the status '{status}'")
        self.page.get_by_label(re.compile("^Status")).select_option(status)

    def sees_status(self, username: str, status: str) -> None:
        """Waits until somebody is shown with this status."""
        words = f"{self.person.name} should see {username} as {status}"
        expect(self.test_id("member").filter(has_text=username), words).to_have_attribute(
            "data-status", status, timeout=ARRIVES
        )

    def sees_typing(self, username: str) -> None:
        """Waits until the page says that somebody is typing."""
        self.reads_in(self.test_id("typing"), username, f"that {username} is typing")
