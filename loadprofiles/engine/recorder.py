"""What was measured: one 32-byte record an operation, digested in blocks.

The hot path packs a record into a buffer (0.3 µs). A few times a second the buffer becomes a block: it goes
to the journal as it is, into three histograms a series (response = done - intended, service = done - sent,
lag = sent - intended), into the counts, and into Locust's own table.
"""

from __future__ import annotations

import struct
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from locust.stats import RequestStats

from core.journal import SAMPLE
from core.outcome import Phase, SampleOutcome
from loadprofiles.engine.delta import HISTOGRAMS, Delta
from loadprofiles.engine.histogram import Histogram, index_of
from loadprofiles.engine.process import Process
from loadprofiles.engine.table import book, book_failures

BLOCK = 8192
CLOSED, DROPPED, RETRIED = 1, 2, 4
"""Bits of a record's `flags`: closed model; never sent; sent twice because a kept connection was stale."""

_pack = struct.Struct("<IBBHqqq").pack_into
_RECORD = SAMPLE.itemsize
_FAR = 1 << 62
OK, WRONG, ERROR, REFUSED, CANCELLED = (int(outcome) for outcome in SampleOutcome)


class Series:
    """One thing measured, under one name, by this process.

    Holds what came since `take` was last called: `response`, `service` and `lag` of the steady window's
    answered operations, `live` the response times of every phase, `counts[phase][outcome]` everything.
    `size` is the bytes of bodies since the last block.
    """

    __slots__ = ("causes", "counts", "histograms", "labels", "method", "metric", "name", "number", "size")

    def __init__(self, number: int, metric: str, labels: Mapping[str, str]) -> None:
        self.number = number
        self.metric = metric
        self.labels = dict(labels)
        self.name = self.labels.get("name") or " ".join([metric, *self.labels.values()])
        self.method = self.labels.get("method", "")
        self.size = 0
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
        self._at = 0
        self._end = len(self._buffer)
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

    def record(self, series: int, outcome: int, flags: int, intended: int, sent: int, done: int) -> None:
        """Takes one measurement; times in monotonic nanoseconds."""
        at = self._at
        _pack(self._buffer, at, series, outcome, 0, flags, intended, sent, done)
        self._at = at = at + _RECORD
        if at == self._end:
            self.flush()

    def failed(
        self, series: int, outcome: int, flags: int, intended: int, sent: int, done: int, cause: str
    ) -> None:
        """Takes one measurement that went wrong, with the cause it is counted under."""
        self._failures[series][cause] += 1
        self.record(series, outcome, flags, intended, sent, done)

    def flush(self) -> None:
        """Digests what was recorded since the last time. A full disk is noted in `Process.broken`."""
        if self._at:
            block = np.frombuffer(bytes(self._buffer[: self._at]), SAMPLE).copy()
            self._at = 0
            intended = block["intended"]
            block["phase"] = (intended >= self.steady_from).astype(np.uint8) + (intended >= self.steady_to)
            self._process.samples(block)
            self.recent.append(block)
            numbers = block["series"]
            for number in np.unique(numbers).tolist():
                self._digest(self.series[number], block[numbers == number])
        for number, causes in self._failures.items():
            series = self.series[number]
            series.causes.update(causes)
            self.recent_causes.update(causes)
            book_failures(self._stats, series.name, series.method, causes)
        self._failures.clear()

    def restart(self) -> None:
        """Forgets what was digested (Locust clears its statistics when a test starts); series keep numbers."""
        self._at = 0
        self._failures.clear()
        self.recent.clear()
        self.steady_from = self.steady_to = _FAR
        for series in self.series:
            series.clear()

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
        response = index_of((block["done"] - block["intended"]) // 1000)
        buckets = np.bincount(response)
        series.histograms["live"].add(buckets)
        book(self._stats, series.name, series.method, buckets, block, series.size)
        series.size = 0
        steady = (phase == Phase.STEADY) & (outcome <= WRONG)
        if steady.all():
            chosen = block
        else:
            chosen, response = block[steady], response[steady]
        if len(chosen):
            series.histograms["response"].add(np.bincount(response))
            series.histograms["service"].record(chosen["done"] - chosen["sent"])
            series.histograms["lag"].record(chosen["sent"] - chosen["intended"])
