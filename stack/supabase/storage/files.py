"""Bytes on disk: each version of an object is one file that is written once and never changed."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from stack.supabase.storage.errors import StorageError

CHUNK = 256 * 1024


@dataclass(frozen=True)
class Written:
    """A file that arrived whole: where it lies for now, how long it is, and the MD5 that S3 would give as its ETag."""

    path: Path
    size: int
    md5: str


class Store:
    """The folder. What is being received lies in ``tmp``; ``keep`` moves it, in one step, to where it is served from."""

    def __init__(self, folder: Path) -> None:
        self._tmp, self._kept, self.resumable = folder / "tmp", folder / "objects", folder / "resumable"
        for path in (self._tmp, self._kept, self.resumable):
            path.mkdir(parents=True, exist_ok=True)
        for left in self._tmp.iterdir():  # of an earlier process that died
            left.unlink()

    async def receive(self, chunks: AsyncIterable[bytes], limit: int) -> Written:
        """Write a stream to disk as it comes. Nothing stays if it breaks off or exceeds ``limit`` bytes."""
        path = self._tmp / uuid.uuid4().hex
        digest, size = hashlib.md5(usedforsecurity=False), 0
        try:
            with path.open("wb", buffering=0) as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > limit:
                        raise StorageError("EntityTooLarge")
                    file.write(chunk)
                    digest.update(chunk)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return Written(path, size, digest.hexdigest())

    def adopt(self, path: Path) -> Written:
        """A file that was received in parts, as if it had come at once."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
        return Written(path, path.stat().st_size, digest.hexdigest())

    def keep(self, written: Written, version: str) -> None:
        """Serve ``written`` as ``version`` from now on."""
        target = self.path(version)
        target.parent.mkdir(exist_ok=True)
        written.path.rename(target)

    def duplicate(self, version: str, as_version: str) -> None:
        """A second name for the same bytes."""
        target = self.path(as_version)
        target.parent.mkdir(exist_ok=True)
        os.link(self.path(version), target)

    def delete(self, *versions: str | None) -> None:
        """Delete these versions; what is not there is gone already."""
        for version in versions:
            if version:
                self.path(version).unlink(missing_ok=True)

    def path(self, version: str) -> Path:
        """Where ``version`` (a UUID of ours, never a client's words) lies."""
        return self._kept / version[:2] / version

    async def read(self, version: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Bytes ``start`` to ``end`` inclusive, in chunks."""
        with self.path(version).open("rb", buffering=0) as file:
            file.seek(start)
            left = end - start + 1
            while left > 0 and (chunk := file.read(min(CHUNK, left))):
                left -= len(chunk)
                yield chunk
