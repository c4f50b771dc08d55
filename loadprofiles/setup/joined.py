"""The run and the target as a load's own processes join them: from the environment alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clients.control import URL as CONTROL_URL
from clients.services import catalogue
from core import target as targets
from core.journal import Journal
from core.run import Run
from core.target import Target


def target() -> Target:
    """The target that the environment names. Raises ConfigError for one that is not configured."""
    control = os.environ.get(CONTROL_URL)
    return targets.resolve(
        "embedded" if control else "live",
        catalogue(),
        file=None if control else Path("target.toml"),
        control_url=control,
    )


@contextmanager
def joined(run_dir: Path, role: str) -> Iterator[Run]:
    """The run in `run_dir`, with a journal of this process's own that closes at the end."""
    found = target()
    journal = Journal(run_dir, role, redactor=found.redactor())
    try:
        yield Run(run_dir, found, journal, journal.redactor)
    finally:
        journal.close()
