"""What every page has, and how an expectation of a page is put into words."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from core.errors import Missed, NotDescribed
from fixtures.browser.flow import BrowserFlow
from fixtures.browser.users import BrowserUser

ARRIVES = 15_000
"""Milliseconds within which a page shows what a service answered."""


def not_described(action: Callable[..., object]) -> NotDescribed:
    """The error of a page that a platform does not have: its project's pages override no such method."""
    return NotDescribed(f"settings.pages: {action.__qualname__}")


class AnyPage:
    """Notice, error line, buttons and fields by their visible names; expectations that name who expected what."""

    def __init__(self, flow: BrowserFlow, person: BrowserUser) -> None:
        self.flow = flow
        self.person = person
        self.page: Page = person.page
        self.baited = ""
        """A query that every address opened here carries besides, as a stranger's link would."""

    def open(self, path: str) -> None:
        """Goes to a path and waits until its first picture is drawn."""
        self.person.begin_action(f"opened {path}")
        joint = "&" if "?" in path else "?"
        self.page.goto(f"{path}{joint}{self.baited}" if self.baited else path)
        self.is_drawn()

    def follow(self, path: str) -> None:
        """Follows the open page's own link to a path, as people do: the page need not be loaded anew."""
        link = self.page.locator(f'a[href="{path}"]').first
        self.shown(link, f"a link to {path}")
        self.person.begin_action(f"followed the link to {path}")
        link.click()
        self.page.wait_for_url(lambda url: urlsplit(url).path == path)
        self.is_drawn()

    def downloaded(self, name: str, inside: Locator | None = None) -> bytes:
        """Presses a button and returns the bytes of the download that follows."""
        try:
            with self.page.expect_download(timeout=ARRIVES) as download:
                self.press(name, inside)
        except PlaywrightTimeout:
            raise Missed(
                f"'{name}' should give {self.person.name} a file",
                expected="a download",
                saw=self.person.effects(),
                service="platform",
            ) from None
        return Path(download.value.path()).read_bytes()

    def reload(self) -> None:
        """Loads the open page again and waits until it is drawn."""
        self.person.begin_action("reloaded the page")
        self.page.reload()
        self.is_drawn()

    def is_drawn(self) -> None:
        """Waits until the page has drawn what it is about."""
        drawn = self.page.locator("html[data-ready=true]")
        expect(drawn, f"{self.person.name}'s page should be drawn").to_be_attached(timeout=ARRIVES)

    def test_id(self, name: str) -> Locator:
        """Elements by their stable test id."""
        return self.page.get_by_test_id(name)

    def button(self, name: str) -> Locator:
        """A button by its exact visible name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def press(self, name: str, inside: Locator | None = None) -> None:
        """Presses a button; a failure that follows tells what came of it."""
        found = inside.get_by_role("button", name=name, exact=True) if inside else self.button(name)
        self.shown(found, f"a button '{name}'")
        self.person.begin_action(f"pressed '{name}'")
        found.click()

    def fill(self, label: str, text: str) -> None:
        """Types into the field with this label."""
        found = self.page.get_by_label(re.compile(f"^{re.escape(label)}")).first  # a hint may follow
        self.shown(found, f"a field '{label}'")
        found.fill(text)

    def shown(self, what: Locator, words: str, *, within: float = ARRIVES) -> None:
        """Waits for something to be seen; `words` say what, after "ada should see"."""
        expect(what, f"{self.person.name} should see {words}").to_be_visible(timeout=within)

    def gone(self, what: Locator, words: str, *, within: float = ARRIVES) -> None:
        """Waits until something is there no more; `words` say what, after "ada should no longer see"."""
        expect(what, f"{self.person.name} should no longer see {words}").to_have_count(0, timeout=within)

    def reads_in(self, where: Locator, text: str, words: str, *, within: float = ARRIVES) -> None:
        """Waits until an element holds a text; `words` say what is read, after "ada should read"."""
        expect(where, f"{self.person.name} should read {words}").to_contain_text(text, timeout=within)

    def says(self, text: str) -> None:
        """Waits for the notice to say something."""
        self.reads_in(self.test_id("notice"), text, f"the notice '{text}'")

    def tells_an_error(self) -> None:
        """Waits until the page tells the person that something went wrong."""
        error = self.test_id("error")
        expect(error, f"{self.person.name} should be told that something went wrong").not_to_be_empty(
            timeout=ARRIVES
        )

    def step(self, name: str) -> None:
        """Marks a step for the evidence."""
        self.flow.step(self.person, name)
