"""What was judged of one run. Plain data: every writer and the history are made from this alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from core.outcome import DID_NOT_RUN, NOT_APPLICABLE, Verdict
from reports.rendering.formatting import count

SCHEMA = 2


@dataclass(frozen=True)
class Waiver:
    """A named exception. `used` is set on the waivers that this run needed."""

    check: str
    reason: str
    owner: str
    ticket: str
    expiry: str
    expired: bool = False


@dataclass(frozen=True)
class KnownProblem:
    """A waiver or a mute that speaks of a result; `until` is its last day, `ended` whether that is over."""

    kind: Literal["waiver", "mute"]
    reason: str
    owner: str
    ticket: str
    until: str
    ended: bool

    @property
    def status(self) -> str:
        """What it means today."""
        if self.kind == "waiver":
            return (
                f"the waiver ended on {self.until}: it counts again"
                if self.ended
                else f"waived until {self.until}"
            )
        return (
            f"the mute ended on {self.until}: alerts are sent again"
            if self.ended
            else f"muted until {self.until}: no alert is sent"
        )

    @property
    def who(self) -> str:
        """Who answers for it, and where it is being mended."""
        return f"{self.owner}, {self.ticket}" if self.ticket else self.owner


@dataclass
class CheckResult:
    """One check: its passport, and what became of it. `state` is a verdict, `not_covered` or `not_applicable`."""

    id: str
    state: str
    title: str = ""
    owner: str = "platform"
    requirement: list[str] = field(default_factory=list)
    service: str = ""
    needs: list[str] = field(default_factory=list)
    imported: str = ""
    """The format of another tool's results that it comes from; such a check has no witness."""
    gate: bool = True
    required: bool = False
    message: str = ""
    expected: str = ""
    saw: str = ""
    seconds: float = 0.0
    attempts: int = 0
    witnesses: list[dict[str, Any]] = field(default_factory=list)
    attachments: list[dict[str, Any]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    exchanges: list[dict[str, Any]] = field(default_factory=list)
    """The last things that it asked: service, asked, answer, times, seconds since its start; not in verdict.json."""
    started: float | None = None
    waiver: Waiver | None = None
    known: list[KnownProblem] = field(default_factory=list)
    """Waivers and mutes that speak of it, ended ones too, where it does not hold."""
    new: bool = False
    description: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    """What else its passport says, by what it is; of an attack its threat, references and fix."""
    tries: list[dict[str, Any]] = field(default_factory=list)
    """Each attempt: its number, state, message and seconds."""
    flaky: bool = False
    changes: int = 0
    """How often its outcome changed over the last runs."""
    history: list[dict[str, Any]] = field(default_factory=list)
    """Its outcome in the last runs of this plan on this target, oldest first; not in verdict.json."""

    @property
    def blocks_gate(self) -> bool:
        """True when this check keeps the gate closed."""
        silent = self.state in ("met", NOT_APPLICABLE) or self.waiver is not None
        return not silent and (self.required or self._ran_and_gates)

    @property
    def _ran_and_gates(self) -> bool:
        return self.gate and self.state not in ("met", *DID_NOT_RUN)


@dataclass
class GroupResult:
    """One series of an objective, judged apart. Numbers in the objective's unit; None where unbounded."""

    labels: dict[str, str]
    state: str
    reason: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    samples: int = 0
    effective: int = 0
    over: int = 0
    needed: int | None = 0
    failed: int = 0
    cut: int = 0
    reach: float = 0.0
    """Of a `met`: the longest stalls, in seconds on average, whose absence the window shows."""
    quantiles: dict[str, float | None] = field(default_factory=dict)
    service_quantiles: dict[str, float | None] = field(default_factory=dict)


@dataclass
class Regression:
    """How this run compares with its history, by run-level values."""

    state: str
    """learning, steady, jump, shift or better."""
    text: str
    runs: int = 0
    change: float | None = None
    since: str | None = None
    commits: str | None = None
    blocks: bool = False


@dataclass
class LastDecided:
    """The last value that a run did decide, for objectives that this one does not."""

    run: str
    value: float
    state: str
    days: float


@dataclass
class ObjectiveResult:
    """One objective. `state` is a verdict, `not_in_plan` or `not_covered`."""

    id: str
    title: str
    unit: str
    direction: str
    limit: float
    percentile: float | None
    service: str
    requirement: str
    clock: str
    blocks: bool
    decides: bool
    state: str
    reason: str
    profile: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    samples: int = 0
    wanted: int = 0
    needed: int | None = 0
    groups: list[GroupResult] = field(default_factory=list)
    regression: Regression | None = None
    last: LastDecided | None = None
    trend: list[dict[str, Any]] = field(default_factory=list)
    waiver: Waiver | None = None
    known: list[KnownProblem] = field(default_factory=list)

    @property
    def margin(self) -> float | None:
        """Distance left to the limit as a share of it; negative when beyond."""
        if self.value is None or not self.limit:
            return None
        left = self.limit - self.value if self.direction == "below" else self.value - self.limit
        return left / abs(self.limit)

    @property
    def blocks_gate(self) -> bool:
        """True when this objective keeps the gate closed."""
        if self.waiver is not None or not self.blocks:
            return False
        if self.decides and self.state not in ("met", NOT_APPLICABLE):
            return True
        regressed = self.regression is not None and self.regression.blocks and self.decides
        return regressed or (not self.decides and self.state == "not_covered")

    @property
    def statement(self) -> str:
        """The limit in words, e.g. `p95 < 100 ms`."""
        sign = "<" if self.direction == "below" else "≥"
        name = (
            f"p{self.percentile:g}"
            if self.percentile is not None
            else ("share" if self.unit == "%" else "highest" if self.direction == "below" else "lowest")
        )
        return f"{name} {sign} {self.limit:g} {self.unit}"


@dataclass
class ServiceResult:
    """One service: who answered for it, and what was found."""

    id: str
    title: str
    kind: str
    name: str
    hosts: list[str] = field(default_factory=list)
    state: str = "not_covered"
    checks: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    witnesses: int = 0


@dataclass
class ProfileResult:
    """One load of the run."""

    name: str
    required: bool
    state: str
    reason: str = ""
    users: int | None = None
    started: float | None = None
    seconds: float | None = None


@dataclass
class RequirementResult:
    """One row of the seed's coverage matrix."""

    id: str
    title: str
    group: str
    state: str
    checks: list[str] = field(default_factory=list)
    objectives: list[str] = field(default_factory=list)
    ran: int = 0
    """How many of its checks ran."""

    @property
    def tried(self) -> str:
        """How much of it was tried, in words: `1 of 48 checks`, `2 checks, 1 objective`."""
        whole = f"{self.ran} of " if self.ran < len(self.checks) else ""
        parts = [f"{whole}{count(len(self.checks), 'check')}"] if self.checks else []
        parts += [count(len(self.objectives), "objective")] if self.objectives else []
        return ", ".join(parts)


@dataclass
class Cause:
    """One reason why the gate is not open, in the order in which a person should read them."""

    state: str
    who: str
    text: str
    kind: str = "check"


@dataclass
class Coverage:
    """Capabilities: tried by a check that ran, had by the target and tried by none, and not had.

    `vanished` are those that checks of the run before tried and that the target no longer has.
    """

    covered: list[str] = field(default_factory=list)
    untried: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)

    @property
    def statement(self) -> str:
        """In words; empty where nobody said what the target has."""
        known = len(self.covered) + len(self.untried) + len(self.absent)
        text = f"covers {len(self.covered)} of {known} capabilities" if known else ""
        return f"{text}; gone since the run before: {', '.join(self.vanished)}" if self.vanished else text


