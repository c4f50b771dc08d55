"""A platform's pages as people use them. Flows speak to pages by the methods of these classes alone.

A platform says how its pages are used in a module beside its target.toml: subclasses of `Pages` and of each page,
named in its settings (docs/adding.md). The reference platform's are in `stack/platform/assay/pages/`.
"""

from __future__ import annotations

from pathlib import Path

from core.project import own_class
from core.target import Target
from fixtures.browser.flow import BrowserFlow
from fixtures.browser.users import BrowserUser
from scenarios.browser.pages.accounts import Accounts, Privacy
from scenarios.browser.pages.anypage import ARRIVES, AnyPage
from scenarios.browser.pages.content import Content, Posts, Status
from scenarios.browser.pages.files import Files
from scenarios.browser.pages.rooms import Rooms


class Pages:
    """Every page, for one person. Subclass it to say how a platform's are used."""

    accounts: type[Accounts] = Accounts
    files: type[Files] = Files
    rooms: type[Rooms] = Rooms
    contents: type[Content] = Content
    privacies: type[Privacy] = Privacy
    posts: type[Posts] = Posts
    statuses: type[Status] = Status

    def __init__(self, flow: BrowserFlow, person: BrowserUser) -> None:
        self.person = person
        described = flow.run.target.description.platform.pages
        self.public = described.public
        """Addresses that everybody may open."""
        self.signed_in = described.signed_in
        """Addresses for people with an account."""
        self.account = self.accounts(flow, person)
        self.file = self.files(flow, person)
        self.room = self.rooms(flow, person)
        self.content = self.contents(flow, person)
        self.privacy = self.privacies(flow, person)
        self.post = self.posts(flow, person)
        self.status = self.statuses(flow, person)
        person.is_noise = lambda url: self.privacy.is_analytics(url) or self.status.is_error_report(url)


def pages_of(target: Target, beside: Path | None = None) -> type[Pages]:
    """The class that the target names in its settings, else one that has no page; `beside` is the folder of its target.toml.

    Raises ConfigError when the name leads nowhere.
    """
    named = str(target.settings.get("pages", "")) or target.description.settings.pages
    if not named:
        return Pages
    return own_class(named, beside.resolve() if beside else target.description.folder, Pages, "pages")


__all__ = [
    "ARRIVES",
    "Accounts",
    "AnyPage",
    "Content",
    "Files",
    "Pages",
    "Posts",
    "Privacy",
    "Rooms",
    "Status",
    "pages_of",
]
