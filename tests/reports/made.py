"""Made runs: journals written by the real writer and of the real events, with the numbers that a test wants."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from core.clock import now_ns
from core.event import Event
from core.events import (
    CheckCollected,
    CheckFinished,
    CheckStarted,
    DeclaredCheck,
    Manifest,
    ManifestObjective,
    PlannedLoad,
    PlanResolved,
    RunFinished,
    RunStarted,
    TargetResolved,
    TargetService,
    WitnessAnswered,
)
from core.journal import SAMPLE, Journal
from core.load_events import (
    GeneratorHealth,
    LoadDrain,
    LoadFinished,
    LoadKnee,
    LoadLevel,
    LoadProgress,
    LoadStarted,
    LoadSteady,
)
from core.outcome import CheckOutcome, LoadOutcome, RunOutcome
from core.passport import Passport
from core.secret import Redactor

SECOND = 1_000_000_000
SERVICES: dict[str, tuple[str, Literal["engine", "stand-in", "vendor"], str]] = {
    "supabase.auth": ("Supabase Auth", "stand-in", "gateway over PostgreSQL 15"),
    "supabase.database": ("Supabase database", "engine", "PostgreSQL 15"),
    "supabase.storage": ("Supabase Storage", "stand-in", "gateway over PostgreSQL 15"),
    "r2": ("Cloudflare R2", "engine", "workerd (miniflare)"),
    "kv": ("Cloudflare KV", "engine", "workerd (miniflare)"),
    "rooms": ("Rooms (Durable Objects)", "engine", "workerd (miniflare)"),
    "builder": ("Builder.io", "stand-in", "Assay's"),
    "sentry": ("Sentry", "engine", "Bugsink 2.6.1"),
    "datadog": ("DataDog", "stand-in", "Assay's"),
    "ga4": ("Google Analytics 4", "stand-in", "Assay's"),
    "mixpanel": ("Mixpanel", "stand-in", "Assay's"),
}

CHECKS: list[tuple[str, str, str, list[str]]] = [
    ("auth.register", "A person registers, confirms and logs in", "supabase.auth", ["P1.2"]),
    ("auth.read-self", "A person reads their own profile", "supabase.auth", ["P1.2", "P1.1"]),
    ("database.row-written", "A post is written and seen by SQL", "supabase.database", ["P1.3"]),
    (
        "database.stranger-denied",
        "A stranger cannot read or write a draft",
        "supabase.database",
        ["P1.3", "P6.3"],
    ),
    (
        "storage.small-file",
        "A 1 MB file lands in Supabase Storage and not in R2",
        "supabase.storage",
        ["P2.2"],
    ),
    ("storage.large-file", "A 6 MB file lands in R2 and not in Storage", "r2", ["P2.1", "P2.2"]),
    ("content.page-changed", "A content page is served, changed, seen changed", "builder", ["P3.2"]),
    (
        "rooms.reconnect",
        "Two people in a room; one reconnects and gets what it missed",
        "rooms",
        ["P5.1", "P5.2"],
    ),
    ("sentry.exception", "An exception is readable at Sentry", "sentry", ["P4.1"]),
    ("datadog.view", "A view is readable at DataDog", "datadog", ["P4.2"]),
    ("ga4.event", "An event is readable at GA4", "ga4", ["P4.3"]),
    ("mixpanel.event", "An event is readable at Mixpanel", "mixpanel", ["P4.3"]),
    ("kv.hit-and-miss", "The cache misses, then hits", "kv", ["KV"]),
    (
        "browser.whole-flow",
        "From registration to upload to chat in a browser",
        "platform",
        ["P6.1", "done.nomocks"],
    ),
]


@dataclass
class Made:
    """A run being made. Change fields, then `write`."""

    directory: Path
    seed: int = 1
    live: bool = False
    plan: str = "smoke"
    commit: str = "a1b2c3d4e5f6"
    checks: list[tuple[str, str, str, list[str]]] = field(default_factory=lambda: list(CHECKS))
    outcomes: dict[str, dict[str, Any]] = field(default_factory=dict)
    skip: set[str] = field(default_factory=set)
    manifest_extra: list[str] = field(default_factory=list)
    undone: Sequence[tuple[str, str, str, list[str]]] = ()
    """Checks that the suites hold and the plan does not want."""
    loads: dict[str, float] = field(default_factory=lambda: {"database": 90, "upload": 90, "rooms": 90})
    unfinished_loads: set[str] = field(default_factory=set)
    elsewhere: set[str] = field(default_factory=set)
    """Loads, with their samples, that another shard ran."""
    objectives: list[ManifestObjective] = field(
        default_factory=lambda: [
            ManifestObjective("perf.database", 95.0, 400, "database", True),
            ManifestObjective("perf.upload", 50.0, 5, "upload", True),
            ManifestObjective("perf.rooms", 95.0, 400, "rooms", True),
        ]
    )
    latency: dict[str, float] = field(
        default_factory=lambda: {"perf.database": 14.0, "perf.upload": 3100.0, "perf.rooms": 6.0}
    )
    samples: dict[str, int] = field(
        default_factory=lambda: {"perf.database": 3000, "perf.upload": 8, "perf.rooms": 6000}
    )
    labels: dict[str, list[dict[str, str]]] = field(
        default_factory=lambda: {
            "perf.database": [{"kind": "posts"}, {"kind": "profile"}, {"kind": "insert"}],
            "perf.upload": [{"size": "100MB"}],
        }
    )
    errors: dict[str, float] = field(default_factory=dict)
    levels: bool = False
    """Whether the database's load searched for the knee."""
    capabilities: dict[str, str] = field(default_factory=dict)
    must_cover: tuple[str, ...] = ()
    extra: Sequence[Event] = ()
    """Further events of the runner's journal."""
    load_extra: Sequence[Event] = ()
    """Further events of the loads' journal, at its start."""
    load_outcome: LoadOutcome = LoadOutcome.COMPLETED
    load_reason: str = ""
    load_count: int = 0
    """Samples that each load says it took."""
    finished: bool = True
    outcome: RunOutcome = RunOutcome.COMPLETED
    age_days: float = 0.0
    project: str = ""

    def write(self) -> Path:
        """Writes the run's journals, as two processes would; returns the run's folder."""
        self.directory.mkdir(parents=True, exist_ok=True)
        start = now_ns()
        main = _Recorder(self.directory, "main", self.age_days)
        main.write(
            RunStarted(
                run=self.directory.name,
                assay_version="0.1.0",
                commit=self.commit,
                plan=self.plan,
                target="live" if self.live else "embedded",
                host="ci-7",
                cpus=2,
                python="3.11.9",
                argv=("assay", "validate"),
                project=self.project,
            )
        )
        main.write(
            TargetResolved(
                kind="live" if self.live else "embedded",
                name="production" if self.live else "embedded",
                loopback=not self.live,
                variables=("PLATFORM_URL",),
                capabilities=self.capabilities,
                services={
                    key: TargetService(
                        title,
                        "vendor" if self.live else kind,
                        title if self.live else name,
                        ("127.0.0.1",),
                        True,
                    )
                    for key, (title, kind, name) in SERVICES.items()
                },
            )
        )
        declared = tuple(DeclaredCheck(c[0], tuple(c[3])) for c in [*self.checks, *self.undone])
        main.write(PlanResolved(self.plan, f"The plan {self.plan}", self.manifest(), declared))
        for number, check in enumerate(self.checks):
            if check[0] not in self.skip:
                self._check(main, number, *check)
        self._load(start)
        for event in self.extra:
            main.write(event)
        if self.finished:
            main.write(RunFinished(self.outcome))
        main.close(self.finished)
        return self.directory

    def manifest(self) -> Manifest:
        """What the made run's plan requires."""
        return Manifest(
            checks=tuple(c[0] for c in self.checks) + tuple(self.manifest_extra),
            profiles=tuple(
                PlannedLoad(name, 50, 100.0, seconds, 2.0, "steady") for name, seconds in self.loads.items()
            ),
            objectives=tuple(self.objectives),
            must_cover=self.must_cover,
        )

    def _check(
        self, main: _Recorder, number: int, identifier: str, title: str, service: str, needs: list[str]
    ) -> None:
        passport = Passport(identifier, title, "platform", tuple(needs), service, (service,))
        main.write(CheckCollected(identifier, passport, f"suites/test_made.py::{identifier}"))
        main.write(CheckStarted(identifier, 1))
        fields = {
            "outcome": CheckOutcome.MET, "message": "", "service": service, "expected": "", "saw": "",
            "seconds": 0.2 + (number * 37 % 23) / 10, **self.outcomes.get(identifier, {}),
        }  # fmt: skip
        fields["outcome"] = CheckOutcome(fields["outcome"])
        if fields["outcome"] == CheckOutcome.MET:
            main.write(WitnessAnswered(identifier, service, "sql", "row found"))
        main.write(CheckFinished(identifier, 1, **fields))

    def _load(self, start: int) -> None:
        if not (self.loads or self.latency):
            return
        load = _Recorder(self.directory, "load", self.age_days)
        for name, duration in self.loads.items():
            if name in self.elsewhere:
                continue
            load.write(LoadStarted(name, 50, 0.0, 2.0, 1, ("closed",), "http://127.0.0.1", ""), start)
            _seconds(load, name, start, duration, 50)
            if name not in self.unfinished_loads:
                end = LoadFinished(name, self.load_outcome, self.load_reason, self.load_count)
                load.write(end, start + int(duration * 1e9))
        for event in self.load_extra:
            load.write(event, start)
        rng = np.random.default_rng(self.seed)
        if self.levels:
            _search(load, start)
        for metric, centre in self.latency.items():
            if metric.partition(".")[2] in self.elsewhere:
                continue
            for labels in self.labels.get(metric, [{}]):
                n = self.samples[metric]
                series = load.journal.series(metric, labels, "ms")
                load.journal.write_samples(
                    made_samples(rng, series, n, centre, start, 88.0, self.errors.get(metric, 0.0))
                )
        load.close(self.finished)


