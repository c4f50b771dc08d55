"""From a run's journal to what happened in it: one pass over the events, nothing judged yet."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field, replace
from typing import Any

from core.event import Event
from core.events import (
    Attachment,
    CheckCollected,
    CheckExchange,
    CheckFinished,
    CheckStarted,
    ComponentDied,
    ComponentSaturated,
    FlowStep,
    Gauge,
    LedgerLeft,
    LedgerPlanned,
    LedgerUndone,
    Manifest,
    Note,
    NoteLevel,
    OutageEnded,
    OutagePlanned,
    PartEnded,
    PlanResolved,
    PlatformVersion,
    RunFinished,
    RunShard,
    RunStarted,
    TargetResolved,
    WitnessAnswered,
)
from core.evidence import Evidence
from core.load_events import (
    GeneratorHealth,
    GeneratorNetwork,
    LoadDrain,
    LoadFinished,
    LoadKnee,
    LoadLeft,
    LoadLevel,
    LoadProgress,
    LoadRepeated,
    LoadStarted,
    LoadSteady,
    LoadUserFailed,
    WorkerLost,
)
from core.passport import Passport

CHECKS = "checks"
"""What stands for a profile where samples are taken by checks."""
_GENERATORS = ("load", "worker")
"""Roles of the processes that generate load."""


@dataclass
class CheckRecord:
    """What was recorded of one check; `finished` oldest first; what has a time beside it, in seconds since 1970."""

    id: str
    passport: Passport | None = None
    started: float | None = None
    finished: list[CheckFinished] = field(default_factory=list)
    witnesses: list[tuple[float, WitnessAnswered]] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    steps: list[tuple[float, FlowStep]] = field(default_factory=list)
    exchanges: list[tuple[float, CheckExchange]] = field(default_factory=list)


@dataclass
class LoadRecord:
    """What was recorded of one load profile; times as wall-clock nanoseconds, those of `levels` too."""

    name: str
    start: LoadStarted | None = None
    started: int | None = None
    end: LoadFinished | None = None
    finished: int | None = None
    steady_from: int | None = None
    steady_to: int | None = None
    progress: list[tuple[int, LoadProgress]] = field(default_factory=list)
    """What the load told each second, with its time."""
    levels: list[LoadLevel] = field(default_factory=list)
    knee: LoadKnee | None = None
    failures: list[LoadUserFailed] = field(default_factory=list)
    lost: list[WorkerLost] = field(default_factory=list)


@dataclass(frozen=True)
class Unhealthy:
    """A stretch in which a load generator measured itself; wall-clock nanoseconds, and whose journal says so."""

    start: int
    end: int
    reason: str
    source: str


@dataclass(frozen=True)
class Saturated:
    """A stretch in which a part of the embedded target was at its own limit; wall-clock nanoseconds."""

    start: int
    end: int
    event: ComponentSaturated


@dataclass(frozen=True)
class EventTime:
    """An event with its time on the wall clock, in nanoseconds, and the journal that it stands in."""

    wall: int
    source: str


@dataclass(frozen=True)
class GaugeReading(EventTime):
    """One reading of a level."""

    gauge: Gauge


@dataclass(frozen=True)
class HealthReading(EventTime):
    """What a load generator told of itself."""

    event: GeneratorHealth


@dataclass
class RunRecord:
    """What happened in a run. Wall-clock nanoseconds wherever a time is named `..._ns`.

    `profile_of` tells, for each journal that holds a load's events, which profiles it served; `roles` tells of every
    journal what its process was.
    """

    id: str
    started: RunStarted | None = None
    started_ns: int | None = None
    finished: RunFinished | None = None
    finished_ns: int | None = None
    plan: PlanResolved | None = None
    target: TargetResolved | None = None
    parts: dict[str, PartEnded] = field(default_factory=dict)
    """The last end of each of the runner's subprocesses, by its log."""
    checks: dict[str, CheckRecord] = field(default_factory=dict)
    loads: dict[str, LoadRecord] = field(default_factory=dict)
    left: dict[str, LoadLeft] = field(default_factory=dict)
    """Planned loads that were not started, and why."""
    unhealthy: list[Unhealthy] = field(default_factory=list)
    saturated: list[Saturated] = field(default_factory=list)
    """As it was recorded, about a second each."""
    stretches: list[Saturated] = field(default_factory=list)
    """The same, seconds that follow each other joined; each has a mark in `marks`, and in `saturation_marks`."""
    saturation_marks: list[dict[str, Any]] = field(default_factory=list)
    network: dict[str, GeneratorNetwork] = field(default_factory=dict)
    health: list[HealthReading] = field(default_factory=list)
    profile_of: dict[str, set[str]] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    died: list[ComponentDied] = field(default_factory=list)
    gauges: list[GaugeReading] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    open_journals: list[str] = field(default_factory=list)
    marks: list[dict[str, Any]] = field(default_factory=list)
    first_ns: int | None = None
    last_ns: int | None = None
    ledger_left: int = 0
    foreign: list[str] = field(default_factory=list)
    """What stood where the run's own things were planned and is not shown to be ours: why it was left."""
    version: str = ""
    shard: RunShard | None = None
    """Which part of its plan this run did alone; None of a whole or a merged one."""
    shards_ns: tuple[int | None, int | None] = None, None
    """When the first of a merged run's shards began and the last ended."""

    @property
    def manifest(self) -> Manifest:
        """What had to run: checks, profiles, objectives."""
        return self.plan.manifest if self.plan else Manifest((), (), ())

    def serves(self, source: str, profile: str) -> bool:
        """Whether a journal belongs to a profile's load, or to the checks (`CHECKS`).

        A generator's that names no profile may belong to any load; what is neither a generator's nor a check's (the
        runner's, a reader's beside a load) may belong to either.
        """
        role = self.roles.get(source, source)
        if profile == CHECKS:
            return source not in self.profile_of and role not in _GENERATORS
        return profile in self.profile_of.get(source, {profile}) and not role.startswith(CHECKS)

    def reads(self, source: str, profile: str) -> bool:
        """Whether a journal's readings are of loads, whichever, or of the checks."""
        if profile == CHECKS:
            return self.serves(source, CHECKS)
        return not self.roles.get(source, source).startswith(CHECKS)

    def check(self, identifier: str) -> CheckRecord:
        """The record of a check, made when it is first heard of."""
        return self.checks.setdefault(identifier, CheckRecord(identifier))

    def load(self, profile: str) -> LoadRecord:
        """The record of a load, made when it is first heard of."""
        return self.loads.setdefault(profile, LoadRecord(profile))


