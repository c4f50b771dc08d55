"""The ledger: every creation is journaled with its undo before the call, and undone after the check.

An undo is named, not pickled (`auth.user`, `r2.object`), so that the sweeper can play the journal of a dead
run and undo what is left. Undoing what is not there is no failure. An undo removes only what it can show to be ours
(`core.ownership`); what it finds beside that is told and left.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from core import meter
from core.errors import BrokenError
from core.event import Event
from core.events import LedgerConfirmed, LedgerFailed, LedgerLeft, LedgerPlanned, LedgerUndone
from core.journal import Journal
from core.ownership import NotOursError
from core.permit import Action, Permit

Undo = Callable[[Mapping[str, Any]], None]
"""Takes the entry's key (what identifies the created thing) and removes the thing; quiet when it is gone.

Raises NotOursError, having touched nothing, where what it finds there is not shown to be ours.
"""


@dataclass
class Entry:
    """One created thing. `key` may be completed once the service has named it."""

    number: str
    kind: str
    key: dict[str, Any]
    order: int
    _ledger: Ledger = field(repr=False)

    def confirm(self, **more: Any) -> None:
        """Journals what only the service could tell, e.g. the new identifier."""
        self.key.update(more)
        self._ledger.journal.write(LedgerConfirmed(self.number, dict(self.key)), durable=True)


class Ledger:
    """The creations of one check, undone newest first.

    `undoers` maps each kind to its undo; planning a kind without one is refused, so nothing can be created
    that nobody knows how to remove.
    """

    def __init__(
        self, journal: Journal, undoers: Mapping[str, Undo], permit: Permit, *, check: str = ""
    ) -> None:
        self.journal = journal
        self._permit = permit
        self._undoers = undoers
        self._check = check
        self._entries: list[Entry] = []
        self._numbers = itertools.count(1)

    def plan(self, kind: str, **key: Any) -> Entry:
        """Journals that a thing of this kind is about to be created; call before the creating call.

        Raises PermitError where the target does not permit writing, BrokenError for a kind without an undo.
        """
        self._permit.demand(Action.WRITE, f"creating '{kind}'")
        if kind not in self._undoers:
            raise BrokenError(
                f"nothing knows how to undo '{kind}'; add it to UNDO of its module in clients/services."
            )
        number = next(self._numbers)
        entry = Entry(f"{os.getpid()}-{id(self):x}-{number}", kind, dict(key), number, self)
        self.journal.write(LedgerPlanned(entry.number, kind, dict(key), self._check), durable=True)
        self._entries.append(entry)
        return entry

    def undo_all(self) -> list[str]:
        """Undoes everything, newest first, each tried even when another fails. Returns failures in words."""
        failures: list[str] = []
        while self._entries:
            entry = self._entries.pop()
            failure = undo(self.journal, self._undoers, entry.number, entry.kind, entry.key)
            if failure:
                failures.append(failure)
        return failures


def undo(
    journal: Journal, undoers: Mapping[str, Undo], number: str, kind: str, key: Mapping[str, Any]
) -> str | None:
    """Undoes one entry and journals how it went. Returns the failure in words, or None."""
    try:
        with meter.undoing():
            undoers[kind](key)
    except NotOursError as error:
        journal.write(LedgerLeft(number, kind, str(error)), durable=True)
        return None
    except Exception as error:  # one failed undo must not keep the others from being tried
        journal.write(LedgerFailed(number, kind, f"{type(error).__name__}: {error}"), durable=True)
        return f"{kind} could not be undone: {type(error).__name__}: {error}"
    journal.write(LedgerUndone(number, kind))
    return None


@dataclass(frozen=True)
class Left:
    """A created thing that was planned and never undone."""

    entry: str
    kind: str
    key: dict[str, Any]


def left_over(events: Iterable[Event]) -> list[Left]:
    """Entries of a journal that were planned and not undone, newest first: what the sweeper has to do."""
    entries: dict[str, Left] = {}
    for event in events:
        match event:
            case LedgerPlanned():
                entries[event.entry] = Left(event.entry, event.kind, dict(event.key))
            case LedgerConfirmed() if event.entry in entries:
                entries[event.entry].key.update(event.key)
            case LedgerUndone() | LedgerLeft():
                entries.pop(event.entry, None)
    return list(reversed(entries.values()))
