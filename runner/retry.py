"""Where a plan says `retry_unfit`: a short load whose own generator was not fit is run once more, its evidence set aside.

A machine that was busy with something else for a second makes late sends, and those make the numbers no evidence. That
is no statement about the platform; without the plan's word it is told as it is. What might be one is never repeated: a
load that ended badly, one with an answer that was wrong, an error or refused, one that lost a worker or left something
behind.
"""

from __future__ import annotations

from pathlib import Path

from core.events import Gauge
from core.evidence import Evidence
from core.ledger import left_over
from core.load_events import (
    GeneratorHealth,
    LoadDrain,
    LoadFinished,
    LoadSteady,
    LoadUserFailed,
    WorkerLost,
)
from core.plan import PlannedProfile
from reports.judging.invalidation import unfit_reason
from reports.judging.measurements import FAILED
from reports.judging.run_record import Unhealthy

LONGEST = 120.0
"""Seconds of a load up to which it is run again; a longer one is judged as it went."""
QUARANTINE = "journal-unfit"
"""The folder beside `journal/` that keeps what is not judged."""


def is_retryable(profile: PlannedProfile) -> bool:
    """Whether a load of this kind is run again at all; a search for the knee overloads on purpose."""
    return profile.duration <= LONGEST and profile.shape != "step"


def unfit_generator(directory: Path, files: set[str]) -> str:
    """Why the numbers in these journals (by stem) are no evidence, in words; empty when they are, or tell more."""
    mine = [one for one in Evidence(directory).recorded() if one.source in files]
    events = [one.event for one in mine]
    finished = [e for e in events if isinstance(e, LoadFinished)]
    if not finished or any(isinstance(e, WorkerLost | LoadUserFailed) for e in events) or left_over(events):
        return ""
    if any(isinstance(e, Gauge) and e.metric == "load.wrong" and e.value for e in events):
        return ""
    if any(_failed(event) for event in finished):
        return ""
    starts = [e.steady_from for e in events if isinstance(e, LoadSteady)]
    ends = [e.steady_to for e in events if isinstance(e, LoadDrain)]
    if not starts or not ends:
        return ""
    bad = [
        Unhealthy(one.event.start, one.event.end, one.event.reason, one.source)
        for one in mine
        if isinstance(one.event, GeneratorHealth) and not one.event.ok
    ]
    return unfit_reason(bad, [(min(starts), max(ends))])


def _failed(finished: LoadFinished) -> bool:
    """Whether any answer of a load was wrong, an error or refused: what the platform did is never put aside."""
    phases = [phase for series in finished.series for phase in series.counts.values()]
    return any(phase.get(outcome.name.lower()) for phase in phases for outcome in FAILED)


def journals(directory: Path) -> set[str]:
    """The stems of a run's journals."""
    return {path.stem for path in (directory / "journal").glob("*.jsonl")}


def quarantine(directory: Path, files: set[str]) -> None:
    """Moves these journals to where nobody judges them."""
    aside = directory / QUARANTINE
    aside.mkdir(exist_ok=True)
    for stem in files:
        for path in (directory / "journal").glob(f"{stem}.*"):
            path.rename(aside / path.name)