def _seconds(load: _Recorder, name: str, start: int, duration: float, users: int) -> None:
    """What a load tells of itself: its window, its users who come one after the other, its own health."""
    load.write(LoadSteady(name, start + SECOND, "0" * 16), start)
    for second in range(int(duration)):
        at = start + second * SECOND
        now = min(users, (second + 1) * 10)
        load.write(LoadProgress(name, now, second * now * 2, now * 2.0, 0, 0, 8.0, 20.0, 30.0), at)
        load.write(GeneratorHealth(at, at + SECOND, "", 0.2 + second % 7 / 10, 0.12), at)
    end = start + int(duration * 1e9)
    load.write(LoadDrain(name, end - 500_000_000), end)


LEVELS = (
    (50, True),
    (100, True),
    (200, True),
    (400, True),
    (800, False),
    (566, True),
    (673, False),
    (617, False),
)


def _search(load: _Recorder, start: int) -> None:
    """A search for the knee over the first minute and a half."""
    for number, (users, holds) in enumerate(LEVELS):
        at = start + (2 + number * 10) * SECOND
        why = "" if holds else "perf.database posts p95 is 246 ms"
        load.write(LoadLevel("database", users, at, at + 8 * SECOND, holds, why, users * 1.05), at)
    load.write(LoadKnee("database", 581, 560, 604, True, 1600), start + 84 * SECOND)


