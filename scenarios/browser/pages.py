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

    def log_out_everywhere(self) -> None:
        """Ends every session of the account."""
        self.open("/profile")
        self.button("Log out everywhere").click()
        self.says("All your sessions are ended")
        self.step("logged out everywhere")

    def is_signed_out(self) -> None:
        """Waits until nobody is signed in here."""
        expect(self.test_id("current-user")).to_have_count(0, timeout=ARRIVES)

    def ask_for_recovery(self, email: str) -> None:
        """Asks for a link to choose a new password."""
        self.open("/recover")
        self.page.get_by_label("Email").fill(email)
        self.button("Send link").click()
        self.says("link is on its way")
        self.step("asked for a recovery link")

    def choose_password(self, password: str) -> None:
        """Chooses a new password on the page that the link opened."""
        self.page.get_by_label("New password").fill(password)
        self.button("Save password").click()
        self.says("Your new password is saved")
        self.step("chose a new password")

    def log_in_with(self, provider: str, email: str) -> None:
        """Logs in through an OAuth provider whose page takes a test identity."""
        self.open("/login")
        self.test_id(f"oauth-{provider}").click()
        self.page.get_by_label("Email").fill(email)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.test_id("current-user")).to_be_visible(timeout=ARRIVES)
        self.step(f"logged in with {provider}")

    def is_signed_in_as(self, username: str) -> None:
        """Waits until the page names this person."""
        expect(self.test_id("current-user")).to_have_text(username, timeout=ARRIVES)


class Files(AnyPage):
    """Uploads, versions, search, batch."""

    def visit(self) -> None:
        """Opens the files page."""
        self.open("/files")
        expect(self.test_id("page-files")).to_be_visible(timeout=ARRIVES)

    def upload(self, *files: Path | FilePayload) -> None:
        """Opens the page and chooses files."""
        self.visit()
        self.choose(*files)

    def choose(self, *files: Path | FilePayload) -> None:
        """Chooses files on the open page; uploading begins."""
        self.page.get_by_label("Choose files").set_input_files(list(files))  # type: ignore[arg-type]

    def upload_item(self, name: str) -> Locator:
        """The progress card of one upload."""
        return self.test_id("upload-item").filter(has_text=name)

    def row(self, name: str) -> Locator:
        """The row of a file by its name."""
        return self.test_id("file-row").filter(has_text=name)

    def shows(self, name: str, *, store: str, within: float = ARRIVES) -> str:
        """Waits for a file's row in that store; returns the file's id."""
        row = self.row(name)
        expect(row).to_be_visible(timeout=within)
        expect(row).to_have_attribute("data-store", store)
        self.step(f"{name} is in {store}")
        return str(row.get_attribute("data-file-id"))

    def search(self, text: str) -> None:
        """Filters the list by a part of the name."""
        self.page.get_by_label("Search files").fill(text)
        self.button("Find").click()

    def restore(self, name: str, version: int) -> None:
        """Opens a file's versions and restores one."""
        self.row(name).get_by_role("button", name="Versions").click()
        old = self.page.locator(f"[data-testid=version-row][data-version='{version}']")
        old.get_by_role("button", name="Restore").click()
        self.says(f"Version {version} of {name} is restored")
        self.step(f"restored version {version}")

    def delete_together(self, *names: str) -> None:
        """Selects several files and deletes them in one go."""
        for name in names:
            self.page.get_by_label(f"Select {name}").check()
        self.button("Delete selected").click()
        for name in names:
            expect(self.row(name)).to_have_count(0, timeout=ARRIVES)
        self.step("deleted together")


class Content(AnyPage):
    """A page from Builder.io."""

    def shows(self, path: str, text: str) -> str:
        """Opens a content page and waits for a text in it; returns what its cache said."""
        self.open(path)
        place = self.test_id("content")
        expect(place).to_contain_text(text, timeout=ARRIVES)
        self.step(f"read {path}")
        return str(place.get_attribute("data-cache"))


class Privacy(AnyPage):
    """Consent, export, erasure."""

    def decline(self) -> None:
        """Declines analytics in the banner."""
        self.test_id("consent-banner").get_by_role("button", name="Decline").click()
        expect(self.test_id("consent-banner")).to_have_count(0)
        self.step("declined analytics")

    def accept(self) -> None:
        """Accepts analytics in the banner."""
        self.test_id("consent-banner").get_by_role("button", name="Accept analytics").click()
        expect(self.test_id("consent-banner")).to_have_count(0)
        self.step("accepted analytics")

    def export(self) -> bytes:
        """Downloads everything that the platform holds about the person."""
        self.open("/privacy")
        with self.page.expect_download() as download:
            self.button("Export my data").click()
        self.step("exported their data")
        return Path(download.value.path()).read_bytes()

    def erase(self, email: str) -> None:
        """Deletes the account, confirmed by its address."""
        self.open("/privacy")
        self.page.get_by_label("Confirm email").fill(email)
        self.button("Delete my account").click()
        self.says("Your account is deleted")
        self.step("deleted the account")


class Posts(AnyPage):
    """Write and read posts."""

    def write(self, title: str, body: str, *, publish: bool = True) -> str:
        """Writes a post; returns its id."""
        self.open("/posts/new")
        self.page.get_by_label("Title").fill(title)
        self.page.get_by_label("Body").fill(body)
        self.page.get_by_label("Status").select_option("published" if publish else "draft")
        self.button("Save post").click()
        expect(self.test_id("post-title")).to_have_text(title, timeout=ARRIVES)
        self.step("wrote a post")
        return self.page.url.rsplit("/", 1)[-1]


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
    contents: type[Content] = Content
    privacies: type[Privacy] = Privacy
    posts: type[Posts] = Posts

    def __init__(self, stage: Stage, person: Person) -> None:
        self.person = person
        self.account = self.accounts(stage, person)
        self.file = self.files(stage, person)
        self.room = self.rooms(stage, person)
        self.content = self.contents(stage, person)
        self.privacy = self.privacies(stage, person)
        self.post = self.posts(stage, person)


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
