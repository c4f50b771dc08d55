"""Who the users of a load are: a pool of signed-in identities, made before the load and undone after it.

Never a login storm: the pool is made once, one sign-in each, a few at a time within the target's login budget,
through the admin API and the ledger (`clients/bulk_identities.py`). Workers
read it from a private file that `ASSAY_PEOPLE` names; several users may share one identity when the pool is
smaller than the load. Importing this imports neither Locust nor an SDK; `pool` makes the people.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

FILE = "ASSAY_PEOPLE"


@dataclass(frozen=True)
class Person:
    """One signed-in identity of the target; tokens and password are secrets."""

    id: str
    username: str
    token: str = field(repr=False)
    email: str = ""
    password: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    expires_at: float = 0.0
    """When the token ends; Unix seconds."""


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
