"""Makes the pool, on whatever target the environment names."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clients import bulk_identities
from clients.service_clients import Services
from clients.services import undoers
from core.ledger import Ledger
from loadengine.identities import Person
from loadprofiles.setup.joined import joined


@contextmanager
def made(count: int, run_dir: Path) -> Iterator[list[Person]]:
    """`count` identities on the target that the environment names, removed at the end.

    Raises ConfigError for a target that is not configured, BrokenError when Auth does not make them.
    """
    with joined(run_dir, "people") as run:
        ledger = Ledger(run.journal, undoers(run), check="load")
        try:
            with Services(run) as services:
                began = time.monotonic()
                members = bulk_identities.make(run, services.auth, ledger, count)
                text = f"{count} people signed in within {time.monotonic() - began:.1f} s"
                run.journal.event("note", level="info", text=text)
                yield [Person(**vars(member)) for member in members]
        finally:
            for failure in ledger.undo_all():
                print(f"left behind: {failure}", flush=True)
