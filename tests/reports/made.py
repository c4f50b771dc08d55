"""Made runs: journals written by the real writer, with the numbers that a test wants."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from core.clock import now_ns
from core.journal import SAMPLE, Journal
from core.secret import Redactor

SERVICES: dict[str, tuple[str, str, str]] = {
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
    loads: dict[str, float] = field(default_factory=lambda: {"database": 90, "upload": 90, "rooms": 90})
    unfinished_loads: set[str] = field(default_factory=set)
    objectives: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {
                "id": "perf.database",
                "percentile": 95,
                "min_samples": 400,
                "profile": "database",
                "decides": True,
            },
            {"id": "perf.upload", "percentile": 50, "min_samples": 5, "profile": "upload", "decides": True},
            {"id": "perf.rooms", "percentile": 95, "min_samples": 400, "profile": "rooms", "decides": True},
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
    extra: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    finished: bool = True
    reason: str = "completed"
    age_days: float = 0.0

    def write(self) -> Path:
        """Writes the run's journals, as two processes would; returns the run's folder."""
        self.directory.mkdir(parents=True, exist_ok=True)
        start = now_ns()
        main = _Recorder(self.directory, "main", self.age_days)
        main.event(
            "run.started", run=self.directory.name, assay_version="0.1.0", commit=self.commit, plan=self.plan,
            target={"name": "production" if self.live else "embedded", "kind": "live" if self.live else "embedded"},
            started_wall=time.time(), argv=["assay", "validate"], host="ci-7",
        )  # fmt: skip
        main.event(
            "target.resolved", kind="live" if self.live else "embedded", name="production" if self.live else "embedded",
            loopback=not self.live, variables=["PLATFORM_URL"], capabilities={},
            services={
                key: {"title": title, "covered": True, "hosts": ["127.0.0.1"],
                      "kind": "vendor" if self.live else kind, "name": title if self.live else name}
                for key, (title, kind, name) in SERVICES.items()
            },
        )  # fmt: skip
        main.event(
            "plan.resolved", plan=self.plan,
            manifest={
                "checks": [c[0] for c in self.checks] + self.manifest_extra,
                "profiles": [
                    {"name": name, "users": 50, "rate": 100, "duration": seconds, "warm_up": 2}
                    for name, seconds in self.loads.items()
                ],
                "objectives": self.objectives,
            },
        )  # fmt: skip
        for number, check in enumerate(self.checks):
            if check[0] not in self.skip:
                self._check(main, number, *check)
        self._load(start)
        for kind, fields in self.extra:
            main.event(kind, **fields)
        if self.finished:
            main.event("run.finished", reason=self.reason, exit=0)
        main.close(self.finished)
        return self.directory

    def _check(
        self, main: _Recorder, number: int, identifier: str, title: str, service: str, needs: list[str]
    ) -> None:
        main.event(
            "check.collected", check=identifier,
            passport={"id": identifier, "title": title, "owner": "platform", "requirement": needs, "service": service,
                      "needs": [service], "gate": True, "timeout": 20.0, "production_safe": True, "exclusive": False},
        )  # fmt: skip
        main.event("check.started", check=identifier, attempt=1)
        fields = {
            "outcome": "met", "message": "", "service": service, "expected": "", "saw": "", "evidence": [],
            "seconds": 0.2 + (number * 37 % 23) / 10, **self.outcomes.get(identifier, {}),
        }  # fmt: skip
        if fields["outcome"] == "met":
            main.event("witness.answered", check=identifier, service=service, channel="sql", fact="row found")
        main.event("check.finished", check=identifier, attempt=1, **fields)

    def _load(self, start: int) -> None:
        if not (self.loads or self.latency):
            return
        load = _Recorder(self.directory, "load", self.age_days)
        for name, duration in self.loads.items():
            load.raw({"type": "load.started", "t": start, "profile": name, "users": 50})
            _seconds(load, name, start, duration, 50)
            if name not in self.unfinished_loads:
                load.raw(
                    {
                        "type": "load.finished",
                        "t": start + int(duration * 1e9),
                        "profile": name,
                        "outcome": "completed",
                    }
                )
        rng = np.random.default_rng(self.seed)
        if self.levels:
            _search(load, start)
        for metric, centre in self.latency.items():
            for labels in self.labels.get(metric, [{}]):
                n = self.samples[metric]
                series = load.journal.series(metric, labels, "ms")
                load.journal.write_samples(
                    made_samples(rng, series, n, centre, start, 88.0, self.errors.get(metric, 0.0))
                )
        load.close(self.finished)


def _seconds(load: _Recorder, name: str, start: int, duration: float, users: int) -> None:
    """What a load tells of itself: its window, its users who come one after the other, its own health."""
    load.raw({"type": "load.steady", "t": start, "profile": name, "steady_from": start + 1_000_000_000})
    for second in range(int(duration)):
        at = start + second * 1_000_000_000
        now = min(users, (second + 1) * 10)
        load.raw(
            {
                "type": "load.progress",
                "t": at,
                "profile": name,
                "users": now,
                "per_second": now * 2.0,
                "p95_ms": 20.0,
            }
        )
        health = {
            "ok": True,
            "from": at,
            "to": at + 1_000_000_000,
            "lag_p99_ms": 0.2 + second % 7 / 10,
            "cpu": 0.12,
        }
        load.raw({"type": "generator.health", "t": at, "reason": "", **health})
    end = start + int(duration * 1e9)
    load.raw({"type": "load.drain", "t": end, "profile": name, "steady_to": end - 500_000_000})


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
        at = start + (2 + number * 10) * 1_000_000_000
        told = {
            "users": users,
            "from": at,
            "to": at + 8_000_000_000,
            "holds": holds,
            "per_second": users * 1.05,
        }
        why = "" if holds else "perf.database posts p95 is 246 ms"
        load.raw({"type": "load.level", "t": at, "profile": "database", "why": why, **told})
    knee = {"users": 581, "low": 560, "high": 604, "sure": True, "peak": 1600}
    load.raw({"type": "load.knee", "t": start + 84_000_000_000, "profile": "database", **knee})


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

    def event(self, type_: str, **fields: Any) -> None:
        self.journal.event(type_, **fields)

    def raw(self, event: dict[str, Any]) -> None:
        """An event with a time of its own."""
        fields = {k: v for k, v in event.items() if k not in ("type", "t")}
        self.journal.event(event["type"], made_at=event["t"], **fields)

    def close(self, properly: bool) -> None:
        self.journal.close()
        (path,) = (self.directory / "journal").glob(f"{self.role}-*.jsonl")
        import json

        lines = []
        for line in path.read_text().splitlines():
            event = json.loads(line)
            if "made_at" in event:
                event["t"] = event.pop("made_at")
            if event["type"] == "journal.opened" and self.age:
                event["wall_ns"] -= int(self.age * 86_400e9)
            if event["type"] != "journal.closed" or properly:
                lines.append(json.dumps(event))
        path.write_text("\n".join(lines) + "\n")
