"""The search for the knee: which load to try next, from what held and what did not. No clock and no Locust in here."""

from __future__ import annotations

from math import exp, floor, log

FIRST = 16
"""The first level is the peak divided by this; no level is more than twice the largest that held."""
FINE = 1.12
"""The search ends when the interval's ends are no further apart than this."""
CONFIDENCE = 0.9
_STEP = 0.01
_BEYOND = 1.3
"""The knee may lie so many times above the peak, where nothing is tried."""
_WIDTH, _STALL, _LUCK = 0.08, 0.15, 0.02
"""How a machine answers: over `_WIDTH` of its logarithm a load goes from holding to not holding; a level that would
hold fails for a stall of the machine with `_STALL`, and one that would not holds by luck with `_LUCK`."""


class KneeSearch:
    """Bisects the chances: each level that held or did not makes every possible knee more or less likely, and the next
    one is tried where half of the chance lies on either side. A stall of the machine moves the answer by little, and
    the chances that are left are the answer's confidence. `level` is what to try now, None when the search is over.

    Source: Watson and Pelli, "QUEST: a Bayesian adaptive psychometric method", 1983. Against halving the distance, on
    made targets with stalls: tests/loadprofiles/test_shapes.py.
    """

    def __init__(self, peak: int) -> None:
        self.peak = peak
        self.level: int | None = max(1, peak // FIRST)
        self.held = 0
        """The largest level that held, 0 when none has."""
        self._knees = [number * _STEP for number in range(-70, int(log(peak * _BEYOND) / _STEP) + 1)]
        self._chances = [1.0] * len(self._knees)

    def record(self, holds: bool) -> None:
        """The level just tried held, or did not; decides what comes next."""
        assert self.level is not None
        tried = log(self.level)
        for at, knee in enumerate(self._knees):
            share = 1 / (1 + exp(min(max((tried - knee) / _WIDTH, -50.0), 50.0)))
            chance = _LUCK + (1 - _LUCK - _STALL) * share
            self._chances[at] *= chance if holds else 1 - chance
        total = sum(self._chances)
        self._chances = [chance / total for chance in self._chances]
        if holds:
            self.held = max(self.held, self.level)
        reach = max(self.held * 2, self.peak // FIRST, 1)
        self.level = None if self.sure else max(1, min(round(self._quantile(0.5)), reach, self.peak))

    @property
    def users(self) -> int | None:
        """Where the knee most likely is, at most the peak; None when not even one user holds."""
        return min(round(self._quantile(0.5)), self.peak) or None

    @property
    def low(self) -> int:
        """The lower end of the interval, 0 when perhaps nothing holds."""
        return min(floor(self._quantile((1 - CONFIDENCE) / 2)), self.peak)

    @property
    def high(self) -> int | None:
        """The upper end of the interval; None when the knee may lie above the peak."""
        high = self._quantile((1 + CONFIDENCE) / 2)
        return None if high > self.peak else floor(high)

    @property
    def sure(self) -> bool:
        """Whether the interval is narrow enough."""
        high = self.peak if self.high is None else self.high
        return high <= max(self.low * FINE, self.low + 1)

    def _quantile(self, share: float) -> float:
        so_far = 0.0
        total = sum(self._chances)
        for knee, chance in zip(self._knees, self._chances, strict=True):
            so_far += chance
            if so_far >= share * total:
                return exp(knee)
        return exp(self._knees[-1])
