"""What is read and written: pages from Builder.io, posts, and the page that says how the platform is."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from playwright.sync_api import TimeoutError as PlaywrightTimeout
from playwright.sync_api import expect

from core.errors import Missed
from scenarios.browser.pages.anypage import ARRIVES
from scenarios.browser.pages.content import Content, Posts, Status


class ReferenceContent(Content):
    """A page from Builder.io."""

    components: tuple[str, ...] = ("Hero", "Quote", "Callout", "PostList")
    """The platform's own components, which its visual editor must offer."""
    inputs: Mapping[str, tuple[str, ...]] = MappingProxyType(
        {
            "Hero": ("title", "subtitle", "image", "buttonText", "buttonLink"),
            "Quote": ("text", "author"),
            "Callout": ("tone", "html"),
            "PostList": ("title", "count"),
        }
    )

    def address(self, path: str) -> str:
        """Where the platform shows the content of this path."""
        return f"/c{path}"

    def text(self, path: str) -> str:
        """Opens a content page and returns what it says now."""
        self.open(self.address(path))
        return self.test_id("content").inner_text()

    def shows(self, path: str, text: str) -> None:
        """Opens a content page and waits for a text in it."""
        self.open(self.address(path))
        self.reads_in(self.test_id("content"), text, f"'{text}' at {path}")
        self.step(f"read {path}")


class ReferencePosts(Posts):
    """Write and read posts."""

    title, body, save_button = "Title", "Body", "Save post"
    """Visible names of the two fields and the button, as a person who uses the keyboard meets them."""

    def start(self) -> None:
        """Opens the page where a post is written."""
        self.open("/posts/new")

    def fill_in(self, title: str, body: str, *, publish: bool = True) -> None:
        """Fills the form in without saving."""
        self.fill(self.title, title)
        self.fill(self.body, body)
        self.page.get_by_label("Status").select_option("published" if publish else "draft")

    def save(self) -> None:
        """Presses the button that saves."""
        self.press(self.save_button)

    def edit(self, post: str) -> None:
        """Opens a post of the person's own to change it."""
        self.open(f"/posts/{post}")
        self.page.get_by_role("link", name="Edit", exact=True).click()
        self.shown(self.button(self.save_button), f"a button '{self.save_button}'")

    def delete(self, post: str) -> None:
        """Deletes a post of the person's own."""
        self.edit(post)
        self.press("Delete post")
        self.says("The post is deleted")
        self.step("deleted a post")

    def is_shown(self, title: str) -> str:
        """Waits until the saved post is shown; returns its id."""
        words = f"{self.person.name} should see the post '{title}' once it is saved"
        expect(self.test_id("post-title"), words).to_have_text(title, timeout=ARRIVES)
        return urlsplit(self.page.url).path.rsplit("/", 1)[-1]

    def says_body(self, text: str) -> None:
        """Waits until the shown post says this."""
        self.reads_in(self.test_id("post-body"), text, f"'{text}' in the post")

    def write(self, title: str, body: str, *, publish: bool = True) -> str:
        """Writes a post; returns its id."""
        self.start()
        self.fill_in(title, body, publish=publish)
        self.save()
        identifier = self.is_shown(title)
        self.step("wrote a post")
        return identifier


class ReferenceStatus(Status):
    """What the platform says of itself, with a button that throws an error on purpose."""

    source, line = "pages/status.ts", "throw new Error("
    """The original file of that error, and what its line there says."""

    def throw(self, marker: str) -> None:
        """Throws an error that carries a marker, and waits until the page has thrown it."""
        self.open(f"/status?marker={marker}")
        try:
            with self.page.expect_event("pageerror", lambda error: marker in str(error), timeout=ARRIVES):
                self.press("Throw a test error")
        except PlaywrightTimeout:
            raise Missed(
                "'Throw a test error' throws an error in the page",
                expected=f"an uncaught error with {marker!r} in its text",
                saw=self.person.effects(),
                service="platform",
            ) from None
        self.step("threw an error")
