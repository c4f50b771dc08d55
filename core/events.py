"""Every kind of event that a journal holds: one frozen class each, with the name under which it is stored.

An event is data: numbers, names and enums. Sentences are made of it in `reports/` alone. Times are monotonic
nanoseconds of the recording host (`JournalOpened` ties them to the wall clock) unless a field says otherwise.
The kinds that loads write stand in `core.load_events`. `core.event_lines` writes and reads all of them; there,
whatever does not fit its class is damage.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from pydantic import JsonValue

from core.event import Event, kind
from core.outcome import CheckOutcome, RunOutcome
from core.passport import Passport
from core.service import Service
from core.target import Target

# -- the journal itself ----------------------------------------------------------------------------------------


@kind("journal.opened")
class JournalOpened(Event):
    """The first line of a process's journal: who writes, and one moment on both of its clocks."""

    format: int
    role: str
    pid: int
    host: str
    boot: str
    monotonic_ns: int
    wall_ns: int


@kind("journal.closed")
class JournalClosed(Event):
    """The last line of a journal whose writer was not killed."""


class NoteLevel(StrEnum):
    """What a note is for: INFO and WARNING are shown in the report, PROGRESS on the terminal alone."""

    INFO = "info"
    WARNING = "warning"
    PROGRESS = "progress"


@kind("note")
class Note(Event):
    """Something for people to read. Nothing is ever decided by a note."""

    level: NoteLevel
    text: str


# -- the run ---------------------------------------------------------------------------------------------------


@kind("run.started")
class RunStarted(Event):
    """The runner begins; `target` is the kind that was asked for, `embedded` or another.

    `project` is the folder of a team's own project, empty for the reference platform's.
    """

    run: str
    assay_version: str
    commit: str
    plan: str
    target: str
    host: str
    cpus: int | None
    python: str
    argv: tuple[str, ...]
    project: str = ""


@kind("run.shard")
class RunShard(Event):
    """This run does the `number`-th of `of` parts of its plan, counted from 1; `assay merge` puts them together."""

    number: int
    of: int


@dataclass(frozen=True)
class PlannedLoad:
    """One load that must run: its users, arrivals a second (0: as users go), and seconds."""

    name: str
    users: int
    rate: float
    duration: float
    warm_up: float
    shape: str


@dataclass(frozen=True)
class ManifestObjective:
    """One objective that is judged: from at least `min_samples`, measured by `profile` (a load, or `checks`)."""

    id: str
    percentile: float | None
    min_samples: int
    profile: str
    decides: bool


@dataclass(frozen=True)
class Manifest:
    """What must have run."""

    checks: tuple[str, ...]
    profiles: tuple[PlannedLoad, ...]
    objectives: tuple[ManifestObjective, ...]
    must_cover: tuple[str, ...] = ()
    """Capabilities of which a check must have run."""


@dataclass(frozen=True)
class DeclaredCheck:
    """A check that the suites hold, with the requirements that it speaks of."""

    id: str
    requirement: tuple[str, ...]


@kind("plan.resolved")
class PlanResolved(Event):
    """What the run's plan requires, whatever was selected; and all checks that there are, for what it left out."""

    plan: str
    title: str
    manifest: Manifest
    declared: tuple[DeclaredCheck, ...]


@dataclass(frozen=True)
class TargetService:
    """One service of a target: what answers for it, where, and whether any of its capabilities is declared."""

    title: str
    kind: Literal["engine", "stand-in", "vendor"]
    name: str
    hosts: tuple[str, ...]
    covered: bool

    @classmethod
    def of(cls, target: Target, service: Service) -> TargetService:
        """A service as this target has it."""
        engine = target.engines.get(service.id)
        covered = any(target.has(capability) for capability in service.capabilities)
        kind, name = (engine.kind, engine.name) if engine else ("vendor", service.title)
        return cls(service.title, kind, name, target.hosts_of(service), covered)


@kind("target.resolved")
class TargetResolved(Event):
    """The platform under test: names and hosts, never values of secrets."""

    kind: Literal["embedded", "live"]
    name: str
    loopback: bool
    variables: tuple[str, ...]
    capabilities: dict[str, str]
    services: dict[str, TargetService]

    @classmethod
    def of(cls, target: Target) -> TargetResolved:
        """What the journal keeps of a target."""
        return cls(
            kind=target.kind,
            name=target.name,
            loopback=target.loopback,
            variables=target.variables,
            capabilities=dict(target.capabilities),
            services={service.id: TargetService.of(target, service) for service in target.services},
        )


