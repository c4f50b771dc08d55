"""The line that a person sees while a part of a run goes on: what it is, how far it is, how it ended.

What is counted is read from the journals as they grow. A terminal shows the counts as they change; a pipe or a dumb
terminal gets the line's beginning and, once the part is over, its end.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TextIO

from rich.console import Console

from core.console import only_ascii, to_ascii, width
from core.text import for_log, safe
from reports.judging.verdict_table import STATES
from reports.rendering.formatting import count, duration

EVERY = 0.5
_ORDER = ("met", "missed", "broken", "unknown", "not_covered", "not_applicable")


@dataclass
class Tail:
    """What was journaled in a run's folder since this was made: outcomes of checks, requests of loads."""

    directory: Path
    outcomes: dict[str, str] = field(default_factory=dict)
    requests: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._read = {path: path.stat().st_size for path in self._journals()}

    def _journals(self) -> list[Path]:
        return list((self.directory / "journal").glob("*.jsonl"))

    def poll(self) -> None:
        """Reads what was added; a line that is not whole yet waits for the next time."""
        for path in self._journals():
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            self._read[path] = self._read.get(path, 0) + len(whole)
            for line in whole.splitlines():
                if b'"check.finished"' in line or b'"load.progress"' in line:
                    self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            event = json.loads(line)
        except ValueError:  # the judge tells of damage
            return
        if event.get("type") == "check.finished":
            self.outcomes[event["check"]] = event["outcome"]
        elif event.get("type") == "load.progress":
            self.requests[event["profile"]] = event["count"]

    def text(self, total: int) -> str:
        """How far it is; `total` checks are expected, 0 of a load."""
        if not total:
            return count(sum(self.requests.values()), "operation")
        found = Counter(self.outcomes.values())
        parts = [f"{found[state]:,} {STATES[state].word}" for state in _ORDER if found[state]]
        silent = total - len(self.outcomes)
        return ", ".join(parts + ([f"{silent:,} to go"] if silent > 0 else []))


class Line:
    """One progress line on a stream. `say` interrupts it by a line of its own."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._live = self._stream.isatty() and not Console(file=self._stream).is_dumb_terminal
        self._open = ""
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """A line of its own."""
        with self._lock:
            self._end()
            self._write(f"- {text}" if only_ascii() else f"· {text}", "\n")

    def begin(self, text: str) -> None:
        """Starts a part's line."""
        with self._lock:
            self._end()
            self._open = text
            self._write(f"· {text}", "" if self._live else ": ")

    def update(self, text: str) -> None:
        """Shows how far it is, on a terminal."""
        with self._lock:
            if self._live and self._open:
                size = width(terminal=True) - 1
                self._write(f"\r\x1b[K{f'· {self._open}: {text}'[:size]}", "")

    def end(self, text: str) -> None:
        """Ends the part's line with what became of it."""
        with self._lock:
            if self._live and self._open:
                self._write(f"\r\x1b[K· {self._open}: {text}", "\n")
            elif self._open:
                self._write(text, "\n")
            else:
                self._write(f"· {text}", "\n")
            self._open = ""

    def _end(self) -> None:
        if self._open:
            self._write("", "\n")
            self._open = ""

    def _write(self, text: str, end: str) -> None:
        if self._quiet:
            return
        shown = for_log(safe(text)) if "\x1b" not in text else text
        self._stream.write((to_ascii(shown) if only_ascii() else shown) + end)
        self._stream.flush()


@dataclass
class Going:
    """A part that goes on: its line is kept fresh until the block ends."""

    line: Line
    tail: Tail
    total: int
    began: float = field(default_factory=time.monotonic)

    def __enter__(self) -> Going:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._over.wait(EVERY):
            self.tail.poll()
            self.line.update(f"{self.tail.text(self.total)}, {duration(time.monotonic() - self.began)}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(5)
        self.tail.poll()
        took = duration(time.monotonic() - self.began)
        how = "stopped" if kind else self.tail.text(self.total).replace(" to go", " did not run")
        self.line.end(f"{how}, {took}")


def checks_going(line: Line, directory: Path, name: str, total: int) -> Going:
    """The line of a part that runs checks."""
    line.begin(f"{name} ({count(total, 'check')})")
    return Going(line, Tail(directory), total)


def load_going(line: Line, directory: Path, what: str) -> Going:
    """The line of one or more loads."""
    line.begin(what)
    return Going(line, Tail(directory), 0)
