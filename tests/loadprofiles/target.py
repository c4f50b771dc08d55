"""A profile on the embedded target, with or without a faulty proxy before one of its origins."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from clients import embedded
from clients.services import catalogue
from core.event import E, Event
from core.events import Gauge
from core.evidence import Evidence
from core.load_events import LoadFinished
from core.run import LoadPart, Run
from core.target import Target, resolve

ROOT = Path(__file__).resolve().parents[2]
URL, TOKEN = "the control address", "its token"
_doors: dict[int, ExitStack] = {}
"""By which each running load joins."""


@dataclass(frozen=True)
class Ran:
    """What became of one load."""

    code: int
    out: str
    events: list[Event]

    def one(self, kind: type[E]) -> E:
        """The only event of a kind."""
        (found,) = [event for event in self.events if isinstance(event, kind)]
        return found

    def gauges(self, metric: str, phase: str = "steady") -> list[float]:
        """Readings of a gauge in one phase."""
        return [
            event.value
            for event in self.events
            if isinstance(event, Gauge) and event.metric == metric and event.labels.get("phase") == phase
        ]

    @property
    def wrong(self) -> int:
        """Answers that were found wrong."""
        return int(self.gauges("load.wrong")[0])

    @property
    def causes(self) -> Counter[str]:
        """Failures by cause."""
        return Counter(self.one(LoadFinished).causes)

    def count(self, metric: str, outcome: str = "ok", **labels: str) -> int:
        """Samples of a metric (with these labels) that ended so, in any phase."""
        return sum(
            counts[outcome]
            for series in self.one(LoadFinished).series
            if series.metric == metric and labels.items() <= series.labels.items()
            for counts in series.counts.values()
        )


@contextmanager
def held() -> Iterator[dict[str, str]]:
    """The embedded target; what a profile needs to know of it, as an environment."""
    with embedded.attach(progress=sys.stderr) as stack:
        yield {**stack.variables, URL: stack.control_url, TOKEN: stack.control_token}


def of(variables: Mapping[str, str]) -> Target:
    """The embedded target under these addresses."""
    return resolve(
        "embedded",
        catalogue(),
        environment=variables,
        control_url=variables[URL],
        control_token=variables[TOKEN],
    )


def start(profile: str, run_dir: Path, *words: str, **variables: str) -> subprocess.Popen[str]:
    """The runner as a process in a group of its own."""
    part = LoadPart(profile, variables={k: v for k, v in variables.items() if k.startswith("ASSAY_")})
    door = ExitStack()
    joining = door.enter_context(Run.begin(run_dir, of(variables), "test").handed(load=part))
    process = subprocess.Popen(
        [sys.executable, "-m", "loadprofiles.run", profile, *words],
        cwd=ROOT,
        env=os.environ | joining,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    _doors[process.pid] = door
    return process


def ended(process: subprocess.Popen[str], run_dir: Path, seconds: float = 120) -> Ran:
    """Waits for the end of a load and reads its evidence, which must be whole."""
    try:
        out, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, _ = process.communicate()
        raise AssertionError(f"the load did not end: {out[-2000:]}") from None
    finally:
        _doors.pop(process.pid).close()
    if not (run_dir / "journal").exists():
        return Ran(process.returncode, out, [])
    evidence = Evidence(run_dir)
    events = evidence.events()
    assert evidence.damaged == []
    return Ran(process.returncode, out, events)


def run(profile: str, run_dir: Path, target: Mapping[str, str], *words: str, **variables: str) -> Ran:
    """One load from start to end."""
    return ended(start(profile, run_dir, *words, **{**target, **variables}), run_dir)
