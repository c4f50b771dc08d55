"""Is the generator itself fit to measure? Judged every second; an unfit second invalidates its samples.

Watched: send lag, dropped arrivals, the process's share of a core, open files against their limit, local
resources refused by the kernel, pauses of garbage collection, memory, and whether evidence can be written.
"""

from __future__ import annotations

import gc
import os
import resource
import time
from collections.abc import Iterator, Sized
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from core.journal import SAMPLE
from core.load_events import GeneratorHealth
from core.outcome import SampleOutcome
from loadengine.context import LoadContext
from loadengine.measure.histogram import Histogram

_now = time.monotonic_ns
EVERY = 1_000_000_000
FULL_CORE = 0.97
LATE_SHARE, FEW_LATE = 0.01, 2
"""Late sends that a second may have: this share, or this number when there are few."""
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LOCAL_LIMITS = ("EMFILE", "ENFILE", "EADDRNOTAVAIL", "ENOBUFS", "ENOMEM")


class HasBacklog(Protocol):
    """The arrivals of a process, as far as its health goes."""

    dropped: int
    """That found no place to wait."""

    @property
    def backlog(self) -> Sized:
        """That wait for a lane."""


class GeneratorMonitor:
    """One per generating process; `check` is called at every tick."""

    def __init__(self, engine: LoadContext, arrivals: HasBacklog) -> None:
        self._engine, self._arrivals = engine, arrivals
        self._since, self._cpu = _now(), time.process_time()
        self._dropped = 0
        self._pause_from, self._pause = 0, 0
        self.bad_seconds = 0
        self.seconds = 0
        self.latest: GeneratorHealth | None = None
        """The last verdict of this test; None before the first."""
        gc.callbacks.append(self._collected)

    def restart(self) -> None:
        """A new test begins."""
        self.bad_seconds = self.seconds = self._dropped = 0
        self.latest = None
        self._since, self._cpu = _now(), time.process_time()

    def check(self) -> Iterator[None]:
        """Judges the time since the last verdict, once it is a second; in pieces, between which the load goes on."""
        engine = self._engine
        now, cpu = _now(), time.process_time()
        if now - self._since < EVERY:
            return
        share = (cpu - self._cpu) / ((now - self._since) / 1e9)
        blocks, engine.recorder.recent[:] = list(engine.recorder.recent), []
        samples = np.concatenate(blocks) if blocks else np.zeros(0, SAMPLE)
        behind = (samples["sent"] - samples["intended"])[samples["outcome"] != SampleOutcome.CANCELLED]
        late = int((behind > engine.settings.lag_limit_ms * 1e6).sum())
        lag = Histogram()
        lag.record(behind)
        yield
        dropped = self._arrivals.dropped
        sockets = open_files()
        measured = GeneratorHealth(
            start=self._since,
            end=now,
            reason="",
            lag_p99_ms=round(lag.percentile(99), 3) if lag.total else 0.0,
            late=late,
            cpu=round(share, 3),
            dropped=dropped - self._dropped,
            backlog=len(self._arrivals.backlog),
            under_way=engine.under_way(),
            files=sockets,
            memory_mb=round(resident() / 2**20, 1),
            gc_pause_ms=round(self._pause / 1e6, 2),
            samples=len(samples),
        )
        yield
        reasons = self._reasons(measured)
        self.latest = replace(measured, reason="; ".join(reasons))
        engine.process.write(self.latest)
        self.seconds += 1
        self.bad_seconds += bool(reasons)
        self._since, self._cpu, self._dropped, self._pause = now, cpu, dropped, 0

    def _reasons(self, measured: GeneratorHealth) -> list[str]:
        engine, found = self._engine, []
        if measured.late > max(FEW_LATE, measured.samples * LATE_SHARE):
            found.append(
                f"{measured.late} of {measured.samples} sends lag more than "
                f"{engine.settings.lag_limit_ms:g} ms behind the schedule"
            )
        if measured.dropped:
            found.append(f"{measured.dropped} arrivals were dropped")
        if measured.backlog:
            found.append(f"{measured.backlog} arrivals wait for a free lane")
        if measured.cpu > FULL_CORE:
            found.append("the process uses a whole core; add workers")
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if measured.files > limit * 0.95:
            found.append(f"{measured.files} of {limit} file descriptors are open")
        found += [f"the kernel refused: {cause}" for cause in engine.recorder.take_causes(_LOCAL_LIMITS)]
        if engine.process.broken:
            found.append(engine.process.broken)
        return found

    def _collected(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._pause_from = _now()
        else:
            self._pause = max(self._pause, _now() - self._pause_from)


def open_files() -> int:
    """How many descriptors this process has; Linux tells since 6.2, before that they are counted.

    Counting ten thousand of them stops the generator for 10 ms, every second.
    """
    return Path("/proc/self/fd").stat().st_size or sum(1 for _ in os.scandir("/proc/self/fd"))


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_bytes().split()[1]) * _PAGE
