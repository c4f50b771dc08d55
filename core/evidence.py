"""Reading a run's journal back: events in order, samples as numpy arrays, and what was lost.

Reads files alone, so a run can be judged while it is written, after it was killed, or a year later.
"""

from __future__ import annotations

import json
import mmap
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np

from core.errors import ConfigError
from core.event import Event
from core.event_lines import ForeignFormat, Recorded, from_line
from core.events import Attachment, ComponentDied, JournalClosed, JournalOpened, PartEnded
from core.journal import FRAME, KIND_SAMPLES, KIND_SERIES, MAGIC, SAMPLE

E = TypeVar("E", bound=Event)
Samples = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Series:
    """What a stored series number means in one file."""

    metric: str
    unit: str
    labels: dict[str, str]


@dataclass
class JournalFile:
    """One process's part of the evidence.

    `closed` is False when its writer died or still runs; `damaged` lists what could not be read, in words. `below` is
    the folder of its shard in a merged run, such as `shards/2`.
    """

    path: Path
    below: str = ""
    damaged: list[str] = field(default_factory=list)
    closed: bool = False

    @property
    def source(self) -> str:
        """The name of this journal in its run."""
        return f"{self.below}/{self.path.stem}" if self.below else self.path.stem

    @cached_property
    def header(self) -> JournalOpened | None:
        """The first line: role, pid, host, boot and the tie between monotonic and wall clock; None if lost."""
        first = next(self.events(), None)
        return first.event if first is not None and isinstance(first.event, JournalOpened) else None

    def events(self) -> Iterator[Recorded[Event]]:
        """Every whole line, oldest first. A cut last line is what a killed process leaves: not damage."""
        self.closed = False
        with self.path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                if not raw.endswith(b"\n"):
                    return
                try:
                    recorded = from_line(raw, self.source)
                except ForeignFormat as error:
                    self._damage(f"{self.path.name} {error}")
                    return
                except ValueError as error:
                    self._damage(f"{self.path.name} line {number} {error}")
                    continue
                self.closed = isinstance(recorded.event, JournalClosed)
                yield self._in_its_place(recorded) if self.below else recorded

    def _in_its_place(self, recorded: Recorded[Event]) -> Recorded[Event]:
        """An event of a shard with its paths as they are in the merged run's folder."""
        event = recorded.event
        if isinstance(event, Attachment):
            return replace(recorded, event=replace(event, path=f"{self.below}/{event.path}"))
        if isinstance(event, PartEnded | ComponentDied) and event.log:
            return replace(recorded, event=replace(event, log=f"{self.below}/{event.log}"))
        return recorded

    def blocks(self) -> Iterator[tuple[dict[int, Series], Samples]]:
        """Sample blocks in the order written, each with the names known so far (one shared dict)."""
        path = self.path.with_suffix(".samples")
        names: dict[int, Series] = {}
        if not path.exists() or path.stat().st_size == 0:
            return
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for kind, payload in self._frames(data, path.name):
                if kind == KIND_SERIES:
                    entries = json.loads(payload)
                    names.update(
                        {int(n): Series(e["metric"], e["unit"], e["labels"]) for n, e in entries.items()}
                    )
                elif kind == KIND_SAMPLES:
                    yield names, np.frombuffer(payload, SAMPLE)

    def _frames(self, data: mmap.mmap, name: str) -> Iterator[tuple[int, bytes]]:
        at, size = 0, len(data)
        while at + FRAME.size <= size:
            magic, kind, length, crc = FRAME.unpack_from(data, at)
            end = at + FRAME.size + length
            if magic == MAGIC and end > size:
                return  # cut by a kill: the bounded loss
            payload = data[at + FRAME.size : end] if magic == MAGIC else b""
            if magic == MAGIC and zlib.crc32(payload) == crc:
                yield kind, payload
                at = end
                continue
            self._damage(f"{name} is damaged at byte {at}")
            at = data.find(MAGIC, at + 1)
            if at < 0:
                return

    def _damage(self, what: str) -> None:
        if what not in self.damaged:
            self.damaged.append(what)

    @property
    def offset_ns(self) -> int:
        """What to add to a monotonic time of this file for nanoseconds since the epoch; 0 if its header is lost."""
        return self.header.wall_ns - self.header.monotonic_ns if self.header else 0


SHARDS = "shards"
"""Folder of a merged run in which the folders of its shards lie, by their numbers."""


class Evidence:
    """All journals of one run; of a merged run, those of its shards too."""

    def __init__(self, directory: Path) -> None:
        self.directory = Path(directory)
        folder = self.directory / "journal"
        if not folder.is_dir():
            raise ConfigError(
                f"{self.directory} holds no run: it has no journal folder; name a folder under runs/."
            )
        self.files = [JournalFile(path) for path in sorted(folder.glob("*.jsonl"))]
        for shard in sorted(self.directory.glob(f"{SHARDS}/*/journal")):
            below = str(shard.parent.relative_to(self.directory))
            self.files += [JournalFile(path, below) for path in sorted(shard.glob("*.jsonl"))]

    @overload
    def recorded(self) -> list[Recorded[Event]]: ...
    @overload
    def recorded(self, *kinds: type[E]) -> list[Recorded[E]]: ...
    def recorded(self, *kinds: type[Any]) -> list[Recorded[Any]]:
        """Events of these kinds (all when none is named) with time and source, ordered by time.

        Monotonic clocks compare within one boot of one host; those of several are put in order by their wall clocks.
        """
        boots: dict[str, int] = {}
        found: list[tuple[int, Recorded[Any]]] = []
        for file in self.files:
            start = boots.setdefault(file.header.boot, file.offset_ns) if file.header else 0
            found += [
                (one.t + start, one) for one in file.events() if not kinds or isinstance(one.event, kinds)
            ]
        found.sort(key=lambda pair: pair[0])
        return [one for _, one in found]

    @overload
    def events(self) -> list[Event]: ...
    @overload
    def events(self, *kinds: type[E]) -> list[E]: ...
    def events(self, *kinds: type[Any]) -> list[Any]:
        """Events of these kinds (all when none is named), ordered by time."""
        return [one.event for one in self.recorded(*kinds)]

    @property
    def damaged(self) -> list[str]:
        """What could not be read, after `events()` and `blocks()` were read to their end."""
        return [what for file in self.files for what in file.damaged]

    def blocks(self) -> Iterator[tuple[JournalFile, dict[int, Series], Samples]]:
        """Every sample block of every process."""
        for file in self.files:
            for names, block in file.blocks():
                yield file, names, block
