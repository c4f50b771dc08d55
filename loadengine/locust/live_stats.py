"""The whole load as one sees it: sums over all workers, and the last few seconds."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from core.load_events import SeriesSummary
from core.outcome import SampleOutcome
from loadengine.measure.delta import Delta
from loadengine.measure.histogram import Histogram

_KEPT = 30  # seconds of deltas


@dataclass(frozen=True, slots=True)
class RecentWindow:
    """A window of the last seconds."""

    seconds: float
    count: int
    failed: int
    """Wrong answers and errors; a refusal (429) is an outcome of its own."""
    refused: int
    response: Histogram

    @property
    def failure_share(self) -> float:
        """Of all that ended in the window; 0 without data."""
        return self.failed / self.count if self.count else 0.0


class LiveStats:
    """Grows by deltas. Times are monotonic nanoseconds of the process that looks."""

    def __init__(self) -> None:
        self.series: dict[tuple[str, ...], Delta] = {}
        self.received: Counter[str] = Counter()
        """Samples by the worker that sent them."""
        self._window: deque[tuple[int, list[Delta]]] = deque()

    def add(self, now: int, deltas: Iterable[Delta], worker: str = "local") -> None:
        """Takes what a process measured since it last told."""
        deltas = list(deltas)
        for delta in deltas:
            self.received[worker] += int(delta.counts.sum())
            total = self.series.get(delta.key)
            if total is None:
                total = self.series[delta.key] = Delta.empty(delta.metric, delta.labels)
            total.merge(delta)
        self._window.append((now, deltas))
        while self._window and self._window[0][0] < now - _KEPT * 1_000_000_000:
            self._window.popleft()

    def clear(self) -> None:
        """A new test begins."""
        self.__init__()  # type: ignore[misc]

    def recent(self, now: int, seconds: float, key: tuple[str, ...] | None = None) -> RecentWindow:
        """The last `seconds`, of one series or of all."""
        response, counts = Histogram(), np.zeros(len(SampleOutcome), np.int64)
        since = now - int(seconds * 1e9)
        for at, deltas in reversed(self._window):
            if at <= since:
                break
            for delta in deltas:
                if key is None or delta.key == key:
                    response.merge(delta.histograms["live"])
                    counts += delta.counts.sum(axis=0)
        failed = int(counts[SampleOutcome.WRONG] + counts[SampleOutcome.ERROR])
        return RecentWindow(seconds, int(counts.sum()), failed, int(counts[SampleOutcome.REFUSED]), response)

    def causes(self, most: int = 5) -> list[tuple[str, int]]:
        """The most frequent causes of failure so far."""
        found: Counter[str] = Counter()
        for delta in self.series.values():
            found.update(delta.causes)
        return found.most_common(most)

    def summary(self) -> list[SeriesSummary]:
        """Every series, for `load.finished`."""
        return [self.series[key].summary() for key in sorted(self.series)]

    @property
    def count(self) -> int:
        """Samples received."""
        return self.received.total()
