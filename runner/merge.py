"""Puts the shards of one run together: their folders become one run's, which is judged as if one machine had done it."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import ConfigError
from core.event import Event
from core.events import (
    CheckFinished,
    PlanResolved,
    PlatformVersion,
    RunFinished,
    RunShard,
    RunStarted,
    TargetIdentified,
    TargetResolved,
)
from core.evidence import SHARDS, Evidence
from core.journal import Journal
from core.load_events import LoadFinished
from core.outcome import RunOutcome
from core.run import new_directory
from core.secret import Redactor
from reports.rendering.formatting import count


@dataclass(frozen=True)
class _Part:
    """The run of one shard, and what it says of itself."""

    directory: Path
    shard: RunShard
    started: RunStarted
    plan: PlanResolved
    events: tuple[Event, ...]

    def last(self, kind: type[Event]) -> Event | None:
        """Its last event of a kind."""
        return next((event for event in reversed(self.events) if isinstance(event, kind)), None)


def merge(directories: Sequence[Path], root: Path | None = None) -> Path:
    """A new run's folder with these shards in it, each whole; returns it. The shards' folders stay as they are.

    A shard that is missing, or did not end as it should, makes the merged run broken. Raises ConfigError where they are
    no shards of one run: another plan, target, version of Assay or of the platform, or one of them twice.
    """
    parts = sorted(map(_read, directories), key=lambda part: part.shard.number)
    _belong_together(parts)
    directory = new_directory(root)
    for part in parts:
        shutil.copytree(part.directory, directory / SHARDS / str(part.shard.number), symlinks=True)
        results = directory / SHARDS / str(part.shard.number) / "allure-results"
        if results.is_dir():  # Allure's own names do not meet
            shutil.copytree(results, directory / "allure-results", dirs_exist_ok=True)
            shutil.rmtree(results)
    journal = Journal(directory, "assay", Redactor())
    first = parts[0].started
    journal.write(_started(first, directory.name))
    journal.write(parts[0].plan)
    outcome, why = _ended(parts)
    journal.write(RunFinished(outcome, why), durable=True)
    journal.close()
    return directory


def end_shard(directory: Path) -> int:
    """Prints what ran in a shard, which nobody judges alone; 0 if it ran to its end, else 3."""
    part = _read(directory)
    outcomes = Counter(event.outcome for event in part.events if isinstance(event, CheckFinished))
    loads = sum(isinstance(event, LoadFinished) for event in part.events)
    found = ", ".join(f"{number} {outcome}" for outcome, number in sorted(outcomes.items()))
    print(
        f"shard {part.shard.number} of {part.shard.of}: {count(outcomes.total(), 'check')} ({found or 'none'}),"
    )
    print(f"             {count(loads, 'load')}; `assay merge` judges all shards together: {directory}")
    end = part.last(RunFinished)
    return 0 if isinstance(end, RunFinished) and end.outcome == RunOutcome.COMPLETED else 3


def _started(first: RunStarted, run: str) -> RunStarted:
    """The beginning of the merged run: the first shard's, by another name."""
    return RunStarted(
        run=run,
        assay_version=first.assay_version,
        commit=first.commit,
        plan=first.plan,
        target=first.target,
        host=first.host,
        cpus=first.cpus,
        python=first.python,
        argv=tuple(sys.argv[1:]),
        project=first.project,
    )


def _read(directory: Path) -> _Part:
    events = tuple(Evidence(directory).events())
    found = {type(event): event for event in events}
    shard, started, plan = (found.get(kind) for kind in (RunShard, RunStarted, PlanResolved))
    if not isinstance(shard, RunShard):
        raise ConfigError(
            f"{directory} is no shard but a whole run; shards are made by `--shard K/N` of validate and check."
        )
    if not isinstance(started, RunStarted) or not isinstance(plan, PlanResolved):
        raise ConfigError(f"{directory} holds no beginning of a run; leave it out, or run that shard again.")
    return _Part(directory, shard, started, plan, events)


def _belong_together(parts: Sequence[_Part]) -> None:
    if not parts:
        raise ConfigError("name the folders of the shards, e.g. `assay merge runs/*`.")
    same: dict[str, Callable[[_Part], object]] = {
        "number of shards": lambda part: part.shard.of,
        "plan": lambda part: part.plan.manifest,
        "commit of Assay": lambda part: part.started.commit,
        "target": _target,
        "version of the platform": lambda part: part.last(PlatformVersion),
    }
    first = parts[0]
    for part in parts[1:]:
        for what, value in same.items():
            if value(part) != value(first):
                raise ConfigError(
                    f"{first.directory.name} and {part.directory.name} are not of one run: another {what}."
                )
    seen: dict[int, _Part] = {}
    for part in parts:
        if other := seen.get(part.shard.number):
            raise ConfigError(
                f"shard {part.shard.number} is there twice, {other.directory.name} and {part.directory.name}; name one."
            )
        seen[part.shard.number] = part


def _target(part: _Part) -> object:
    """What tells targets apart: accounts and projects; of embedded ones, which every machine has for itself, nothing."""
    resolved = part.last(TargetResolved)
    if not isinstance(resolved, TargetResolved) or resolved.kind == "embedded":
        return part.started.target
    return resolved.name, part.last(TargetIdentified)


def _ended(parts: Sequence[_Part]) -> tuple[RunOutcome, str]:
    """How the merged run ended: as its worst shard did."""
    there = {part.shard.number for part in parts}
    of = parts[0].shard.of
    for number in range(1, of + 1):
        if number not in there:
            return RunOutcome.BROKEN, f"shard {number} of {of} is missing"
    for part in parts:
        end = part.last(RunFinished)
        which = f"shard {part.shard.number} of {of}"
        if not isinstance(end, RunFinished):
            return RunOutcome.BROKEN, f"{which} did not finish: it was killed"
        if end.outcome != RunOutcome.COMPLETED:
            return end.outcome, f"{which}: {end.error}" if end.error else which
    return RunOutcome.COMPLETED, ""