def read(evidence: Evidence) -> RunRecord:
    """Reads every event of a run, each time put on the wall clock by its own file's header."""
    run = RunRecord(id=evidence.directory.name)
    offsets, shards = {}, set()
    for file in evidence.files:
        offsets[file.source] = file.offset_ns
        if file.below:
            shards.add(file.source)
        if file.header is None:
            run.damage.append(f"{file.path.name} has no header; its times cannot be placed")
        else:
            run.roles[file.source] = file.header.role
    for recorded in evidence.recorded():
        offset = offsets[recorded.source]
        wall = recorded.t + offset
        run.first_ns = wall if run.first_ns is None else run.first_ns
        run.last_ns = max(run.last_ns or wall, wall)
        if recorded.event.type.startswith("load.") and (profile := getattr(recorded.event, "profile", "")):
            run.profile_of.setdefault(recorded.source, set()).add(profile)
        if recorded.source in shards and _is_of_shard(run, recorded.event, wall):
            continue
        _take(run, recorded.event, EventTime(wall, recorded.source), offset)
    if shards:
        run.started_ns, run.finished_ns = run.shards_ns
    run.ledger_left = max(0, run.ledger_left)
    run.open_journals = [file.source for file in evidence.files if not file.closed]
    return run


def _is_of_shard(run: RunRecord, event: Event, wall: int) -> bool:
    """Whether an event speaks of a shard's own run, not of the merged one; when it began and ended is kept."""
    first, last = run.shards_ns
    match event:
        case RunStarted():
            run.shards_ns = min(first or wall, wall), last
        case RunFinished():
            run.shards_ns = first, max(last or wall, wall)
        case RunShard():
            pass
        case _:
            return False
    return True


def _take(run: RunRecord, event: Event, at: EventTime, offset: int) -> None:
    match event:
        case RunStarted():
            run.id, run.started, run.started_ns = event.run, event, at.wall
        case RunFinished():
            run.finished, run.finished_ns = event, at.wall
        case PlanResolved():
            run.plan = event
        case TargetResolved():
            run.target = event
        case RunShard():
            run.shard = event
        case PlatformVersion():
            run.version = event.version
        case PartEnded():
            run.parts[event.log or event.part] = event
        case Note(level=NoteLevel.INFO | NoteLevel.WARNING):
            run.notes.append(event.text)
        case LedgerPlanned():
            run.ledger_left += 1
        case LedgerUndone():
            run.ledger_left -= 1
        case LedgerLeft():
            run.ledger_left -= 1
            run.foreign.append(event.why)
        case Gauge():
            run.gauges.append(GaugeReading(at.wall, at.source, event))
        case ComponentDied():
            run.died.append(event)
            _mark(run, at.wall, event, died(event))
        case ComponentSaturated():
            _take_saturated(run, event, offset)
        case OutagePlanned() | OutageEnded():
            _mark(run, at.wall, event, f"{event.component}: {event.type.partition('.')[2]}")
        case _:
            _take_check(run, event, at, offset)
            _take_load(run, event, at, offset)


