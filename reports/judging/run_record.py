"""From a run's journal to what happened in it: one pass over the events, nothing judged yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from core.evidence import Event, Evidence


@dataclass
class CheckRecord:
    """What was recorded of one check."""

    id: str
    passport: dict[str, Any] = field(default_factory=dict)
    started: float | None = None
    finished: list[Event] = field(default_factory=list)
    witnesses: list[dict[str, Any]] = field(default_factory=list)
    attachments: list[dict[str, Any]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class LoadRecord:
    """What was recorded of one load profile; times as wall-clock nanoseconds."""

    name: str
    started: int | None = None
    finished: int | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    outcome: str = ""
    reason: str = ""
    steady_from: int | None = None
    steady_to: int | None = None
    progress: list[dict[str, Any]] = field(default_factory=list)
    """What the load told each second (users, per_second), with its time as `wall`."""
    levels: list[dict[str, Any]] = field(default_factory=list)
    """Levels of a search for the knee, `from` and `to` on the wall clock."""
    knee: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Unhealthy:
    """A stretch in which a load generator measured itself; wall-clock nanoseconds, and whose journal says so."""

    start: int
    end: int
    reason: str
    source: str


@dataclass(frozen=True)
class Saturated(Unhealthy):
    """A stretch in which a part of the embedded target, by its name, was at its own limit."""

    name: str


@dataclass
class RunRecord:
    """What happened in a run. Wall-clock nanoseconds wherever a time is named `..._ns`.

    `profile_of` tells, for each journal that holds a load's events, which profiles it served.
    """

    id: str
    started: Event = field(default_factory=dict)
    finished: Event | None = None
    plan: Event = field(default_factory=dict)
    target: Event = field(default_factory=dict)
    checks: dict[str, CheckRecord] = field(default_factory=dict)
    loads: dict[str, LoadRecord] = field(default_factory=dict)
    unhealthy: list[Unhealthy] = field(default_factory=list)
    saturated: list[Saturated] = field(default_factory=list)
    network: dict[str, Event] = field(default_factory=dict)
    health: list[Event] = field(default_factory=list)
    """What each load generator told of itself, with its time as `wall`."""
    profile_of: dict[str, set[str]] = field(default_factory=dict)
    lost_workers: list[Event] = field(default_factory=list)
    died: list[Event] = field(default_factory=list)
    outages: list[Event] = field(default_factory=list)
    gauges: list[Event] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    open_journals: list[str] = field(default_factory=list)
    marks: list[dict[str, Any]] = field(default_factory=list)
    first_ns: int | None = None
    last_ns: int | None = None
    ledger_left: int = 0
    faults: list[str] = field(default_factory=list)
    version: str = ""

    @property
    def manifest(self) -> dict[str, Any]:
        """What had to run: checks, profiles, objectives."""
        return dict(self.plan.get("manifest") or {})

    def serves(self, source: str, profile: str) -> bool:
        """Whether a journal belongs to a profile's load; one that names none may belong to any."""
        return profile in self.profile_of.get(source, {profile})

    def check(self, identifier: str) -> CheckRecord:
        """The record of a check, made when it is first heard of."""
        if identifier not in self.checks:
            self.checks[identifier] = CheckRecord(identifier)
        return self.checks[identifier]


def read(evidence: Evidence) -> RunRecord:
    """Reads every event of a run, each time put on the wall clock by its own file's header."""
    run = RunRecord(id=evidence.directory.name)
    offsets: dict[str, int] = {}
    for file in evidence.files:
        header = file.header
        if "wall_ns" in header and "monotonic_ns" in header:
            offsets[file.path.stem] = int(header["wall_ns"]) - int(header["monotonic_ns"])
        else:
            run.damage.append(f"{file.path.name} has no header; its times cannot be placed")
    planned, undone = 0, 0
    for event in evidence.events():
        offset = offsets.get(event["source"], 0)
        wall = int(event.get("t") or 0) + offset
        if run.first_ns is None:
            run.first_ns = wall
        run.last_ns = max(run.last_ns or wall, wall)
        kind = event["type"]
        planned += kind == "ledger.planned"
        undone += kind == "ledger.undone"
        _take(run, kind, event, wall, offset)
    run.ledger_left = max(0, planned - undone)
    run.version = run.version or str(run.started.get("platform_version") or "")
    run.open_journals = [file.path.stem for file in evidence.files if not file.closed]
    return run


def _take(run: RunRecord, kind: str, event: Event, wall: int, offset: int) -> None:
    if kind.startswith("check.") or kind in ("witness.answered", "attachment", "step"):
        _take_check(run, kind, event, wall)
    elif kind.startswith("load.") or kind in ("generator.health", "worker.lost"):
        _take_load(run, kind, event, wall, offset)
    elif kind == "component.saturated":
        _take_saturated(run, event, wall, offset)
    elif kind == "generator.network":
        run.network[str(event.get("profile") or "")] = event
    elif kind == "gauge":
        run.gauges.append({**event, "wall": wall})
    elif kind == "run.started":
        run.started = {**event, "wall": wall}
        run.id = str(event.get("run") or run.id)
    elif kind == "run.finished":
        run.finished = {**event, "wall": wall}
    elif kind == "plan.resolved":
        run.plan = event
    elif kind == "target.resolved":
        run.target = event
    elif kind == "component.died":
        run.died.append(event)
        _mark(run, wall, kind, died(event))
    elif kind in ("outage.planned", "outage.ended"):
        run.outages.append(event)
        _mark(
            run,
            wall,
            kind,
            f"{event.get('name') or event.get('component') or 'service'}: {kind.split('.')[1]}",
        )
    elif kind == "note":
        _take_note(run, event)


