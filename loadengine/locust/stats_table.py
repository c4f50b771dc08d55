"""Locust's own statistics, fed in blocks and shown without rounding.

Recording every request through `events.request` costs 2.5 µs; booking a block of them costs a tenth. Stock
Locust rounds a response time to two digits on entry (0.35 ms becomes 0) and to whole milliseconds in its
tables: here four digits are kept and three are shown, in the console, the CSV files and the web UI, for
every user class, `HttpUser` included.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import locust.stats
import numpy as np
from locust.stats import RequestStats, StatsEntry, StatsError

from loadengine.measure.histogram import HIGHEST_MS, Histogram

_KEYS = [float(f"{value:.4g}") for value in HIGHEST_MS.tolist()]


class WallClock:
    """Monotonic nanoseconds as wall-clock seconds, fixed once so that seconds stay whole."""

    offset = time.time() - time.monotonic_ns() / 1e9


class PendingStats:
    """What one series, or all together, owe to Locust's statistics; paid once a second, their dictionaries are slow."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Owes nothing."""
        self._times = Histogram()
        self._count = self._size = 0
        self._sum, self._low, self._high = 0, 1 << 62, 0
        self._seconds: Counter[int] = Counter()
        self._last = 0

    def add(
        self, buckets: np.ndarray[Any, Any], felt: np.ndarray[Any, Any], done: np.ndarray[Any, Any]
    ) -> None:
        """A block: bucket counts of the response times, these times, and when each ended (ns)."""
        self._times.add(buckets)
        self._count += len(felt)
        self._sum += int(felt.sum())
        self._low, self._high = min(self._low, int(felt.min())), max(self._high, int(felt.max()))
        seconds = done // 1_000_000_000
        first = int(seconds.min())
        self._last = max(self._last, int(done.max()))
        for second, count in enumerate(np.bincount(seconds - first).tolist(), first):
            if count:
                self._seconds[int(second + WallClock.offset)] += count

    def pass_on(self, total: PendingStats, size: int) -> bool:
        """Adds the bytes of bodies, and makes `total` owe all of it, too; False if nothing is owed."""
        if not self._count:
            return False
        self._size += size
        total._times.merge(self._times)
        total._count += self._count
        total._size += self._size
        total._sum += self._sum
        total._low, total._high = min(total._low, self._low), max(total._high, self._high)
        total._seconds.update(self._seconds)
        total._last = max(total._last, self._last)
        return True

    def tell(self, entry: Any) -> None:
        """Pays all of it to an entry of Locust's, whose annotations say int where its code takes fractions."""
        if not self._count:
            return
        last = self._last / 1e9 + WallClock.offset
        low, high = self._low / 1e6, self._high / 1e6
        previous = entry.last_request_timestamp
        entry.num_requests += self._count
        entry.total_response_time += self._sum / 1e6
        entry.total_content_length += self._size
        entry.min_response_time = (
            low if entry.min_response_time is None else min(entry.min_response_time, low)
        )
        entry.max_response_time = max(entry.max_response_time, high)
        entry.last_request_timestamp = max(previous or 0.0, last)
        for second, count in self._seconds.items():
            entry.num_reqs_per_sec[second] += count
        used, counts = self._times.nonzero()
        times, keys = entry.response_times, _KEYS
        for index, count in zip(used.tolist(), counts.tolist(), strict=True):
            times[keys[index]] += count
        if entry.use_response_times_cache and int(last) > int(previous or 0):
            entry._cache_response_times(int(last) - 1)
        self.clear()


def book_failures(stats: RequestStats, name: str, method: str, causes: Counter[str]) -> None:
    """Adds failures by cause to the error report."""
    second = int(time.time())
    for entry in (stats.entries[(name, method)], stats.total):
        entry.num_failures += causes.total()
        entry.num_fail_per_sec[second] += causes.total()
    for cause, count in causes.items():
        error = stats.errors.setdefault(
            StatsError.create_key(method, name, cause), StatsError(method, name, cause)
        )
        error.occurred()
        error.occurrences += count - 1


def show_unrounded() -> None:
    """Replaces Locust's rounding, once a process. Column order and names stay as Locust users know them."""
    module: Any = locust.stats
    module.bucket_response_time = lambda value: float(f"{value:.4g}")
    module.StatsEntry.to_string = _to_string
    module.StatsEntry.percentile = _percentile_line
    module.StatsCSV._percentile_fields = _percentile_fields


def short(value: float | None) -> str:
    """Three significant digits: 0.347, 12.4, 1901."""
    value = value or 0.0
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _to_string(self: StatsEntry, current: bool = True) -> str:
    rps = self.current_rps if current else self.total_rps
    failing = self.current_fail_per_sec if current else self.total_fail_per_sec
    width = locust.stats.STATS_NAME_WIDTH - locust.stats.STATS_TYPE_WIDTH + 4
    failures = f"{self.num_failures}({self.fail_ratio * 100:.2f}%)"
    times = (
        self.avg_response_time,
        self.min_response_time,
        self.max_response_time,
        self.median_response_time,
    )
    average, low, high, median = (short(t) for t in times)
    kind = f"{self.method} " if self.method else ""
    return (
        f"{kind:<{locust.stats.STATS_TYPE_WIDTH}} {self.name:<{width}} {self.num_requests:7d} {failures:>12} |"
        f"{average:>7} {low:>7} {high:>7}{median:>7} | {rps or 0:7.2f} {failing or 0:11.2f}"
    )


def _percentile_line(self: StatsEntry) -> str:
    if not self.num_requests:
        raise ValueError("Can't calculate percentile on url with no successful requests")
    first, *others = (short(self.get_response_time_percentile(p)) for p in locust.stats.PERCENTILES_TO_REPORT)
    return (
        f"{self.method or '':<{locust.stats.STATS_TYPE_WIDTH}} {self.name:<{locust.stats.STATS_NAME_WIDTH}} "
        f"{first:>8} {' '.join(f'{text:>6}' for text in others)} {self.num_requests:6d}"
    )


def _percentile_fields(self: Any, entry: StatsEntry, use_current: bool = False) -> list[Any]:
    if not entry.num_requests:
        return list(self.percentiles_na)
    current = use_current and entry.use_response_times_cache
    read = entry.get_current_response_time_percentile if current else entry.get_response_time_percentile
    return [read(p) or 0 for p in self.percentiles_to_report]
