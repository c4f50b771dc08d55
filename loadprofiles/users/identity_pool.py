"""Makes the pool of people, on the run's target."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from clients import bulk_identities
from clients.service_clients import ServiceClients
from clients.undo import undoers
from core.events import Note, NoteLevel
from core.ledger import Ledger
from core.run import Run
from loadengine.identities import LoadIdentity


@contextmanager
def made(run: Run, count: int) -> Iterator[list[LoadIdentity]]:
    """`count` identities on the run's target, removed at the end.

    Raises ConfigError for a target that is not configured, BrokenError when Auth does not make them.
    """
    with run.part("people") as run:
        ledger = Ledger(run.journal, undoers(run), run.permit, check="load")
        try:
            with ServiceClients(run) as services:
                began = time.monotonic()
                members = bulk_identities.make(run, services.auth, ledger, count)
                text = f"{count} people signed in within {time.monotonic() - began:.1f} s"
                run.journal.write(Note(NoteLevel.INFO, text))
                yield [LoadIdentity(**vars(member)) for member in members]
        finally:
            for failure in ledger.undo_all():
                print(f"left behind: {failure}", flush=True)
