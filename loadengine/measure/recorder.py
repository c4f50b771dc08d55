"""What was measured: one 32-byte record an operation, digested in blocks.

The hot path packs a record into a buffer (0.3 µs). Ten times a second the buffer becomes a block and goes to the
journal as it is; a few times a second blocks are digested into three histograms a series (response = done - intended,
service = done - sent, lag = sent - intended) and counts; once a second Locust's own table is told. All of that
happens beside a running load, so it comes in pieces of a few tenths of a millisecond.
"""

from __future__ import annotations

import struct
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from locust.stats import RequestStats

from core.journal import SAMPLE
from core.outcome import Phase, SampleOutcome
from loadengine.locust.stats_table import PendingStats, book_failures
from loadengine.measure.delta import HISTOGRAMS, Delta
from loadengine.measure.histogram import Histogram, index_of
from loadengine.process import LoadProcess

BLOCK = 8192
CLOSED, DROPPED, RETRIED = 1, 2, 4
"""Bits of a record's `flags`: closed model; never sent; sent twice because a kept connection was stale."""

_pack = struct.Struct("<IBBHqqq").pack_into
_RECORD = SAMPLE.itemsize
_FAR = 1 << 62
_SMALL = 2048  # records whose three times are sorted into buckets together: fewer steps, more memory
_TURNS = 4  # calls of `settle` in which Locust is told of every series once
_now = time.monotonic_ns
Record = Callable[[int, int, int, int, int, int], None]
OK, WRONG, ERROR, REFUSED, CANCELLED = (int(outcome) for outcome in SampleOutcome)


class RecordedSeries:
    """One thing measured, under one name, by this process.

    Holds what came since `take` was last called: `response`, `service` and `lag` of the steady window's
    answered operations, `live` the response times of every phase, `counts[phase][outcome]` everything.
    `size` is the bytes of bodies since Locust was last told; `measured` whether anything ever came.
    """

    __slots__ = (
        "booking", "causes", "counts", "histograms", "labels", "measured", "method", "metric", "name", "number", "size",
    )  # fmt: skip

    def __init__(self, number: int, metric: str, labels: Mapping[str, str]) -> None:
        self.number = number
        self.metric = metric
        self.labels = dict(labels)
        self.name = self.labels.get("name") or " ".join([metric, *self.labels.values()])
        self.method = self.labels.get("method", "")
        self.size = 0
        self.measured = False
        self.booking = PendingStats()
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


