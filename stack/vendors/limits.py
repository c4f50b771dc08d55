"""How often a reader may ask: fixed windows that begin with the clock, as DataDog and Sentry document them."""

from __future__ import annotations

import math
import time


class Window:
    """At most `limit` requests in each `period` seconds; a `limit` of None refuses none."""

    def __init__(self, limit: int | None, period: int) -> None:
        self.limit, self.period = limit or 1_000_000, period
        self._number = 0
        self._used = 0

    def take(self) -> bool:
        """Count one request; return whether it is within the limit. One that is refused is not counted."""
        number = int(time.time() // self.period)
        if number != self._number:
            self._number, self._used = number, 0
        if self._used >= self.limit:
            return False
        self._used += 1
        return True

    @property
    def remaining(self) -> int:
        """Requests left in the window of the last one."""
        return self.limit - self._used

    @property
    def ends(self) -> int:
        """When that window ends, in epoch seconds."""
        return (self._number + 1) * self.period

    @property
    def reset(self) -> int:
        """Seconds until then, at least 1."""
        return max(1, math.ceil(self.ends - time.time()))
