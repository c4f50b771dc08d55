"""What was measured: one 32-byte record an operation, digested in blocks.

The hot path packs a record into a buffer (0.3 µs). A few times a second the buffer becomes a block: it goes
to the journal as it is, into three histograms a series (response = done - intended, service = done - sent,
lag = sent - intended), and into the counts; once a second Locust's own table is told.
"""

from __future__ import annotations

import struct
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from locust.stats import RequestStats

from core.journal import SAMPLE
from core.outcome import Phase, SampleOutcome
from loadprofiles.engine.delta import HISTOGRAMS, Delta
from loadprofiles.engine.histogram import Histogram, index_of
from loadprofiles.engine.process import Process
from loadprofiles.engine.table import Booking, book_failures

BLOCK = 8192
CLOSED, DROPPED, RETRIED = 1, 2, 4
"""Bits of a record's `flags`: closed model; never sent; sent twice because a kept connection was stale."""

_pack = struct.Struct("<IBBHqqq").pack_into
_RECORD = SAMPLE.itemsize
_FAR = 1 << 62
_BOOK_EVERY = 900_000_000  # ns
_now = time.monotonic_ns
Record = Callable[[int, int, int, int, int, int], None]
OK, WRONG, ERROR, REFUSED, CANCELLED = (int(outcome) for outcome in SampleOutcome)


class Series:
    """One thing measured, under one name, by this process.

    Holds what came since `take` was last called: `response`, `service` and `lag` of the steady window's
    answered operations, `live` the response times of every phase, `counts[phase][outcome]` everything.
    `size` is the bytes of bodies since Locust was last told.
    """

    __slots__ = (
        "booking", "causes", "counts", "histograms", "labels", "method", "metric", "name", "number", "size",
    )  # fmt: skip

    def __init__(self, number: int, metric: str, labels: Mapping[str, str]) -> None:
        self.number = number
        self.metric = metric
        self.labels = dict(labels)
        self.name = self.labels.get("name") or " ".join([metric, *self.labels.values()])
        self.method = self.labels.get("method", "")
        self.size = 0
        self.booking = Booking(self.name, self.method)
        self.clear()

    def clear(self) -> None:
        """Forgets what was counted."""
        self.histograms = {name: Histogram() for name in HISTOGRAMS}
        self.counts = np.zeros((len(Phase), len(SampleOutcome)), np.int64)
        self.causes: Counter[str] = Counter()

    def take(self) -> Delta | None:
        """What came since the last call, None for nothing."""
        if not self.counts.any() and not self.causes:
            return None
        found = Delta(self.metric, self.labels, self.counts, self.causes, self.histograms)
        self.clear()
        return found


