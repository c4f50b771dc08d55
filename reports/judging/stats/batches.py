"""Measurements in time order, batched so that their dependence on each other can be seen."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from reports.judging.stats.binomial import RISK

MOMENT = 1.1
"""Seconds of a load that are worth one sample at most in a percentile's verdict (see docs/verdicts.md)."""

BATCHES = 48
"""Equal stretches of time that a window is cut into; also judged merged, by two and by four."""

FEWEST = 40
"""Below this many values dependence cannot be estimated, and the values are taken as independent."""

CAUTION = 1.8
"""Widens what dependence costs; chosen with `python -m bench.simulate intervals`, which shows the risks kept."""


class Batched:
    """Values of one series with the time of each, cut into stretches of equal time.

    A stall makes neighbours slow together, so ten thousand values may say no more than a hundred. The
    variance of the stretches' shares against that of independent values (the design effect) tells how many
    independent values they are worth. An operation that failed counts as infinitely slow.
    """

    def __init__(self, values: NDArray[np.floating], times: NDArray[np.number], second: float = 0.0) -> None:
        """`values` in the objective's unit, `inf` for failures; `times` in any one unit, any order.

        `second` is a second in the unit of `times`; 0 where they are an order and no clock.
        """
        self.n = int(values.size)
        self.seconds = 0.0
        """How long the values went on: the time between them, and as much after the last as after the others."""
        if self.n == 0:
            self._sorted: list[NDArray[np.floating]] = []
            self._counts = np.zeros(0, dtype=np.int64)
            return
        start, end = float(times.min()), float(times.max())
        wanted = min(BATCHES, max(1, self.n // 5))
        span = (end - start) or 1.0
        if second and self.n > 1:
            self.seconds = (end - start) / second * self.n / (self.n - 1)
        index = ((times - start) * (wanted / (span * (1 + 1e-9)))).astype(np.int16)
        np.clip(index, 0, wanted - 1, out=index)
        order = np.argsort(index, kind="stable")
        self._counts = np.bincount(index, minlength=wanted)
        grouped = values[order]
        del order, index
        self._sorted = []
        at = 0
        for count in self._counts:
            piece = grouped[at : at + count]
            piece.sort()
            self._sorted.append(piece)
            at += int(count)
        self._grouped = grouped

    @cached_property
    def ordered(self) -> NDArray[np.floating]:
        """Every value, ascending."""
        return np.sort(self._grouped) if self.n else np.zeros(0)

    def quantile(self, p: float) -> float:
        """The value that a share `p` does not exceed: an observed value, never an interpolation."""
        if self.n == 0:
            return float("nan")
        return float(self.ordered[min(self.n - 1, max(0, int(np.ceil(p * self.n)) - 1))])

    def over(self, limit: float) -> NDArray[np.int64]:
        """For each stretch of time, how many values are at or above `limit`."""
        return np.array(
            [part.size - int(np.searchsorted(part, limit, side="left")) for part in self._sorted],
            dtype=np.int64,
        )

    @property
    def floor(self) -> float:
        """Values per independent value, at the least, in a bound on what was not seen: those of a MOMENT.

        Nobody sees a stall that did not come: a clean window proves only that stalls come less than some three
        times in it. With this floor, one that is long enough for `met` rules out stalls of up to about a second.
        """
        return max(1.0, self.n * MOMENT / self.seconds) if self.seconds else 1.0

    def effect(self, limit: float, risk: float = RISK) -> float:
        """Design effect of being at or above `limit`: values per independent value, 1 when independent."""
        if self.n < FEWEST:
            return 1.0
        return design_effect(self.over(limit), self._counts, risk)


def design_effect(hits: NDArray[np.int64], counts: NDArray[np.int64], risk: float = RISK) -> float:
    """Largest design effect over stretches as they are, merged by two and by four.

    `hits` and `counts` per stretch, in time order. Longer stretches see slower waves, shorter ones are
    more exact, and the larger answer is the safer one. The factor (t/z)^2 pays for the variance itself
    being estimated. Its degrees of freedom are the fewest of three: stretches, independent values beyond the
    limit, and stretches that make up the variance (all of it from one stretch: one), since one stall seen says
    next to nothing about how long stalls are and how often they come.
    """
    total, trials = int(hits.sum()), int(counts.sum())
    if total == 0 or total == trials:
        return 1.0
    from scipy.special import ndtri, stdtrit  # slow to import, and checks alone need none

    share = total / trials
    independent = share * (1 - share) * trials
    worst = 1.0
    for merge in (1, 2, 4):
        size = len(counts) // merge
        if size < 8:
            break
        h = hits[: size * merge].reshape(size, merge).sum(axis=1)
        c = counts[: size * merge].reshape(size, merge).sum(axis=1)
        squares = (h - share * c) ** 2
        raw = float(squares.sum()) * size / (size - 1) / independent
        if raw <= 1:
            continue
        telling = float(squares.sum()) ** 2 / float((squares**2).sum())
        freedom = min(size - 1, min(total, trials - total) / raw, telling)
        price = (float(stdtrit(max(1.0, freedom), risk)) / float(ndtri(risk))) ** 2
        worst = max(worst, 1 + (raw - 1) * price * CAUTION)
    return min(worst, float(trials))
