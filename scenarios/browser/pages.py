"""The platform's pages as people use them: by label, role and text. One small class a page.

Replaceable: a platform with other pages subclasses `Pages`, or any page, and names its class in target.toml.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from playwright.sync_api import FilePayload, Locator, Page, expect

from core.errors import ConfigError
from core.target import Target
from fixtures.browser import Person, Stage

ARRIVES = 15_000
"""Milliseconds within which a page shows what a service answered."""


class AnyPage:
    """What every page has: notice, error, the signed-in user, the consent banner."""

    def __init__(self, stage: Stage, person: Person) -> None:
        self.stage = stage
        self.person = person
        self.page: Page = person.page

    def open(self, path: str) -> None:
        """Goes to a path and waits until its first picture is drawn."""
        self.page.goto(path)
        expect(self.page.locator("html[data-ready=true]")).to_be_attached(timeout=ARRIVES)

    def test_id(self, name: str) -> Locator:
        """Elements by their stable test id."""
        return self.page.get_by_test_id(name)

    def button(self, name: str) -> Locator:
        """A button by its exact visible name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def says(self, text: str) -> None:
        """Waits for the notice to say something."""
        expect(self.test_id("notice")).to_contain_text(text, timeout=ARRIVES)

    def step(self, name: str) -> None:
        """Marks a step for the evidence."""
        self.stage.step(self.person, name)


class Accounts(AnyPage):
    """Register, confirm, log in, log out, recover."""

    def register(self, username: str, email: str, password: str) -> None:
        """Fills the registration in and waits for the hint to confirm."""
        self.open("/register")
        self.page.get_by_label("Username").fill(username)
        self.page.get_by_label("Email").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.button("Create account").click()
        expect(self.test_id("confirm-hint")).to_be_visible(timeout=ARRIVES)
        self.step("registered")

    def follow_mail(self, link: str) -> None:
        """Opens the link of a mail in this browser, as a person does."""
        self.page.goto(link)
        expect(self.page.locator("html[data-ready=true]")).to_be_attached(timeout=ARRIVES)
        self.step("followed the mail")

    def log_in(self, email: str, password: str) -> None:
        """Logs in and waits until the page knows who is there."""
        self.open("/login")
        self.page.get_by_label("Email").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.button("Log in").click()
        expect(self.test_id("current-user")).to_be_visible(timeout=ARRIVES)
        self.step("logged in")

    def is_signed_in_as(self, username: str) -> None:
        """Waits until the page names this person."""
        expect(self.test_id("current-user")).to_have_text(username, timeout=ARRIVES)


class Files(AnyPage):
    """Uploads, versions, search, batch."""

    def upload(self, *files: Path | FilePayload) -> None:
        """Chooses files and waits until each upload ended well."""
        self.open("/files")
        self.page.get_by_label("Choose files").set_input_files(list(files))  # type: ignore[arg-type]

    def row(self, name: str) -> Locator:
        """The row of a file by its name."""
        return self.test_id("file-row").filter(has_text=name)

    def shows(self, name: str, *, store: str) -> str:
        """Waits for a file's row in that store; returns the file's id."""
        row = self.row(name)
        expect(row).to_be_visible(timeout=ARRIVES)
        expect(row).to_have_attribute("data-store", store)
        self.step(f"{name} is in {store}")
        return str(row.get_attribute("data-file-id"))


class Rooms(AnyPage):
    """A room: members, messages, typing."""

    def join(self, room: str) -> None:
        """Opens a room and waits until it is connected."""
        self.open(f"/rooms/{room}")
        expect(self.test_id("room-status")).to_contain_text("online", timeout=ARRIVES)
        self.step("joined")

    def say(self, text: str) -> None:
        """Writes and sends a message, and waits until it is known to be sent."""
        self.page.get_by_label("Message", exact=True).fill(text)
        self.button("Send").click()
        expect(self.message(text)).to_have_attribute("data-state", "sent", timeout=ARRIVES)
        self.step("said something")

    def message(self, text: str) -> Locator:
        """A message by its text."""
        return self.test_id("message").filter(has_text=text)

    def reads(self, text: str) -> None:
        """Waits until a message of somebody is shown."""
        expect(self.message(text)).to_be_visible(timeout=ARRIVES)
        self.step("read a message")

    def sees_member(self, username: str) -> None:
        """Waits until somebody is shown as present."""
        expect(self.test_id("member").filter(has_text=username)).to_be_visible(timeout=ARRIVES)


class Pages:
    """Every page, for one person. Subclass it to replace pages."""

    accounts: type[Accounts] = Accounts
    files: type[Files] = Files
    rooms: type[Rooms] = Rooms

    def __init__(self, stage: Stage, person: Person) -> None:
        self.person = person
        self.account = self.accounts(stage, person)
        self.file = self.files(stage, person)
        self.room = self.rooms(stage, person)


def pages_of(target: Target) -> type[Pages]:
    """The class that the target names in its settings, else ours. Raises ConfigError."""
    named = str(target.settings.get("pages", ""))
    if not named:
        return Pages
    module, _, name = named.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"target.toml [settings] pages names '{named}', which cannot be imported: {error}."
        ) from None
    if not (isinstance(found, type) and issubclass(found, Pages)):
        raise ConfigError(
            f"target.toml [settings] pages: '{named}' is not a subclass of scenarios.browser.pages.Pages."
        )
    return found
