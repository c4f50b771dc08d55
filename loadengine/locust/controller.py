"""Sees the whole load, on the process that runs alone or on the master: progress, stopping, the last word.

Writes `load.started`, `load.progress` each second, and `load.finished`; decides the exit code.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from math import isnan
from typing import TYPE_CHECKING, Any

import gevent

from core import meter
from core.events import Gauge
from core.load_events import (
    Corrected,
    GeneratorHealth,
    LoadFinished,
    LoadProgress,
    LoadStarted,
    LoadUserFailed,
    WorkerLost,
)
from core.outcome import LoadOutcome, SampleOutcome
from loadengine.locust.abort_rules import AbortRules
from loadengine.locust.live_line import progress_line
from loadengine.locust.live_stats import LiveStats
from loadengine.measure.delta import Delta
from loadengine.measure.histogram import Histogram

if TYPE_CHECKING:
    from loadengine.process import LoadProcess

_now = time.monotonic_ns
STOPPED, BROKEN = 1, 3
"""Exit codes: the load ended itself because the target failed; its evidence is worth nothing."""
_PRINT_EVERY = 5.0


class LoadController:
    """One per load. `ask_to_finish` lets the generating processes end and tell the rest."""

    def __init__(self, process: LoadProcess, environment: Any, ask_to_finish: Callable[[], None]) -> None:
        self.view = LiveStats()
        self.health: dict[str, GeneratorHealth] = {}
        """The last `generator.health` of each generating process."""
        self.lost: list[str] = []
        """Workers that died."""
        self.stopped: str | None = None
        """Why the load was ended early, or None."""
        self.counted_by_workers: dict[str, int] = {}
        self.broken: str | None = None
        self._process = process
        self._environment = environment
        self._ask_to_finish = ask_to_finish
        self._watch = AbortRules(process.settings)
        self._running = False
        self._over = False
        self._last_tick, self._printed, self._started = 0, 0, _now()
        process.on_tick.append(self.check)

    # -- what comes in -------------------------------------------------------------------------------------

    def receive(self, deltas: Iterable[Delta], health: GeneratorHealth | None, worker: str = "local") -> None:
        """A generating process tells what it measured since the last time."""
        self.view.add(_now(), deltas, worker)
        if health is not None:
            self.health[worker] = health

    def worker_lost(self, worker: str, how: str) -> None:
        """A worker died: its share of the load is missing from here on, so nothing can be met."""
        if worker in self.lost or self._over:
            return
        self.lost.append(worker)
        profile, received = self._process.settings.profile, self.view.received[worker]
        self._process.write(WorkerLost(profile, worker, how, received), durable=True)
        print(f"worker {worker} was lost ({how}); this run decides nothing any more", flush=True)

    # -- Locust's events -----------------------------------------------------------------------------------

    def test_start(self) -> None:
        """A test begins (again)."""
        self.view.clear()
        self.lost.clear()
        self.counted_by_workers.clear()
        self.stopped = None
        self._running, self._over, self._started = True, False, _now()
        self._watch = AbortRules(self._process.settings)
        settings, runner = self._process.settings, self._environment.runner
        self._process.write(
            LoadStarted(
                profile=settings.profile,
                users=_planned_users(self._environment),
                rate=settings.rate,
                warm_up=settings.warm_up,
                workers=getattr(runner, "worker_count", 1),
                models=tuple(_models(self._environment)),
                host=self._environment.host or "",
                region=settings.region,
            )
        )

    def finish(self) -> None:
        """The test is about to stop: everybody ends, and tells what is left to tell."""
        if not self._running:
            return
        self._running = False
        self._ask_to_finish()

    def finished(self) -> None:
        """The test is over."""
        if self._over:
            return
        self._over = True
        self.broken = self._why_broken()
        self._tell_wrong()
        finished = LoadFinished(
            profile=self._process.settings.profile,
            outcome=self._outcome(),
            reason=self.broken or self.stopped or "",
            count=self.view.count,
            counted_by_workers=dict(self.counted_by_workers),
            reconciled=all(self.view.received[w] == n for w, n in self.counted_by_workers.items()),
            lost=tuple(self.lost),
            series=tuple(self.view.summary()),
            corrected=tuple(self._corrected()),
            causes=dict(self.view.causes(20)),
        )
        self._process.write(finished, durable=True)
        if self.broken or self.stopped:
            why = self._process.mask(self.broken or self.stopped or "")
            print(f"load {'broken' if self.broken else 'stopped'}: {why}", flush=True)

    def _outcome(self) -> LoadOutcome:
        if self.broken:
            return LoadOutcome.BROKEN
        return LoadOutcome.STOPPED if self.stopped else LoadOutcome.COMPLETED

    def _tell_wrong(self) -> None:
        """How many answers were wrong in the whole load, warm-up and drain included: wrong is wrong at any time."""
        counts = sum(delta.counts.sum(axis=0) for delta in self.view.series.values())
        if self.view.count:
            labels = {"profile": self._process.settings.profile, "phase": "steady"}
            wrong, causes = int(counts[SampleOutcome.WRONG]), dict(self.view.causes(5))
            self._process.write(Gauge("load.wrong", wrong, "answers", labels, causes), durable=True)

    @property
    def exit_code(self) -> int | None:
        """What Locust shall exit with; None leaves it to Locust."""
        return BROKEN if self.broken else STOPPED if self.stopped else None

    # -- the beat ------------------------------------------------------------------------------------------

    def check(self) -> Iterator[None]:
        """Stops the load if it must; tells the journal each second and the terminal each few. In pieces."""
        if not self._running:
            return
        now = _now()
        under_way = sum(health.under_way for health in self.health.values())
        reason = (
            self._process.broken or meter.refusal() or self._watch.reason_to_stop(self.view, now, under_way)
        )
        if reason and not self.stopped:
            self.stopped = reason
            gevent.spawn(self._stop)
        yield
        if now - self._last_tick >= 1e9:
            self._last_tick = now
            self._process.write(self._progress(now))
            yield
        if self._process.settings.progress and now - self._printed >= _PRINT_EVERY * 1e9:
            if self._printed and _headless(self._environment):
                print(
                    progress_line(self.view, now, self._environment.runner, list(self.health.values())),
                    flush=True,
                )
            self._printed = now

    def _progress(self, now: int) -> LoadProgress:
        recent = self.view.recent(now, 5.0)
        percentiles = recent.response.percentiles(50, 95, 99)
        p50, p95, p99 = (None if isnan(value) else value for value in percentiles)
        return LoadProgress(
            profile=self._process.settings.profile,
            users=self._environment.runner.user_count,
            count=self.view.count,
            per_second=recent.count / recent.seconds,
            failed=recent.failed,
            refused=recent.refused,
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
        )

    def _corrected(self) -> list[Corrected]:
        """For closed users alone: percentiles with coordinated omission corrected, beside the raw ones.

        The interval at which a user means to act is taken as all users' time divided by all they did.
        """
        if _models(self._environment) != ["closed"]:
            return []
        seconds = (_now() - self._started) / 1e9
        found = []
        for key in sorted(self.view.series):
            delta = self.view.series[key]
            response = delta.histograms["response"]
            if not response.total:
                continue
            expected = _planned_users(self._environment) * seconds * 1000 / max(int(delta.counts.sum()), 1)
            corrected = response.corrected(expected)
            found.append(
                Corrected(
                    delta.metric, delta.labels, expected, _percentiles(response), _percentiles(corrected)
                )
            )
        return found

    def _stop(self) -> None:
        runner = self._environment.runner
        if _headless(self._environment):
            runner.quit()
        else:
            runner.stop()

    def _raised(self) -> str:
        """What the profile's own code raised, in words; each is journaled, where secrets are masked."""
        raised = _raised_by(self._environment)
        for text, count in raised:
            self._process.write(LoadUserFailed(self._process.settings.profile, text, count))
        return "; ".join(f"{text} ({count} times)" for text, count in raised[:3])

    def _why_broken(self) -> str | None:
        if self._process.broken:
            return self._process.broken
        if why := meter.refusal():
            return why
        if self.lost:
            return f"{len(self.lost)} worker(s) died during the load: {', '.join(self.lost)}"
        if raised := self._raised():
            return f"a task of the profile raised {raised}"
        if self.view.count == 0:
            return "nothing was measured; see the errors above"
        return None


def _raised_by(environment: Any) -> list[tuple[str, int]]:
    """What tasks raised on any generating process, and how often each; Locust's workers tell their master."""
    found = environment.runner.exceptions.values()
    return [(str(one["msg"]), int(one["count"])) for one in found]


def _planned_users(environment: Any) -> int:
    options = environment.parsed_options
    return int(getattr(options, "num_users", 0) or 0) or int(environment.runner.target_user_count or 0)


def _percentiles(histogram: Histogram) -> dict[str, float]:
    return {f"{p:g}": histogram.percentile(p) for p in (50, 95, 99, 99.9)}


def _headless(environment: Any) -> bool:
    return bool(getattr(environment.parsed_options, "headless", True))


def _models(environment: Any) -> list[str]:
    return sorted({getattr(kind, "model", "stock") for kind in environment.user_classes})
