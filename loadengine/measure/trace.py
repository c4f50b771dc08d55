"""Every request is named: by the run, and by a W3C trace that the slowest samples keep.

A trace id is this process's random half followed by the number of the request, so that nothing needs to be
stored for the millions of requests that nobody will ask about.
"""

from __future__ import annotations

import heapq
import secrets
from typing import NamedTuple

RUN_HEADER = "x-assay-run"


class Slow(NamedTuple):
    """A slow request: how long it took in ns, its number, its series, and when it was meant to be sent."""

    duration: int
    number: int
    series: int
    intended: int


class Tracer:
    """Numbers requests and keeps the slowest of the current interval."""

    def __init__(self, run_id: str, keep: int = 10) -> None:
        self.prefix = secrets.token_hex(8)
        self.lines = f"{RUN_HEADER}: {run_id}\r\ntraceparent: 00-{self.prefix}%016x-%016x-01\r\n".encode()
        """Header lines with two places for a request's number."""
        self.number = 0
        self.floor = 0
        """Durations (ns) up to here are not among the slowest; compare before calling `slow`."""
        self._keep = keep
        self._slowest: list[Slow] = []

    def trace_id(self, number: int) -> str:
        """The trace id of a request of this process."""
        return f"{self.prefix}{number:016x}"

    def slow(self, duration: int, number: int, series: int, intended: int) -> None:
        """Keeps this request if it is among the slowest."""
        item = Slow(duration, number, series, intended)
        if len(self._slowest) < self._keep:
            heapq.heappush(self._slowest, item)
        else:
            heapq.heappushpop(self._slowest, item)
        if len(self._slowest) == self._keep:
            self.floor = self._slowest[0][0]

    def take(self) -> list[Slow]:
        """The slowest since the last call, slowest first."""
        found, self._slowest, self.floor = sorted(self._slowest, reverse=True), [], 0
        return found
