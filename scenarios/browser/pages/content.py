"""What is read and written: pages of a content system, posts, and the page that says how the platform is.

A platform's own pages override these (docs/adding.md); one that does not have something leaves it as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from scenarios.browser.pages.anypage import AnyPage, not_described


class Content(AnyPage):
    """A page from Builder.io."""

    components: tuple[str, ...] = ()
    """The platform's own components, which its visual editor must offer."""
    inputs: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    """What an editor may change of a component, by its name; of what is not named, nothing is expected."""

    def address(self, path: str) -> str:
        """Where the platform shows the content of this path."""
        raise not_described(self.address)

    def text(self, path: str) -> str:
        """Opens a content page and returns what it says now."""
        raise not_described(self.text)

    def shows(self, path: str, text: str) -> None:
        """Opens a content page and waits for a text in it."""
        raise not_described(self.shows)


class Posts(AnyPage):
    """Write and read posts."""

    title = body = save_button = ""
    """Visible names of the two fields and the button, as a person who uses the keyboard meets them."""

    def start(self) -> None:
        """Opens the page where a post is written."""
        raise not_described(self.start)

    def fill_in(self, title: str, body: str, *, publish: bool = True) -> None:
        """Fills the form in without saving."""
        raise not_described(self.fill_in)

    def save(self) -> None:
        """Presses the button that saves."""
        raise not_described(self.save)

    def edit(self, post: str) -> None:
        """Opens a post of the person's own to change it."""
        raise not_described(self.edit)

    def delete(self, post: str) -> None:
        """Deletes a post of the person's own."""
        raise not_described(self.delete)

    def is_shown(self, title: str) -> str:
        """Waits until the saved post is shown; returns its id."""
        raise not_described(self.is_shown)

    def says_body(self, text: str) -> None:
        """Waits until the shown post says this."""
        raise not_described(self.says_body)

    def write(self, title: str, body: str, *, publish: bool = True) -> str:
        """Writes a post; returns its id."""
        raise not_described(self.write)


class Status(AnyPage):
    """What the platform says of itself, with a button that throws an error on purpose."""

    source = line = ""
    """The original file of that error, and what its line there says."""

    def throw(self, marker: str) -> None:
        """Throws an error that carries a marker, and waits until the page has thrown it."""
        raise not_described(self.throw)

    def is_error_report(self, url: str) -> bool:
        """Whether a request to this address tells Sentry of an error: by the platform's relay, or straight."""
        relay = self.flow.run.target.description.telemetry.relay.sentry
        parts = urlsplit(url)
        return bool(relay and parts.path.startswith(relay)) or parts.path.endswith("/envelope/")