@kind("target.identified")
class TargetIdentified(Event):
    """Which account and project each service is, by the service's identifier: a digest, not the values themselves."""

    services: dict[str, str]


@kind("platform.version")
class PlatformVersion(Event):
    """The version that the platform declares of itself."""

    version: str


class PartKind(StrEnum):
    """What a subprocess of the runner does."""

    CHECKS = "checks"
    LOAD = "load"


@kind("part.ended")
class PartEnded(Event):
    """A subprocess of the runner ended: its exit code (negative: a signal) and the last line that it printed."""

    part: str
    kind: PartKind
    exit_code: int
    log: str
    last_line: str


@kind("run.finished")
class RunFinished(Event):
    """The runner ends. `error` says what broke it, where that is not an event of its own."""

    outcome: RunOutcome
    error: str = ""


# -- the target while it is tried ------------------------------------------------------------------------------


@kind("component.died")
class ComponentDied(Event):
    """A component of the embedded target ended although nobody planned it; no exit code where nobody saw it."""

    component: str
    exit_code: int | None
    log: str


@kind("component.saturated")
class ComponentSaturated(Event):
    """A component of the embedded target was at its own limit from `start` to `end`: each measure over its limit."""

    component: str
    profile: str
    start: int
    end: int
    over: dict[str, float]


class OutageKind(StrEnum):
    """How a component is taken away: SIGTERM, SIGKILL, or a fault that it is told to show."""

    STOP = "stop"
    KILL = "kill"
    FAULT = "fault"


@kind("outage.planned")
class OutagePlanned(Event):
    """A check takes a component away."""

    component: str
    how: OutageKind
    settings: dict[str, JsonValue] = field(default_factory=dict)


@kind("outage.ended")
class OutageEnded(Event):
    """A component that was taken away is back."""

    component: str


# -- checks ----------------------------------------------------------------------------------------------------


@kind("check.collected")
class CheckCollected(Event):
    """A check that is about to run, with its passport; `node` is pytest's name of it."""

    check: str
    passport: Passport
    node: str


@kind("check.started")
class CheckStarted(Event):
    """An attempt at a check begins."""

    check: str
    attempt: int


@kind("check.finished")
class CheckFinished(Event):
    """What became of an attempt at a check. `fallen` names components that lay dead at its end."""

    check: str
    attempt: int
    outcome: CheckOutcome
    message: str
    service: str
    expected: str
    saw: str
    seconds: float
    fallen: tuple[str, ...] = ()


@kind("witness.answered")
class WitnessAnswered(Event):
    """An independent channel told a check a fact."""

    check: str
    service: str
    channel: str
    fact: str


@kind("check.exchange")
class CheckExchange(Event):
    """What an attempt at a check asked of a service, how often, and the beginning of what came back the last time.

    `at` is when it was last asked. Only the last exchanges of an attempt are kept (clients/exchanges.py).
    """

    check: str
    attempt: int
    service: str
    asked: str
    answer: str
    times: int
    at: int


@kind("attachment")
class Attachment(Event):
    """A file that belongs to a check, by its path in the run's folder."""

    check: str
    name: str
    path: str
    media_type: str


@kind("step")
class FlowStep(Event):
    """A step of a browser flow."""

    check: str
    name: str


# -- what runs create ------------------------------------------------------------------------------------------


@kind("ledger.planned")
class LedgerPlanned(Event):
    """A thing is about to be created; `kind` names its undo, `key` is what the undo is told."""

    entry: str
    kind: str
    key: dict[str, JsonValue]
    check: str


@kind("ledger.confirmed")
class LedgerConfirmed(Event):
    """The whole key of a created thing, now that its service has named it."""

    entry: str
    key: dict[str, JsonValue]


@kind("ledger.undone")
class LedgerUndone(Event):
    """A created thing was removed."""

    entry: str
    kind: str


@kind("ledger.failed")
class LedgerFailed(Event):
    """A created thing could not be removed."""

    entry: str
    kind: str
    error: str


@kind("ledger.left")
class LedgerLeft(Event):
    """A thing that stands where a planned one would cannot be shown to be ours: it was not touched, for this reason."""

    entry: str
    kind: str
    why: str


# -- measurements beside the samples ---------------------------------------------------------------------------


@kind("gauge")
class Gauge(Event):
    """One reading of a level. `causes` counts what made it what it is."""

    metric: str
    value: float
    unit: str
    labels: dict[str, str] = field(default_factory=dict)
    causes: dict[str, int] = field(default_factory=dict)
