"""A browser that reads the pages of reports: `python -m bench.hostile.browser` takes a path a line, answers JSON a line."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Dialog, Page, sync_playwright

_LOOK = """() => ({
    hit: window.hit ?? null,
    acting: [...document.querySelectorAll('*')].filter(e =>
        [...e.attributes].some(a => /^on/i.test(a.name) && /hit/.test(a.value))
        || /^javascript:/i.test(e.getAttribute('href') ?? '') || e.getAttribute('src') === 'x'
    ).map(e => e.outerHTML.slice(0, 200)),
    strange: (document.body?.innerText.match(
        /[\\u0000-\\u0008\\u000e-\\u001f\\u007f-\\u009f\\u202a-\\u202e\\u2066-\\u2069]/) ?? [null])[0],
})"""
PATIENCE = 120_000
"""Milliseconds for a page, on a machine that many cases share."""
LARGEST_PAGE = 8 * 1024 * 1024


class Browser:
    """The browser's process, asked for one page at a time by this process and its copies, in turn by a locked file."""

    def __init__(self, lock: Path) -> None:
        self._lock = lock
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def read(self, page: Path) -> list[str]:
        """What of the page is wrong: a script of a service's that ran, a request to elsewhere, a dialog."""
        if page.stat().st_size > LARGEST_PAGE:
            return [f"{page.stat().st_size} bytes"]
        assert self._process.stdin
        assert self._process.stdout
        with self._lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._process.stdin.write(f"{page}\n")
            self._process.stdin.flush()
            found: list[str] = json.loads(self._process.stdout.readline())
        return found

    def close(self) -> None:
        """Ends it."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


def _wrong_with(page: Page, path: str, asked: list[str]) -> list[str]:
    asked.clear()
    page.goto(Path(path).as_uri(), timeout=PATIENCE)
    page.wait_for_function(
        "(document.body?.innerText.length ?? 0) > 100", timeout=20_000
    )  # Allure draws itself
    seen: dict[str, Any] = page.evaluate(_LOOK)
    wrong = [f"a service's script ran: {seen['hit']}"] if seen["hit"] is not None else []
    wrong += [f"it acts: {element}" for element in seen["acting"]]
    wrong += [f"it asks for {url[:100]}" for url in asked if not url.startswith(("file:", "data:", "blob:"))]
    return wrong + ([f"it shows {seen['strange']!r}"] if seen["strange"] else [])


def main() -> int:
    """Reads pages until its input ends."""
    from tests.chromium import launched

    with sync_playwright() as playwright:
        browser = launched(playwright, "--host-resolver-rules=MAP * ~NOTFOUND")
        page = browser.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))

        def refused(dialog: Dialog) -> None:
            asked.append(f"a dialog: {dialog.message}")
            dialog.dismiss()

        page.on("dialog", refused)
        for line in sys.stdin:
            try:
                wrong = _wrong_with(page, line.strip(), asked)
            except Exception as error:  # told as what is wrong with this page; the next is read all the same
                wrong = [f"it does not open: {error}"]
            print(json.dumps(wrong), flush=True)
        browser.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
