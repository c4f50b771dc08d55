"""The truth about content pages, and the checks that compare an answer with it."""

from __future__ import annotations

import hashlib
import json
import re
import time
from typing import Any

from loadengine.api import Expect, Response
from loadengine.runtime import LoadEngine


def pages_made(engine: LoadEngine) -> list[dict[str, Any]]:
    """Pages of this load: {id, path, tag, marker, served}."""
    found: list[dict[str, Any]] = engine.run.load.material["pages"]
    return found


_AGAIN = (2.0, 60.0)
"""Seconds after a miss between which the same page must come from the cache: storing it takes a moment."""


def fresh(page: dict[str, Any], *, first: bool = True) -> Expect:
    """The page as it was made; when it is the `first` answer for its audience, asked of Builder.io just now."""

    def judge(answer: Response) -> str | None:
        cause = wrong(answer, page["served"])
        if first and cause is None and (said := answer.headers.get("x-cache", "")) != "miss":
            return f"a page that was never asked for comes from the cache ({said or 'no X-Cache'})"
        return cause

    return judge


class CachedPage:
    """The page as it was made, from the cache; a miss now and then, when its time is over."""

    def __init__(self, page: dict[str, Any]) -> None:
        self._page = page
        self._body = b""
        self._missed = 0.0

    def __call__(self, answer: Response) -> str | None:
        """None when the answer is right, else why not."""
        if not (answer.status == 200 and answer.body == self._body):
            if (cause := wrong(answer, self._page["served"])) is not None:
                return cause
            self._body = answer.body
        if answer.headers.get("x-cache") == "hit":
            return None
        now, before = time.monotonic(), self._missed
        self._missed = now
        if _AGAIN[0] < now - before < _AGAIN[1]:
            return "the cache does not keep the page"
        return None


class ChangingPage:
    """A page whose text a writer of this process, or of another, changes: texts are numbered, `load <tag> <number>`."""

    def __init__(self, page: dict[str, Any], stale: float) -> None:
        self.id: str = page["id"]
        self.title: str = page["served"]["title"]
        self.written = 0
        self.seen = 0
        self._page, self._stale = page, stale
        self._text = re.compile(rf"load {re.escape(page['tag'])} (\d+)")
        self._since = {0: time.monotonic_ns()}
        self._known: dict[int, dict[str, Any]] = {}

    def next_text(self) -> str:
        """The text to be written next."""
        return f"load {self._page['tag']} {self.written + 1}"

    def encode(self, entry: dict[str, Any]) -> bytes:
        """An entry as Builder.io's write API takes it."""
        return json.dumps(entry).encode()

    def was_written(self) -> None:
        """Builder.io has taken the next text."""
        self.written += 1
        self._since[self.written] = time.monotonic_ns()

    def age(self) -> float:
        """Seconds since the last change."""
        return (time.monotonic_ns() - self._since[self.written]) / 1e9

    def __call__(self, answer: Response) -> str | None:
        """None when the answer is one of the page's texts and not too old, else why not."""
        found = self._text.search(answer.text)
        if answer.status == 200 and found is None:
            return "the page is not as it was written"
        number = int(found.group(1)) if found else 0
        if (cause := wrong(answer, self._as_of(number), moving=("lastUpdated",))) is not None:
            return cause
        if number > self.seen:
            self.seen = number
            self._since.setdefault(number, answer.done)
        due = answer.sent - int(self._stale * 1e9)
        newest = max((n for n, since in self._since.items() if since < due), default=0)
        return f"a text that was replaced {self._stale:g} s ago" if number < newest else None

    def _as_of(self, number: int) -> dict[str, Any]:
        """The page as it is served with this text; its block's number follows from the text."""
        if number not in self._known:
            before, now = self._page["marker"], f"load {self._page['tag']} {number}"
            whole = json.dumps(self._page["served"])
            self._known[number] = json.loads(whole.replace(before, now).replace(_block(before), _block(now)))
        return self._known[number]


def _block(text: str) -> str:
    """The number of the block that holds a text, as `page_entry` gives it."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def wrong(answer: Response, served: dict[str, Any], moving: tuple[str, ...] = ()) -> str | None:
    """What is wrong with a served page; all of it is compared but when it was fetched, and what is `moving`."""
    if answer.status != 200:
        return f"answered {answer.status}"
    try:
        page = answer.json()
    except ValueError:
        return "the body is no JSON (cut or altered)"
    if not isinstance(page, dict):
        return "the body is no page"
    if page.get("path") != served["path"]:
        return "another page"
    same = dict.fromkeys(("fetched_at", *moving))
    if not isinstance(page.get("fetched_at"), int) or page | same != served | same:
        return "the page is not as it was written"
    return None