def made_samples(
    rng: np.random.Generator,
    series: int,
    n: int,
    centre_ms: float,
    start: int,
    seconds: float,
    errors: float = 0.0,
) -> np.ndarray:
    """Independent lognormal latencies, evenly intended over so many seconds."""
    block = np.zeros(n, SAMPLE)
    block["series"], block["phase"] = series, 1
    block["intended"] = start + (np.arange(n) * (seconds * 1e9 / max(1, n))).astype(np.int64) + 1_000_000_000
    latency = rng.lognormal(np.log(centre_ms * 1e6), 0.35, n).astype(np.int64)
    block["sent"] = block["intended"] + rng.integers(10_000, 300_000, n)
    block["done"] = np.maximum(block["intended"] + latency, block["sent"] + 1000)
    if errors:
        block["outcome"] = np.where(rng.random(n) < errors, 2, 0)
    return block


class _Recorder:
    """A Journal whose header may lie in the past, for histories; its end may be missing, as after a kill."""

    def __init__(self, directory: Path, role: str, age_days: float) -> None:
        self.journal = Journal(directory, role, Redactor(), background=False)
        self.directory, self.role, self.age = directory, role, age_days
        self._times: list[int | None] = []

    def write(self, event: Event, t: int | None = None) -> None:
        """An event, with a time of its own if one is given."""
        self.journal.write(event)
        self._times.append(t)

    def close(self, properly: bool) -> None:
        self.journal.close()
        (path,) = (self.directory / "journal").glob(f"{self.role}-*.jsonl")
        opened, *lines, closed = map(json.loads, path.read_text().splitlines())
        opened["wall_ns"] -= int(self.age * 86_400e9)
        for line, t in zip(lines, self._times, strict=True):
            line["t"] = line["t"] if t is None else t
        kept = [opened, *lines, closed] if properly else [opened, *lines]
        path.write_text("".join(json.dumps(line) + "\n" for line in kept))