@dataclass
class RunVerdict:
    """The answer. `exit` is the gate's exit code; `causes` say why it is not 0."""

    run: str
    state: str
    exit: int
    headline: str
    causes: list[Cause]
    target: dict[str, Any]
    plan: str
    commit: str
    version: str
    started: str | None
    finished: str | None
    seconds: float | None
    host: str
    vantage: str
    argv: list[str]
    assay_version: str
    checks: list[CheckResult]
    objectives: list[ObjectiveResult]
    services: list[ServiceResult]
    profiles: list[ProfileResult]
    requirements: list[RequirementResult]
    waivers: list[Waiver]
    notes: list[str]
    events: list[dict[str, Any]]
    since_last: dict[str, Any]
    samples: int = 0
    coverage: Coverage = field(default_factory=Coverage)
    manifest: dict[str, Any] = field(default_factory=dict)
    measurements: dict[str, Any] = field(default_factory=dict)
    """The curves: by objective a list of its groups', and under `loads` by profile what each load did."""

    @property
    def embedded(self) -> bool:
        """True when the platform was started by Assay."""
        return self.target.get("kind") != "live"

    @property
    def on_this_machine(self) -> bool:
        """True when the platform or one of its services answers on a loopback address: no production target."""
        return self.target.get("loopback") is True

    @property
    def subject(self) -> str:
        """What was judged: the platform's declared version, or the harness's commit where it declares none."""
        return self.version or self.commit

    @property
    def open(self) -> bool:
        """True when the gate is open."""
        return self.exit == 0

    @property
    def used_waivers(self) -> list[Waiver]:
        """Waivers without which the gate were closed."""
        results: list[CheckResult | ObjectiveResult] = [*self.checks, *self.objectives]
        return [r.waiver for r in results if r.waiver is not None]

    def counts(self) -> dict[str, int]:
        """Checks by state."""
        found = dict.fromkeys((*map(str, Verdict), *DID_NOT_RUN), 0)
        for check in self.checks:
            found[check.state] += 1
        return found

    def as_dict(self) -> dict[str, Any]:
        """As written to verdict.json (see verdict.schema.json); without the measurements' curves."""
        document = asdict(self)
        del document["measurements"]
        for check, plain in zip(self.checks, document["checks"], strict=True):
            plain["blocks_gate"] = check.blocks_gate
            del plain["history"], plain["exchanges"]
        for objective, plain in zip(self.objectives, document["objectives"], strict=True):
            plain["blocks_gate"] = objective.blocks_gate
            plain["margin"] = objective.margin
            plain["statement"] = objective.statement
        return {"schema": SCHEMA, **document, "counts": self.counts(), "embedded": self.embedded}
