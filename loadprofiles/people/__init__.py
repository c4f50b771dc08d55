"""Who the users of a load are: a pool of signed-in identities, made before the load and undone after it.

Never a login storm: the pool is made once, one sign-in each, through the admin API and the ledger. Workers
read it from a private file that `ASSAY_PEOPLE` names; several users may share one identity when the pool is
smaller than the load. Importing this imports no Locust.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from core import target as targets
from core.journal import Journal
from core.ledger import Ledger
from fixtures import actors
from fixtures.control import URL as CONTROL_URL
from fixtures.run import Run
from fixtures.services import catalogue, undoers
from fixtures.toolbox import Services

FILE = "ASSAY_PEOPLE"


@dataclass(frozen=True)
class Person:
    """One signed-in identity of the target; the token is a secret."""

    id: str
    username: str
    token: str = field(repr=False)


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
            found = [actors.make_actor(run, services, ledger) for _ in range(count)]
            yield [Person(actor.id, actor.username, actor.access_token) for actor in found]
    finally:
        for failure in ledger.undo_all():
            print(f"left behind: {failure}", flush=True)
        journal.close()


@contextmanager
def shared(people: list[Person]) -> Iterator[Path]:
    """A file that only this user can read, for the load's processes; gone at the end."""
    handle, name = tempfile.mkstemp(prefix="assay-people-")
    path = Path(name)
    try:
        with os.fdopen(handle, "w") as file:
            json.dump([asdict(person) for person in people], file)
        yield path
    finally:
        path.unlink(missing_ok=True)


def known() -> list[Person]:
    """The pool that `ASSAY_PEOPLE` names; empty without one."""
    name = os.environ.get(FILE, "")
    if not name:
        return []
    return [Person(**entry) for entry in json.loads(Path(name).read_text())]
