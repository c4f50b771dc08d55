"""The search for the knee: which load to try next, from what held and what did not. No clock and no Locust in here."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt

FIRST = 32
"""The first level is the peak divided by this."""
FINE = 1.06
"""The search ends when what held and what did not are no further apart than this."""


@dataclass
class Search:
    """Doubles until a level fails, then halves the distance (geometrically), tries the best one again, and the one
    that failed again: should that hold now, the search goes on from there.

    A level fails when it failed by far, or twice in a row: one stall of the machine is no knee. `level` is what to try
    now, None when the search is over.
    """

    peak: int
    level: int | None = None
    held: list[int] = field(default_factory=list)
    """Levels that held, ascending; one that later failed is taken out."""
    failed: int | None = None
    """The smallest level that failed."""
    sure: bool = False
    """The best level held twice, and the next finer one failed again, or the peak itself held."""
    _again: bool = False
    _confirmed: bool = False

    def __post_init__(self) -> None:
        self.level = max(1, self.peak // FIRST)

    @property
    def best(self) -> int | None:
        """The largest level that held."""
        return self.held[-1] if self.held else None

    def told(self, holds: bool, certain: bool = False) -> None:
        """The level just tried held, or did not, and that by far (`certain`); decides what comes next."""
        assert self.level is not None
        if not holds and not certain and not self._again and not self._confirmed:
            self._again = True
            return
        self._again = False
        if self._confirmed:  # what failed was tried again
            self._confirmed = False
            if not holds:
                self.sure, self.level = True, None
                return
            self.failed = None
        elif holds and self.level == self.best:  # what held, held again
            self._confirmed, self.level = True, self.failed
            return
        if holds:
            self.held.append(self.level)
        else:
            self.failed = self.level
            self.held = [level for level in self.held if level < self.level]
        self.level = self._next()

    def _next(self) -> int | None:
        best, failed = self.best, self.failed
        if best is None:
            return None if failed is None or failed <= 1 else max(1, failed // 2)
        if failed is None:
            if best < self.peak:
                return min(best * 2, self.peak)
            self.sure = True
            return None
        between = round(sqrt(best * failed))
        return best if failed <= best * FINE or between in (best, failed) else between