def _take_check(run: RunRecord, event: Event, at: EventTime, offset: int) -> None:
    match event:
        case CheckCollected():
            run.check(event.check).passport = event.passport
        case CheckStarted():
            record = run.check(event.check)
            record.started = record.started or at.wall / 1e9
        case CheckFinished():
            run.check(event.check).finished.append(event)
        case WitnessAnswered():
            run.check(event.check).witnesses.append((at.wall / 1e9, event))
        case CheckExchange():
            run.check(event.check).exchanges.append(((event.at + offset) / 1e9, event))
        case Attachment() if event.check:
            run.check(event.check).attachments.append(event)
        case FlowStep() if event.check:
            run.check(event.check).steps.append((at.wall / 1e9, event))


def _take_load(run: RunRecord, event: Event, at: EventTime, offset: int) -> None:
    match event:
        case LoadStarted():
            load = run.load(event.profile)
            load.start, load.started = event, at.wall
        case LoadSteady():
            moment, load = event.steady_from + offset, run.load(event.profile)
            load.steady_from = min(load.steady_from or moment, moment)
        case LoadDrain():
            moment, load = event.steady_to + offset, run.load(event.profile)
            load.steady_to = max(load.steady_to or moment, moment)
        case LoadProgress():
            run.load(event.profile).progress.append((at.wall, event))
        case LoadLevel():
            moved = replace(event, start=event.start + offset, end=event.end + offset)
            run.load(event.profile).levels.append(moved)
        case LoadKnee():
            run.load(event.profile).knee = event
        case LoadUserFailed():
            run.load(event.profile).failures.append(event)
        case LoadFinished():
            load = run.load(event.profile)
            load.end, load.finished = event, at.wall
        case LoadLeft():
            run.left[event.profile] = event
        case LoadRepeated():
            names = ", ".join(event.profiles)
            run.notes.append(
                f"{names}: measured again, since the load generator was not fit: {event.reason} (kept in {event.aside}/)"
            )
        case WorkerLost():
            run.load(event.profile).lost.append(event)
            _mark(run, at.wall, event, f"load worker {event.worker} lost")
        case GeneratorHealth():
            run.health.append(HealthReading(at.wall, at.source, event))
            if not event.ok:
                start, end = event.start + offset, event.end + offset
                run.unhealthy.append(Unhealthy(start, end, event.reason, at.source))
        case GeneratorNetwork():
            run.network[event.profile] = event


def _take_saturated(run: RunRecord, event: ComponentSaturated, offset: int) -> None:
    """A second in which a part of the embedded target was at its limit; a stretch of them is one entry and one mark."""
    start, end = event.start + offset, event.end + offset
    run.saturated.append(Saturated(start, end, event))
    stretch = run.stretches[-1] if run.stretches else None
    if (
        stretch is None
        or (stretch.event.component, stretch.event.profile) != (event.component, event.profile)
        or start - stretch.end > 1_000_000_000
    ):
        stretch = Saturated(start, end, event)
        run.stretches.append(stretch)
        _mark(run, start, event, "")
        run.saturation_marks.append(run.marks[-1])
    else:
        stretch = run.stretches[-1] = replace(stretch, end=max(end, stretch.end))
    run.saturation_marks[-1]["text"] = saturation(stretch)


def saturation(stretch: Saturated) -> str:
    """A stretch in words: which part, under which load, for how long."""
    lasted = (stretch.end - stretch.start) / 1e9
    event = stretch.event
    return f"{event.component} saturated for {lasted:.0f} s under the load '{event.profile}'"


def died(event: ComponentDied) -> str:
    """The death of a component in words, with what is known of it."""
    code = event.exit_code
    if code is None:
        how = "nobody saw how"
    elif code < 0:
        names = {number.value: number.name for number in signal.Signals}
        how = f"signal {names.get(-code, -code)}"
    else:
        how = f"exit code {code}"
    return f"{event.component} died during the run ({how}, log {event.log})"


def _mark(run: RunRecord, wall: int, event: Event, text: str) -> None:
    run.marks.append({"at": wall / 1e9, "kind": event.type, "text": text})