class SampleRecorder:
    """One per process. `record` is the hot path; everything else happens in `write`, `settle` and `flush`."""

    def __init__(self, stats: RequestStats, process: LoadProcess) -> None:
        self._stats = stats
        self._process = process
        self.series: list[RecordedSeries] = []
        self._by_key: dict[Any, RecordedSeries] = {}
        self._buffer = bytearray(BLOCK * _RECORD)
        self.record: Record
        """Takes one measurement: series, outcome, flags, and when it was intended, sent, done (monotonic ns)."""
        self.record, self._taken = self._writer()
        self._turn = 0
        self._total = PendingStats()
        self._blocks: list[np.ndarray[Any, Any]] = []
        """Written and not digested …"""
        self._parts: deque[tuple[RecordedSeries, np.ndarray[Any, Any]]] = deque()
        """… nor when split by series."""
        self._failures: dict[int, Counter[str]] = defaultdict(Counter)
        self.steady_from = _FAR
        """Intended times from here (monotonic ns) on are steady …"""
        self.steady_to = _FAR
        """… and from here on drain."""
        self.recent: list[np.ndarray[Any, Any]] = []
        """Blocks since somebody last emptied this list: for stopping, progress and health."""
        self.recent_causes: Counter[str] = Counter()
        """Causes since `take_causes` was last called."""

    def new_series(self, metric: str, **labels: str) -> RecordedSeries:
        """The series of this metric and these labels, made on first use; cheap, but not for the hot path."""
        key = metric, tuple(sorted(labels.items()))
        found = self._by_key.get(key)
        if found is None:
            number = self._process.series(metric, labels)
            if number is None:
                number = len(self.series)
            found = self._by_key[key] = RecordedSeries(number, metric, labels)
            while len(self.series) <= number:  # numbers that the journal gave to others stay unused
                self.series.append(found)
            self.series[number] = found
        return found

    def unmeasured(self) -> list[str]:
        """Names of the series that were declared and of which nothing came."""
        return sorted({series.name for series in self.series if not series.measured})

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
        """Takes one measurement that went wrong, with the cause it is counted under.

        What the load's own end cut off did not go wrong: it has no cause, and no error text tells of it.
        """
        if outcome != CANCELLED:
            self._failures[series][cause] += 1
        self.record(series, outcome, flags, intended, sent, done)

    def write(self) -> None:
        """Hands what was recorded since the last time to the journal. A full disk is noted in `LoadProcess.broken`."""
        if count := self._taken() // _RECORD:
            block = np.frombuffer(self._buffer, SAMPLE, count).copy()
            intended = block["intended"]
            block["phase"] = (intended >= self.steady_from).astype(np.uint8) + (intended >= self.steady_to)
            self._process.samples(block)
            self.recent.append(block)
            self._blocks.append(block)

    def settle(self) -> Iterator[None]:
        """Writes, digests, and tells Locust of a part of the series; between its pieces other things may happen."""
        self.write()
        self._book_failures()
        yield
        self._split()
        while self._parts:
            self._digest(*self._parts.popleft())
            yield
        self._turn = (self._turn + 1) % _TURNS
        for series in list(dict.fromkeys(self.series))[self._turn :: _TURNS]:
            self._tell(series)
            yield
        if not self._turn:
            self._total.tell(self._stats.total)

    def flush(self, whole: bool = False) -> None:
        """Writes and digests everything at once; `whole` tells Locust's table, too."""
        self.write()
        self._split()
        while self._parts:
            self._digest(*self._parts.popleft())
        if whole:
            for series in dict.fromkeys(self.series):
                self._tell(series)
            self._total.tell(self._stats.total)
        self._book_failures()

    def _split(self) -> None:
        """Makes parts of the blocks, one a series."""
        if not self._blocks:
            return
        block = self._blocks[0] if len(self._blocks) == 1 else np.concatenate(self._blocks)
        self._blocks.clear()
        numbers = block["series"]
        used = np.nonzero(np.bincount(numbers))[0].tolist()
        for number in used:
            self._parts.append((self.series[number], block if len(used) == 1 else block[numbers == number]))

    def _tell(self, series: RecordedSeries) -> None:
        if series.booking.pass_on(self._total, series.size):
            series.size = 0
            series.booking.tell(self._stats.entries[series.name, series.method])

    def _book_failures(self) -> None:
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
        self._blocks.clear()
        self._parts.clear()
        self._total.clear()
        self.recent.clear()
        self.steady_from = self.steady_to = _FAR
        for series in self.series:
            series.clear()
            series.booking.clear()
            series.size = 0

    def take(self, everything: bool = True) -> list[Delta]:
        """What came since the last call, by series: `everything`, or what `settle` has digested so far."""
        if everything:
            self.flush()
        found = [series.take() for series in dict.fromkeys(self.series)]
        return [delta for delta in found if delta is not None]

    def take_causes(self, words: Iterable[str]) -> list[str]:
        """Recent causes that contain one of these words; forgets all recent ones."""
        found = [cause for cause in self.recent_causes if any(word in cause for word in words)]
        self.recent_causes.clear()
        return found

    def _digest(self, series: RecordedSeries, block: Any) -> None:
        outcome, phase = block["outcome"], block["phase"]
        series.measured = True
        shape = series.counts.shape
        series.counts += np.bincount(
            phase * np.uint8(shape[1]) + outcome, minlength=shape[0] * shape[1]
        ).reshape(shape)
        done = block["done"]
        felt, lag = done - block["intended"], block["sent"] - block["intended"]
        on_time = not lag.any()  # as all of the closed model: then service is response
        if on_time:
            index = index_of(felt // 1000)[np.newaxis]
        else:
            times = np.stack((felt, felt - lag, lag)) // 1000
            index = index_of(times) if len(block) < _SMALL else np.stack([index_of(row) for row in times])
        response = np.bincount(index[0])
        series.histograms["live"].add(response)
        series.booking.add(response, felt, done)
        steady = (phase == Phase.STEADY) & (outcome <= WRONG)
        if not steady.all():
            index = index[:, steady]
            response = np.bincount(index[0])
        if not index.size:
            return
        histograms = series.histograms
        histograms["response"].add(response)
        histograms["service"].add(response if on_time else np.bincount(index[1]))
        histograms["lag"].add(np.array([index.size]) if on_time else np.bincount(index[2]))
