"""Bytes on disk: each version of an object is one file that is written once and never changed."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

CHUNK = 256 * 1024


class Store:
    """The folder. What is being received lies in ``tmp``; ``keep`` moves it, in one step, to where it is served from."""

    def __init__(self, folder: Path) -> None:
        self._tmp, self._kept, self.resumable = folder / "tmp", folder / "objects", folder / "resumable"
        shutil.rmtree(self._tmp, ignore_errors=True)  # of an earlier process that died
        for path in (self._tmp, self._kept, self.resumable):
            path.mkdir(parents=True, exist_ok=True)

    def desk(self) -> TemporaryDirectory[str]:
        """A folder to receive files in; whatever was not moved away goes with it."""
        return TemporaryDirectory(dir=self._tmp)

    def keep(self, path: Path, version: str) -> None:
        """Serve this file as ``version`` from now on."""
        path.rename(self._place(version))

    def duplicate(self, version: str, as_version: str) -> None:
        """A second name for the same bytes. Raises FileNotFoundError."""
        os.link(self.path(version), self._place(as_version))

    def delete(self, *versions: str | None) -> None:
        """Delete these versions; what is not there is gone already."""
        for version in filter(None, versions):
            self.path(version).unlink(missing_ok=True)

    def path(self, version: str) -> Path:
        """Where ``version`` (a UUID of ours, never a client's words) lies."""
        return self._kept / version[:2] / version

    def _place(self, version: str) -> Path:
        target = self.path(version)
        target.parent.mkdir(exist_ok=True)
        return target

    async def read(self, version: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Bytes ``start`` to ``end`` inclusive, in chunks."""
        with self.path(version).open("rb", buffering=0) as file:
            file.seek(start)
            left = end - start + 1
            while left > 0 and (chunk := file.read(min(CHUNK, left))):
                left -= len(chunk)
                yield chunk


def measure(path: Path) -> tuple[int, str]:
    """The size of a file, and the MD5 that S3 would give as its ETag, were it uploaded in one part."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
        return file.tell(), digest.hexdigest()