def _take_saturated(run: RunRecord, event: Event, wall: int, offset: int) -> None:
    """A second in which a part of the embedded target was at its limit; stretches get one mark."""
    name, reason = str(event.get("name") or "a component"), str(event.get("reason") or "")
    start, end = int(event["from"]) + offset, int(event["to"]) + offset
    before = run.saturated[-1] if run.saturated else None
    if before is None or before.name != name or start - before.end > 1_000_000_000:
        _mark(run, start, "component.saturated", f"{name} saturated")
    run.saturated.append(Saturated(start, end, reason, event["source"], name))


def died(event: Event) -> str:
    """The death of a component in words, with what is known of it."""
    known = [
        f"{word} {event[key]}"
        for key, word in (("exit", "exit"), ("log", "log"))
        if event.get(key) is not None
    ]
    told = f" ({', '.join(known)})" if known else ""
    return f"{event.get('name') or 'a component'} died during the run{told}"


def _take_note(run: RunRecord, event: Event) -> None:
    text, level = str(event.get("text") or event.get("message") or ""), event.get("level")
    if level == "broken":
        run.faults.append(text)
    elif level == "version":
        run.version = text
    elif level != "progress":
        run.notes.append(text)


def _take_check(run: RunRecord, kind: str, event: Event, wall: int) -> None:
    if kind == "check.collected":
        record = run.check(str(event.get("check") or (event.get("passport") or {}).get("id")))
        record.passport = event.get("passport") or {}
        return
    name = event.get("check")
    if not name:
        return
    record = run.check(str(name))
    if kind == "check.started":
        record.started = record.started or wall / 1e9
    elif kind == "check.finished":
        record.finished.append(event)
    elif kind == "witness.answered":
        record.witnesses.append({k: event.get(k) for k in ("service", "channel", "fact")})
    elif kind == "attachment":
        record.attachments.append({k: event.get(k) for k in ("name", "path", "media_type")})
    elif kind == "step":
        record.steps.append({k: event.get(k) for k in ("name", "seconds", "outcome")})


def _take_load(run: RunRecord, kind: str, event: Event, wall: int, offset: int) -> None:
    if kind == "generator.health":
        run.health.append({**event, "wall": wall})
        if not event.get("ok", True):
            start, end = event.get("from"), event.get("to")
            run.unhealthy.append(
                Unhealthy(
                    int(start) + offset if start else wall,
                    int(end) + offset if end else wall,
                    str(event.get("reason") or "the load generator was saturated"),
                    event["source"],
                )
            )
        return
    if kind == "worker.lost":
        run.lost_workers.append(event)
        _mark(run, wall, kind, f"load worker {event.get('worker') or event.get('name') or ''} lost")
        return
    name = str(event.get("profile") or event.get("name") or "load")
    run.profile_of.setdefault(event["source"], set()).add(name)
    if kind not in _OF_A_LOAD:
        return
    record = run.loads.setdefault(name, LoadRecord(name))
    if kind in ("load.steady", "load.drain"):
        moment = event.get("steady_from" if kind == "load.steady" else "steady_to")
        if isinstance(moment, int):
            _window(record, kind, moment + offset)
    elif kind == "load.progress":
        record.progress.append({**event, "wall": wall})
    elif kind == "load.level" and all(isinstance(event.get(k), int) for k in ("users", "from", "to")):
        record.levels.append(
            {
                **event,
                "holds": bool(event.get("holds")),
                "from": event["from"] + offset,
                "to": event["to"] + offset,
            }
        )
    elif kind == "load.knee":
        record.knee = dict(event)
    elif kind == "load.started":
        record.started = wall
        record.fields = {k: v for k, v in event.items() if k not in ("type", "t", "source")}
    elif kind == "load.finished":
        record.finished = wall
        record.outcome = str(event.get("outcome") or event.get("reason") or "")
        record.reason = str(event.get("reason") or "")
        record.fields.update({k: v for k, v in event.items() if k not in ("type", "t", "source")})


_OF_A_LOAD = (
    "load.started",
    "load.steady",
    "load.progress",
    "load.level",
    "load.knee",
    "load.drain",
    "load.finished",
)


def _window(record: LoadRecord, kind: str, moment: int) -> None:
    """The steady window of all workers together: from the first to begin, to the last to end."""
    if kind == "load.steady":
        record.steady_from = min(record.steady_from or moment, moment)
    else:
        record.steady_to = max(record.steady_to or moment, moment)


def _mark(run: RunRecord, wall: int, kind: str, text: str) -> None:
    run.marks.append({"at": wall / 1e9, "kind": kind, "text": text})
