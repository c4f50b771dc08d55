"""Makes the pool, on whatever target the environment names."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core import target as targets
from core.journal import Journal
from core.ledger import Ledger
from fixtures import crowd
from fixtures.control import URL as CONTROL_URL
from fixtures.run import Run
from fixtures.services import catalogue, undoers
from fixtures.toolbox import Services
from loadprofiles.people import Person


@contextmanager
def made(count: int, run_dir: Path) -> Iterator[list[Person]]:
    """`count` identities on the target that the environment names, removed at the end.

    Raises ConfigError for a target that is not configured, BrokenError when Auth does not make them.
    """
    control = os.environ.get(CONTROL_URL)
    kind = "embedded" if control else "live"
    target = targets.resolve(
        kind, catalogue(), file=None if control else Path("target.toml"), control_url=control
    )
    journal = Journal(run_dir, "people", redactor=target.redactor())
    run = Run(run_dir, target, journal, journal.redactor)
    ledger = Ledger(journal, undoers(run), check="load")
    try:
        with Services(run) as services:
            began = time.monotonic()
            found = [Person(**vars(member)) for member in crowd.make(run, services.auth, ledger, count)]
            took = time.monotonic() - began
            journal.event("note", level="info", text=f"{count} people signed in within {took:.1f} s")
            yield found
    finally:
        for failure in ledger.undo_all():
            print(f"left behind: {failure}", flush=True)
        journal.close()
