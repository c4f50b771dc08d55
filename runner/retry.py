"""A short load whose own generator was not fit says nothing: it is run once more, and its evidence is set aside.

A machine that was busy with something else for a second makes late sends, and those make the numbers no evidence. That
is no statement about the platform, so it is measured anew, once, as a `broken` check is. What might be one is never
repeated: a load that ended badly, one with an answer that was wrong, an error or refused, one that lost a worker or
left something behind.
"""

from __future__ import annotations

from pathlib import Path

from core.evidence import Event, Evidence
from core.plan import PlannedProfile
from reports.judging.invalidation import TOLERATED_UNHEALTHY
from reports.judging.measurements import FAILED

LONGEST = 120.0
"""Seconds of a load up to which it is run again; a longer one is judged as it went."""
ASIDE = "journal-unfit"
"""The folder beside `journal/` that keeps what is not judged."""


def worth_it(profile: PlannedProfile) -> bool:
    """Whether a load of this kind is run again at all; a search for the knee overloads on purpose."""
    return profile.duration <= LONGEST and profile.shape != "step"


def unfit(directory: Path, files: set[str]) -> str:
    """Why the numbers in these journals (by stem) are no evidence, in words; empty when they are, or tell more."""
    by_type: dict[str, list[Event]] = {}
    for event in Evidence(directory).events():
        if event["source"] in files:
            by_type.setdefault(event["type"], []).append(event)
    if by_type.get("worker.lost") or not by_type.get("load.finished"):
        return ""
    if len(by_type.get("ledger.planned", ())) > len(by_type.get("ledger.undone", ())):
        return ""
    if any(e.get("metric") == "load.wrong" and e.get("value") for e in by_type.get("gauge", ())):
        return ""
    if any(_failed(event) for event in by_type["load.finished"]):
        return ""
    starts = [int(e["steady_from"]) for e in by_type.get("load.steady", ())]
    ends = [int(e["steady_to"]) for e in by_type.get("load.drain", ())]
    if not starts or not ends:
        return ""
    bad, reason = 0, ""
    for event in by_type.get("generator.health", ()):
        overlap = min(int(event["to"]), max(ends)) - max(int(event["from"]), min(starts))
        if not event["ok"] and overlap > 0:
            bad, reason = bad + overlap, reason or str(event["reason"])
    window = max(ends) - min(starts)
    if bad <= TOLERATED_UNHEALTHY * window:
        return ""
    return f"{reason} for {bad / 1e9:.1f} s of {window / 1e9:.0f} s"


def _failed(finished: Event) -> bool:
    """Whether any answer of a load was wrong, an error or refused: what the platform did is never put aside."""
    counts = [phase for series in finished.get("series") or () for phase in series["counts"].values()]
    return any(phase.get(outcome.name.lower()) for phase in counts for outcome in FAILED)


def journals(directory: Path) -> set[str]:
    """The stems of a run's journals."""
    return {path.stem for path in (directory / "journal").glob("*.jsonl")}


def set_aside(directory: Path, files: set[str]) -> None:
    """Moves these journals to where nobody judges them."""
    aside = directory / ASIDE
    aside.mkdir(exist_ok=True)
    for stem in files:
        for path in (directory / "journal").glob(f"{stem}.*"):
            path.rename(aside / path.name)
