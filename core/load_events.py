"""The kinds of events that loads write; see `core.events` for what an event is."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.event import Event, kind
from core.outcome import LoadOutcome


@kind("load.started")
class LoadStarted(Event):
    """A load begins. `models` are those of its users: open, closed, or Locust's own (`stock`)."""

    profile: str
    users: int
    rate: float
    warm_up: float
    workers: int
    models: tuple[str, ...]
    host: str
    region: str


@kind("load.steady")
class LoadSteady(Event):
    """A generating process's steady window begins at `steady_from`; its traces begin with `trace_prefix`."""

    profile: str
    steady_from: int
    trace_prefix: str


@kind("load.progress")
class LoadProgress(Event):
    """How the load goes, over the last seconds; percentiles are None while nothing was measured."""

    profile: str
    users: int
    count: int
    per_second: float
    failed: int
    refused: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


@kind("load.level")
class LoadLevel(Event):
    """A level of a search for the knee, from `start` to `end`; `why` it does not hold, empty where it does."""

    profile: str
    users: int
    start: int
    end: int
    holds: bool
    why: str
    per_second: float


@kind("load.knee")
class LoadKnee(Event):
    """Where a search ended: so many users hold (None: not one), the knee lies between `low` and `high` (None: beyond)."""

    profile: str
    users: int | None
    low: int
    high: int | None
    sure: bool
    peak: int


@kind("load.user_failed")
class LoadUserFailed(Event):
    """Tasks of the profile's users raised this, so often: a fault of the profile, not of the platform."""

    profile: str
    error: str
    count: int


@kind("load.drain")
class LoadDrain(Event):
    """A generating process's steady window ends at `steady_to`."""

    profile: str
    steady_to: int


@dataclass(frozen=True)
class SeriesSummary:
    """One series of a load: counts by phase and outcome, and by clock the percentiles of its steady window in ms."""

    metric: str
    labels: dict[str, str]
    counts: dict[str, dict[str, int]]
    causes: dict[str, int]
    percentiles: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Corrected:
    """A series of closed users: percentiles in ms as measured, and with coordinated omission corrected."""

    metric: str
    labels: dict[str, str]
    expected_interval_ms: float
    raw: dict[str, float]
    corrected: dict[str, float]


@kind("load.finished")
class LoadFinished(Event):
    """A load's end as its controller saw it; `reason` says why it did not run as planned.

    `count` is what reached the controller; `counted_by_workers` what each worker says it measured.
    """

    profile: str
    outcome: LoadOutcome
    reason: str
    count: int
    counted_by_workers: dict[str, int] = field(default_factory=dict)
    reconciled: bool = True
    lost: tuple[str, ...] = ()
    series: tuple[SeriesSummary, ...] = ()
    corrected: tuple[Corrected, ...] = ()
    causes: dict[str, int] = field(default_factory=dict)


@kind("load.left")
class LoadLeft(Event):
    """A planned load that is not started. `applicable` False: the target has no such thing; else the permit lacks."""

    profile: str
    applicable: bool
    why: str


@kind("load.repeated")
class LoadRepeated(Event):
    """These loads are measured again, as the plan says: their generator was unfit, and the evidence is set aside."""

    profiles: tuple[str, ...]
    reason: str
    aside: str


@kind("worker.joined")
class WorkerJoined(Event):
    """A worker said hello to the load's controller; `late`: while the load was already under way."""

    worker: str
    host: str
    boot: str
    late: bool


@kind("worker.clock")
class WorkerClock(Event):
    """A worker's monotonic clock: how much to add for the controller's, and how wrong that may be."""

    worker: str
    boot: str
    offset_ns: int
    uncertainty_ns: int


@kind("worker.lost")
class WorkerLost(Event):
    """A worker of a load died: its share of the load is missing. `received`: samples that it had told."""

    profile: str
    worker: str
    how: str
    received: int


@kind("generator.health")
class GeneratorHealth(Event):
    """A generating process judged itself from `start` to `end`; unfit for the reasons in `reason`, fit without one."""

    start: int
    end: int
    reason: str
    lag_p99_ms: float
    cpu: float
    late: int = 0
    dropped: int = 0
    backlog: int = 0
    under_way: int = 0
    files: int = 0
    memory_mb: float = 0.0
    gc_pause_ms: float = 0.0
    samples: int = 0

    @property
    def ok(self) -> bool:
        """Whether the generator was fit to measure."""
        return not self.reason


@kind("generator.network")
class GeneratorNetwork(Event):
    """The round trip in ms from where a load is generated to each origin, by the variable that names it."""

    profile: str
    region: str
    round_trip_ms: dict[str, float]


@kind("sample.slow")
class SampleSlow(Event):
    """One of a process's slowest samples, with the trace by which its target may know it."""

    metric: str
    labels: dict[str, str]
    trace_id: str
    ms: float
    intended: int
