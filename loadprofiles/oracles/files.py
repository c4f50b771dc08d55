"""Files to upload that cost no memory, and what the stores really hold of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from clients.services import r2, storage
from core.errors import AssayError
from core.run import Run
from loadengine.api import StreamedBody

BLOCK = 1 << 20
_STAMP = 16
_COMMON = memoryview(os.urandom(BLOCK))


class StreamedFile:
    """`size` bytes that are made while they are sent: one shared mebibyte, each copy of it numbered, the last one named.

    So no two files are alike, parts that change places change the hash, and 20 files of 100 MB are one mebibyte.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.name = os.urandom(_STAMP // 2).hex()
        self._last = (size - 1) // BLOCK

    @property
    def sha256(self) -> str:
        """The hash of the whole; only its last block is worked out anew."""
        digest = _begun(self._last).copy()
        for piece in self._block(self._last, 0, self.size - self._last * BLOCK):
            digest.update(piece)
        return digest.hexdigest()

    def part(self, begin: int, end: int) -> StreamedBody:
        """The bytes from `begin` up to `end`."""
        return StreamedBody(end - begin, lambda: self._pieces(begin, end))

    def whole(self) -> StreamedBody:
        """All bytes."""
        return self.part(0, self.size)

    def _pieces(self, begin: int, end: int) -> Iterator[bytes | memoryview]:
        while begin < end:
            number, start = divmod(begin, BLOCK)
            stop = min(BLOCK, start + end - begin)
            yield from self._block(number, start, stop)
            begin += stop - start

    def _block(self, number: int, start: int, stop: int) -> Iterator[bytes | memoryview]:
        if start < _STAMP:
            stamp = self.name.encode() if number == self._last else b"%016d" % number
            yield stamp[start : min(stop, _STAMP)]
        if stop > _STAMP:
            yield _COMMON[max(start, _STAMP) : stop]


@cache
def _begun(blocks: int) -> hashlib._Hash:
    """The hash of so many numbered blocks."""
    digest = hashlib.sha256()
    for number in range(blocks):
        digest.update(b"%016d" % number)
        digest.update(_COMMON[_STAMP:])
    return digest


class Stores:
    """R2 and Supabase Storage through their own APIs, with keys that the platform's users do not have."""

    def __init__(self, run: Run) -> None:
        self._journal = run.open_journal("witness")
        run = replace(run, journal=self._journal)
        self._r2, self._storage = r2.R2Client(run), storage.StorageClient(run)

    def holds(self, store: str, key: str, sha256: str) -> str | None:
        """What is wrong with an object, or None when its bytes have this hash. Every byte is read.

        `store` is `r2` or `storage:<bucket>`.
        """
        try:
            found = (
                self._r2.s3.sha256(key)
                if store == "r2"
                else self._storage.witness_sha256(key, store.removeprefix("storage:"))
            )
        except AssayError as error:
            return f"{store} cannot be asked: {str(error)[:120]}"
        if found is None:
            return f"{store} does not hold it"
        return None if found == sha256 else f"{store} holds other bytes than were sent"

    def close(self) -> None:
        """Closes the connections and the journal."""
        self._r2.close()
        self._storage.close()
        self._journal.close()
