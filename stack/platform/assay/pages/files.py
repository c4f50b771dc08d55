"""Uploads, versions, search, and many files at once."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import FilePayload, Locator, expect

from core.clock import eventually
from core.errors import Missed
from scenarios.browser.pages.anypage import ARRIVES
from scenarios.browser.pages.files import Files

BYTES_PER_S = 8_000_000
UNSLOWED = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}


class ReferenceFiles(Files):
    """A person's files."""

    part = re.compile(r"/api/upload/[^/]+/parts/")
    """Addresses that one part of a large file is sent to."""

    def visit(self) -> None:
        """Opens the files page."""
        self.open("/files")
        self.shown(self.test_id("page-files"), "their files")

    def upload(self, *files: Path | FilePayload) -> None:
        """Opens the page and chooses files."""
        self.visit()
        self.choose(*files)

    def choose(self, *files: Path | FilePayload) -> None:
        """Chooses files on the open page; uploading begins."""
        self.person.begin_action("chose files to upload")
        self.page.get_by_label("Choose files").set_input_files(list(files))  # type: ignore[arg-type]

    def upload_item(self, name: str) -> Locator:
        """The card of the newest upload of this name."""
        return self.test_id("upload-item").filter(has_text=name).first

    def progress(self, name: str) -> float:
        """How much of an upload its card shows, from 0 to 1."""
        bar = self.upload_item(name).get_by_test_id("progress")
        return float(bar.evaluate("bar => bar.value / bar.max"))

    def cut_midway(self, path: Path, parts: int) -> set[str]:
        """Chooses a file; the network goes away once so many parts of it have arrived. Returns their addresses.

        Until then Chromium's network is slow enough that the rest cannot have gone up, however late we cut it.
        (A route that counts parts would hand every body to Playwright, which costs more than the upload.)
        """
        context, seen = self.person.context, self.person.seen
        slow = context.new_cdp_session(self.page) if self.flow.kind == "chromium" else None
        if slow:
            slow.send("Network.emulateNetworkConditions", {**UNSLOWED, "uploadThroughput": BYTES_PER_S})

        def arrived() -> set[str]:
            self.page.evaluate("() => 1")  # Playwright hands events over only while it is spoken to
            return {r["url"] for r in seen.requests if r["status"] == 200 and self.part.search(r["url"])}

        self.choose(path)
        eventually(
            arrived,
            until=lambda urls: len(urls) >= parts,
            within=60,
            claim=f"{parts} parts of {path.name} arrive",
            service="platform",
        )
        context.set_offline(True)
        if slow:
            slow.detach()
        self.waits(path.name)
        return arrived()

    def waits(self, name: str) -> None:
        """Waits until an upload says that it waits for the network."""
        words = f"{self.person.name} should be told that {name} waits for the network"
        expect(self.upload_item(name), words).to_have_attribute("data-state", "waiting", timeout=2 * ARRIVES)
        self.step("the network is away")

    def row(self, name: str) -> Locator:
        """The row of a file by its name."""
        return self.test_id("file-row").filter(has_text=name)

    def shows(self, name: str, *, store: str, within: float = ARRIVES) -> str:
        """Waits for a file's row in that store; returns the file's id."""
        row = self.row(name)
        try:
            self.shown(row, f"{name} in their files", within=within)
        except AssertionError:
            raise Missed(
                f"{name} should be in {self.person.name}'s files once {self._status_of(name)}",
                expected=f"{name}, kept in {store}",
                saw="no such file",
                service="platform",
            ) from None
        kept = f"{self.person.name} should see {name} kept in {store}"
        expect(row, kept).to_have_attribute("data-store", store)
        self.step(f"{name} is in {store}")
        return str(row.get_attribute("data-file-id"))

    def _status_of(self, name: str) -> str:
        try:
            said = " ".join(self.upload_item(name).inner_text(timeout=1000).split())
            return f"its upload shows {self.progress(name):.0%} ({said!r})"
        except PlaywrightError:
            return "it was chosen for upload (no upload of it is shown)"

    def lists(self, name: str) -> None:
        """Waits until a file is listed."""
        self.shown(self.row(name), f"{name} in their files")

    def lists_no_more(self, name: str) -> None:
        """Waits until a file is not listed."""
        self.gone(self.row(name), f"{name} in their files")

    def is_version(self, name: str, version: int) -> None:
        """Waits until a file's row shows this version."""
        shown = self.row(name).get_by_test_id("file-version")
        words = f"{self.person.name} should see {name} as version {version}"
        expect(shown, words).to_have_text(f"v{version}", timeout=ARRIVES)

    def search(self, text: str) -> None:
        """Filters the list by a part of the name."""
        self.fill("Search files", text)
        self.press("Find")

    def restore(self, name: str, version: int) -> None:
        """Opens a file's versions and restores one."""
        self.press("Versions", self.row(name))
        old = self.page.locator(f"[data-testid=version-row][data-version='{version}']")
        self.press("Restore", old)
        self.says(f"Version {version} of {name} is restored")
        self.step(f"restored version {version}")

    def download(self, name: str) -> bytes:
        """The bytes that a file's row hands out."""
        data = self.downloaded("Download", self.row(name))
        self.step("downloaded")
        return data

    def rename(self, name: str, new: str) -> None:
        """Gives a file another name."""
        self.press("Rename", self.row(name))
        self.fill("New name", new)
        self.press("Save name")
        self.lists(new)
        self.step("renamed")

    def move_together(self, folder: str, *names: str) -> None:
        """Selects several files and moves them in one go."""
        for name in names:
            self.page.get_by_label(f"Select {name}").check()
        self.fill("Target folder", folder)
        self.press("Move selected")
        for name in names:
            self.reads_in(self.row(name), folder, f"that {name} lies in {folder}")
        self.step("moved together")

    def delete_together(self, *names: str) -> None:
        """Selects several files and deletes them in one go."""
        for name in names:
            self.page.get_by_label(f"Select {name}").check()
        self.press("Delete selected")
        for name in names:
            self.lists_no_more(name)
        self.step("deleted together")