class Recorder:
    """One per process. `record` is the hot path; everything else happens in `flush`."""

    def __init__(self, stats: RequestStats, process: Process) -> None:
        self._stats = stats
        self._process = process
        self.series: list[Series] = []
        self._by_key: dict[Any, Series] = {}
        self._buffer = bytearray(BLOCK * _RECORD)
        self.record: Record
        """Takes one measurement: series, outcome, flags, and when it was intended, sent, done (monotonic ns)."""
        self.record, self._taken = self._writer()
        self._booked = 0
        self._failures: dict[int, Counter[str]] = defaultdict(Counter)
        self.steady_from = _FAR
        """Intended times from here (monotonic ns) on are steady …"""
        self.steady_to = _FAR
        """… and from here on drain."""
        self.recent: list[np.ndarray[Any, Any]] = []
        """Blocks since somebody last emptied this list: for stopping, progress and health."""
        self.recent_causes: Counter[str] = Counter()
        """Causes since `take_causes` was last called."""

    def new_series(self, metric: str, **labels: str) -> Series:
        """The series of this metric and these labels, made on first use; cheap, but not for the hot path."""
        key = metric, tuple(sorted(labels.items()))
        found = self._by_key.get(key)
        if found is None:
            number = self._process.series(metric, labels)
            if number is None:
                number = len(self.series)
            found = self._by_key[key] = Series(number, metric, labels)
            while len(self.series) <= number:  # numbers that the journal gave to others stay unused
                self.series.append(found)
            self.series[number] = found
        return found

    def _writer(self) -> tuple[Record, Callable[[], int]]:
        """`record`, and what tells how many bytes it has written since it was last asked; closures are fastest."""
        at, buffer, end, flush = 0, self._buffer, len(self._buffer), self.flush

        def record(series: int, outcome: int, flags: int, intended: int, sent: int, done: int) -> None:
            nonlocal at
            _pack(buffer, at, series, outcome, 0, flags, intended, sent, done)
            at += _RECORD
            if at == end:
                flush()

        def taken() -> int:
            nonlocal at
            found, at = at, 0
            return found

        return record, taken

    def failed(
        self, series: int, outcome: int, flags: int, intended: int, sent: int, done: int, cause: str
    ) -> None:
        """Takes one measurement that went wrong, with the cause it is counted under."""
        self._failures[series][cause] += 1
        self.record(series, outcome, flags, intended, sent, done)

    def flush(self, whole: bool = False) -> None:
        """Digests what was recorded since the last time; `whole` tells Locust's table at once.

        A full disk is noted in `Process.broken`.
        """
        if count := self._taken() // _RECORD:
            block = np.frombuffer(self._buffer, SAMPLE, count).copy()
            intended = block["intended"]
            block["phase"] = (intended >= self.steady_from).astype(np.uint8) + (intended >= self.steady_to)
            self._process.samples(block)
            self.recent.append(block)
            numbers = block["series"]
            used = np.nonzero(np.bincount(numbers))[0].tolist()
            for number in used:
                self._digest(self.series[number], block if len(used) == 1 else block[numbers == number])
        if whole or _now() - self._booked > _BOOK_EVERY:
            self._booked = _now()
            for series in dict.fromkeys(self.series):
                if series.booking.tell(self._stats, series.size):
                    series.size = 0
        for number, causes in self._failures.items():
            series = self.series[number]
            series.causes.update(causes)
            self.recent_causes.update(causes)
            book_failures(self._stats, series.name, series.method, causes)
        self._failures.clear()

    def restart(self) -> None:
        """Forgets what was digested (Locust clears its statistics when a test starts); series keep numbers."""
        self._taken()
        self._failures.clear()
        self.recent.clear()
        self.steady_from = self.steady_to = _FAR
        for series in self.series:
            series.clear()
            series.booking.clear()
            series.size = 0

    def take(self) -> list[Delta]:
        """What came since the last call, by series."""
        self.flush()
        found = [series.take() for series in dict.fromkeys(self.series)]
        return [delta for delta in found if delta is not None]

    def take_causes(self, words: Iterable[str]) -> list[str]:
        """Recent causes that contain one of these words; forgets all recent ones."""
        found = [cause for cause in self.recent_causes if any(word in cause for word in words)]
        self.recent_causes.clear()
        return found

    def _digest(self, series: Series, block: Any) -> None:
        outcome, phase = block["outcome"], block["phase"]
        shape = series.counts.shape
        series.counts += np.bincount(
            phase * np.uint8(shape[1]) + outcome, minlength=shape[0] * shape[1]
        ).reshape(shape)
        felt = block["done"] - block["intended"]
        response = index_of(felt // 1000)
        buckets = np.bincount(response)
        series.histograms["live"].add(buckets)
        series.booking.add(buckets, felt, block["done"])
        steady = (phase == Phase.STEADY) & (outcome <= WRONG)
        if not steady.all():
            block, response = block[steady], response[steady]
            buckets = np.bincount(response)
        if not len(block):
            return
        histograms = series.histograms
        histograms["response"].add(buckets)
        lag = block["sent"] - block["intended"]
        if lag.any():
            histograms["service"].record(block["done"] - block["sent"])
            histograms["lag"].record(lag)
        else:
            histograms["service"].add(buckets)
            histograms["lag"].add(np.array([len(block)]))
