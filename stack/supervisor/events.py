"""What happened to a stack, in order: kept in memory for the control address and on disk for everybody."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from pathlib import Path
from typing import Any

TROUBLE = re.compile(
    r"error|exception|cannot|could not|fail|refused|denied|fatal|panic|in use|missing", re.IGNORECASE
)


class Events:
    """An append-only list of events, each also one JSON line in `events.jsonl`.

    Each has `seq` (from 1), `type`, `monotonic_ns` (the machine's clock, the same in every process),
    `wall_ns`, and its own fields. Types: stack.starting, component.starting, component.ready,
    component.failed (it did not start), component.died (unplanned), outage.planned, outage.ended,
    fault.set, stack.ready, stack.failed, stack.stopping.
    """

    def __init__(self, path: Path) -> None:
        self._items: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._file = path.open("a", buffering=1)

    def add(self, type_: str, **fields: Any) -> None:
        """Append one event. A full disk costs the copy on disk only."""
        with self._lock:
            event = {
                "seq": len(self._items) + 1,
                "type": type_,
                "monotonic_ns": time.monotonic_ns(),
                "wall_ns": time.time_ns(),
                **fields,
            }
            self._items.append(event)
            try:
                self._file.write(json.dumps(event) + "\n")
            except OSError:
                return

    def since(self, seq: int) -> list[dict[str, Any]]:
        """Every event after number `seq`."""
        with self._lock:
            return self._items[max(0, seq) :]


class Tail:
    """Reads an `events.jsonl` as it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def read(self) -> list[dict[str, Any]]:
        """The events that came since the last call; a half-written line waits for the next call."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        events = []
        for line in whole.splitlines():
            with contextlib.suppress(ValueError):  # cut short on a full disk
                events.append(json.loads(line))
        return events


def last_lines(path: Path, count: int = 8, most: int = 4000) -> list[str]:
    """The last lines of a log, for an error message; none when it cannot be read."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - most))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-count:]


def telling_line(path: Path) -> str:
    """The line of a log's end that best says why it ended: the last that speaks of an error, else the last."""
    lines = [line.strip() for line in last_lines(path, 60, 16000)]
    errors = [line for line in lines if TROUBLE.search(line) and not line.startswith("at ")]
    return next(reversed(errors or lines), "nothing")
