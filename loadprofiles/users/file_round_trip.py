"""A file that a person sends, reads back and removes: routed by its size, every byte checked by its hash."""

from __future__ import annotations

import hashlib
import itertools
import os
from typing import TYPE_CHECKING

from loadengine.api import Measure, Response
from scenarios.adapter import Adapter

if TYPE_CHECKING:
    from loadengine.locust.users import LeanUser

NUMBERED = 5 * 1024 * 1024
"""Bytes up to which each copy is numbered anew."""


class RoundTripFile:
    """A body made once a process; `small` ones get a number, so that no two are alike."""

    def __init__(self, size: int, name: str) -> None:
        self.name = name
        self._block = os.urandom(size)
        self._sum = hashlib.sha256(self._block).hexdigest()
        self._numbered = size <= NUMBERED
        self._numbers = itertools.count(1)

    def make(self) -> tuple[bytes, str]:
        """A body and its SHA-256."""
        if not self._numbered:
            return self._block, self._sum
        data = b"%016d" % next(self._numbers) + self._block[16:]
        return data, hashlib.sha256(data).hexdigest()


def send(user: LeanUser, adapter: Adapter, token: str, content: RoundTripFile, **labels: str) -> None:
    """Uploads, reads back, removes; each of the three is a measurement of its own."""
    data, digest = content.make()
    store = adapter.files().store_of(len(data))

    def stored(answer: Response) -> str | None:
        if answer.status != adapter.files().upload.answers:
            return f"answered {answer.status}"
        file = adapter.stored(answer)
        if file.size not in (None, len(data)) or (file.sha256 or digest) != digest:
            return "stored another size or hash than was sent"
        return None if file.store in ("", store) else f"went to {file.store} instead of {store}"

    def same(answer: Response) -> str | None:
        if answer.status != 200:
            return f"reading it back answered {answer.status}"
        return (
            None if hashlib.sha256(answer.content).hexdigest() == digest else "reads back with another hash"
        )

    def gone(answer: Response) -> str | None:
        return None if answer.status == 204 else f"removing it answered {answer.status}"

    up, down, away = (
        Measure("files", size=content.name, step=step, **labels) for step in ("upload", "read", "remove")
    )
    name = f"load-{digest[:24]}.bin"
    answer = adapter.upload(user.port(up, stored), token, name=name, data=data, sha256=digest)
    if answer.status != adapter.files().upload.answers or getattr(answer, "error", None):
        return  # what a wrong answer left goes with its owner
    identifier = adapter.stored(answer).id
    adapter.read_file(user.port(down, same), token, identifier)
    adapter.remove_file(user.port(away, gone), token, identifier)
