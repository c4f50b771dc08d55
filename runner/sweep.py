"""The sweeper: reads the ledgers of dead runs and removes what they left on this very target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clients.services import services_of
from clients.undo import undoers
from core.errors import ConfigError
from core.event import Event
from core.events import LedgerLeft, RunStarted, TargetIdentified, TargetResolved
from core.evidence import Evidence
from core.journal import Journal, written_now
from core.ledger import Left, left_over, undo
from core.run import Run, forget_dead, lives, runs
from core.secret import Redactor
from reports.rendering.columns import print_paragraph
from runner.session import RunRequest, hold_target, live_target, remove_dead_stacks


@dataclass
class Residue:
    """What a dead run left, newest first, and where it made it: `identity` by service, None where nobody recorded it."""

    directory: Path
    entries: list[Left]
    identity: Mapping[str, str] | None
    elsewhere: list[Left] = field(default_factory=list)

    def keep_to(self, identity: Mapping[str, str]) -> None:
        """Sets aside what was made in another account or project than these, or nobody knows where."""
        there = self.identity or {}
        for entry in self.entries:
            if any(there.get(s) != identity.get(s) or s not in identity for s in services_of(entry.kind)):
                self.elsewhere.append(entry)
        self.entries = [entry for entry in self.entries if entry not in self.elsewhere]


def sweep_runs(target: str, target_file: Path, *, dry: bool, root: Path | None = None) -> int:
    """Shows and then undoes every entry of dead runs against this very target that was planned and never undone.

    What a run made that still goes, on another target, or in a journal that this version cannot read, is told and left.
    Returns 0 when nothing is left, 3 when something stays that could not be removed or may not be.
    """
    if not dry:
        _remove_dead_stacks()
    found = [one for path in sorted((root or runs()).glob("*")) if (one := _residue(path, target))]
    if found and target != "embedded":
        identity = live_target(RunRequest(target=target, target_file=target_file)).identity()
        for one in found:
            one.keep_to(identity)
    for one in found:
        for entry in one.entries:
            _say(f"{one.directory.name}: {_named(entry)}")
        for entry in one.elsewhere:
            where = "of another account or project" if one.identity else "of a target that was not recorded"
            _say(f"{one.directory.name}: {_named(entry)} is {where}: left")
    stays = any(one.elsewhere for one in found)
    found = [one for one in found if one.entries]
    if not found and not stays:
        _say("nothing is left behind by any dead run.")
    if dry or not found:
        return 3 if stays and not dry else 0
    return 0 if _undo(found, target, target_file) and not stays else 3


def _residue(directory: Path, target: str) -> Residue | None:
    """What a dead run against this kind of target left; tells of runs that still go and of what cannot be read."""
    try:
        evidence = Evidence(directory)
    except ConfigError:
        return None
    events = evidence.events()
    for damage in evidence.damaged:
        _say(f"{directory.name}: {damage}: what it made cannot be known")
    if _kind(events) != target or not (rest := left_over(events)):
        return None
    if lives(directory.name) or written_now(directory):
        _say(f"{directory.name}: this run still goes: left")
        return None
    identified = [event.services for event in events if isinstance(event, TargetIdentified)]
    return Residue(directory, rest, identified[0] if identified else None)


def _kind(events: list[Event]) -> str:
    """The kind of target that a run was against; a plain `pytest` has no start, but a target."""
    for event in events:
        if isinstance(event, RunStarted):
            return event.target
    return next((event.kind for event in events if isinstance(event, TargetResolved)), "embedded")


def _remove_dead_stacks() -> None:
    """Stacks that exclusive checks had for themselves, of runs that were killed; and those runs' private files."""
    forget_dead()
    for name in remove_dead_stacks():
        _say(f"removed the stack of a run that was killed: {name}")


def _undo(found: list[Residue], target: str, target_file: Path) -> bool:
    clean = True
    first = Journal(found[0].directory, "sweep", Redactor())
    with hold_target(RunRequest(target=target, target_file=target_file), first) as (held, _):
        for one in found:
            run = Run.begin(one.directory, held.target, "sweep")
            known = undoers(run)
            for entry in one.entries:
                failure = (
                    undo(run.journal, known, entry.entry, entry.kind, entry.key)
                    if entry.kind in known
                    else f"nothing knows how to undo '{entry.kind}'"
                )
                if failure:
                    clean = False
                    _say(failure)
            run.journal.close()
            for event in Evidence(one.directory).events(LedgerLeft):
                if event.entry in {entry.entry for entry in one.entries}:
                    _say(f"{one.directory.name}: {event.kind} not touched: {event.why}")
    first.close()
    return clean


def _named(entry: Left) -> str:
    """What is left, as a person reads it."""
    return " ".join([entry.kind, *(f"{name}={value}" for name, value in entry.key.items())])


def _say(text: str) -> None:
    print_paragraph(text)
