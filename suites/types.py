"""Names of the fixtures' types, so that every check reads the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from clients.identities import Actor
from clients.made_files import MadeFile

Witness = Callable[[str, str], None]
"""`witness(channel, fact)`: journals that an independent channel answered."""
NewActor = Callable[[], Actor]
"""Makes a new signed-in person of the check's own."""


class NewFile(Protocol):
    """Makes a file with a name of its own."""

    def __call__(self, size: int, mime: str = ..., suffix: str = ...) -> MadeFile:
        """`size` in bytes."""
