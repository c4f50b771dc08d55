"""Time that never runs backwards: stamps of probes stay in order when the machine's clock is set."""

from __future__ import annotations

import time
from collections.abc import Callable


class SteadyClock:
    """Unix seconds that go on by the monotonic clock, and follow the wall clock forward alone.

    A clock that is set back leaves the stamps running on from where they were; one that is set forward, or a machine
    that slept, leaves a gap in which nothing was watched.
    """

    def __init__(
        self,
        after: float = 0.0,
        *,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall, self._steady = wall, steady
        self._base, self._since = max(wall(), after), steady()

    def now(self) -> float:
        """The present."""
        found = self._base + self._steady() - self._since
        if self._wall() > found:
            self._base, self._since = self._wall(), self._steady()
            return self._base
        return found
