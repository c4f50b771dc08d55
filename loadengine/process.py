"""What every process of a load has: settings, a journal, and regular ticks."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import gevent

from core.errors import JournalError
from core.event import Event
from core.journal import Journal
from loadengine.settings import LoadSettings

TICK = 0.25
"""Seconds between ticks."""
YIELD_PAUSE = 0.0005
"""Seconds between two steps of a tick, in which the load goes on: all steps in one go were the p99 of its lag."""
FLUSH_INTERVAL = 0.1
"""Seconds between handing evidence to the kernel: a killed process loses at most what it measured in this time."""

Step = Callable[[], Iterator[None] | None]
"""Something done regularly; what takes longer yields between its pieces."""


class LoadProcess:
    """Evidence goes out through here. A disk that refuses it breaks the run in words, never by a traceback."""

    def __init__(self, settings: LoadSettings, role: str, journal: Journal | None) -> None:
        self.settings = settings
        self.role = role
        self.broken: str | None = None
        """Why this run's evidence is worth nothing, or None."""
        self.on_tick: list[Step] = []
        """Called every TICK seconds, in order."""
        self.before_flush: list[Step] = []
        """Called every PULSE seconds, in order, before the journal is handed to the kernel."""
        self._journal = journal
        self._greenlets = [
            gevent.spawn(self._run, self.on_tick, TICK),
            gevent.spawn(self._run, self.before_flush, FLUSH_INTERVAL),
        ]

    def mask(self, text: str) -> str:
        """`text` without secrets, for the terminal."""
        return self._journal.redactor.text(text) if self._journal else text

    def write(self, event: Event, *, durable: bool = False) -> None:
        """Writes an event."""
        self._try(lambda journal: journal.write(event, durable=durable))

    def samples(self, block: Any) -> None:
        """Writes an array of SAMPLE records."""
        self._try(lambda journal: journal.write_samples(block))

    def series(self, metric: str, labels: Mapping[str, str]) -> int | None:
        """The number under which the journal knows a series, None without a journal."""
        number: int | None = self._try(lambda journal: journal.series(metric, labels))
        return number

    def flush(self) -> None:
        """Hands everything to the kernel."""
        self._try(lambda journal: journal.flush())

    def close(self) -> None:
        """Ends ticks and flushes and closes the journal."""
        gevent.killall(self._greenlets, block=False)
        if self._journal is not None:
            self._journal.close()

    def _try(self, write: Callable[[Journal], Any]) -> Any:
        if self._journal is None or self.broken:
            return None
        try:
            return write(self._journal)
        except JournalError as error:
            self.broken = str(error)
            return None

    def _run(self, steps: list[Step], every: float) -> None:
        while True:
            gevent.sleep(every)
            for step in steps:
                try:
                    for _ in step() or ():
                        gevent.sleep(YIELD_PAUSE)
                except Exception:
                    traceback.print_exc()
                gevent.sleep(YIELD_PAUSE)
            self.flush()
