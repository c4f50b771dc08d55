"""Uploads, versions, search, and many files at once, as flows speak of them.

A platform's own pages override these (docs/adding.md); one that does not have something leaves it as it is.
"""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import FilePayload, Locator

from scenarios.browser.pages.anypage import ARRIVES, AnyPage, not_described


class Files(AnyPage):
    """A person's files."""

    part = re.compile(r"(?!)")
    """Addresses that one part of a large file is sent to."""

    def visit(self) -> None:
        """Opens the files page."""
        raise not_described(self.visit)

    def upload(self, *files: Path | FilePayload) -> None:
        """Opens the page and chooses files."""
        raise not_described(self.upload)

    def choose(self, *files: Path | FilePayload) -> None:
        """Chooses files on the open page; uploading begins."""
        raise not_described(self.choose)

    def upload_item(self, name: str) -> Locator:
        """The card of the newest upload of this name."""
        raise not_described(self.upload_item)

    def progress(self, name: str) -> float:
        """How much of an upload its card shows, from 0 to 1."""
        raise not_described(self.progress)

    def cut_midway(self, path: Path, parts: int) -> set[str]:
        """Chooses a file; the network goes away once so many parts of it have arrived. Returns their addresses."""
        raise not_described(self.cut_midway)

    def waits(self, name: str) -> None:
        """Waits until an upload says that it waits for the network."""
        raise not_described(self.waits)

    def row(self, name: str) -> Locator:
        """The row of a file by its name."""
        raise not_described(self.row)

    def shows(self, name: str, *, store: str, within: float = ARRIVES) -> str:
        """Waits for a file's row in that store; returns the file's id."""
        raise not_described(self.shows)

    def lists(self, name: str) -> None:
        """Waits until a file is listed."""
        raise not_described(self.lists)

    def lists_no_more(self, name: str) -> None:
        """Waits until a file is not listed."""
        raise not_described(self.lists_no_more)

    def is_version(self, name: str, version: int) -> None:
        """Waits until a file's row shows this version."""
        raise not_described(self.is_version)

    def search(self, text: str) -> None:
        """Filters the list by a part of the name."""
        raise not_described(self.search)

    def restore(self, name: str, version: int) -> None:
        """Opens a file's versions and restores one."""
        raise not_described(self.restore)

    def download(self, name: str) -> bytes:
        """The bytes that a file's row hands out."""
        raise not_described(self.download)

    def rename(self, name: str, new: str) -> None:
        """Gives a file another name."""
        raise not_described(self.rename)

    def move_together(self, folder: str, *names: str) -> None:
        """Selects several files and moves them in one go."""
        raise not_described(self.move_together)

    def delete_together(self, *names: str) -> None:
        """Selects several files and deletes them in one go."""
        raise not_described(self.delete_together)
