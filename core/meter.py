"""What a run has used up so far, in one small file that all of its processes share, and its caps.

A process has one meter: that of the run it takes part in. Whoever is about to send spends first; what would pass a cap is
refused before it leaves, and from then on the run is over its budget in every process. What undoes is counted and
never refused: a run that stops leaves nothing behind.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from core.errors import BudgetError

KEYS = ("requests", "mails", "logins", "bytes", "money")
FILE = ".budget"
_LAYOUT = struct.Struct(f"<{len(KEYS)}dq")
"""So much of each, and which one was refused first: its place from 1, 0 for none."""


class Meter:
    """Counts in a file. `caps` are by key, in the units of `BudgetPart.caps`; a key without one has no cap."""

    def __init__(self, file: Path, caps: Mapping[str, int]) -> None:
        self._path = file
        self._opened: int | None = None
        self._caps = dict(caps)
        self._threads = threading.Lock()  # the file's lock is the process's
        self._undoing = threading.local()
        self.refused = ""
        """What this process was refused, in words; the check or load that was in it says nothing of the platform."""

    def spend(self, used: Mapping[str, float]) -> None:
        """Counts what is about to be used up. Raises BudgetError, and counts nothing, where it would pass a cap."""
        with self._held() as (counts, refused):
            passed = [
                place
                for place, key in enumerate(KEYS)
                if key in self._caps and used.get(key, 0) and counts[place] + used[key] > self._caps[key]
            ]
            if passed and not getattr(self._undoing, "now", False):
                self._write(counts, refused or passed[0] + 1)
                self.refused = self._words(passed[0], counts)
                raise BudgetError(self.refused)
            self._write([count + used.get(key, 0) for count, key in zip(counts, KEYS, strict=True)], refused)

    def lease(self, one: Mapping[str, float], most: int) -> int:
        """Counts as many of `one` as the caps allow, `most` at most, and says how many: for who sends too fast to ask
        each time. What is leased and never used stays counted. 0 is a refusal.
        """
        with self._held() as (counts, refused):
            allowed = {
                place: int((self._caps[key] - counts[place]) // one[key])
                for place, key in enumerate(KEYS)
                if key in self._caps and one.get(key, 0)
            }
            granted = max(0, min([most, *allowed.values()]))
            if not granted:
                place = min(allowed, key=lambda place: allowed[place])
                refused, self.refused = refused or place + 1, self._words(place, counts)
            self._write([c + granted * one.get(k, 0) for c, k in zip(counts, KEYS, strict=True)], refused)
            return granted

    def refusal(self) -> str:
        """Why nothing more may be begun, in words; empty while nothing was refused."""
        if not self._path.exists():
            return ""
        with self._held() as (counts, refused):
            return self._words(refused - 1, counts) if refused else ""

    def counts(self) -> dict[str, float]:
        """How much was used up, by key."""
        if not self._path.exists():
            return dict.fromkeys(KEYS, 0.0)
        with self._held() as (counts, _):
            return dict(zip(KEYS, counts, strict=True))

    def line(self) -> str:
        """The counts beside their caps, in one line."""
        return "; ".join(
            f"{key} {_shown(key, count)}"
            + (f" of {_shown(key, self._caps[key])}" if key in self._caps else "")
            for key, count in self.counts().items()
        )

    @contextmanager
    def undoing(self) -> Iterator[None]:
        """Inside, this thread is never refused."""
        before = getattr(self._undoing, "now", False)
        self._undoing.now = True
        try:
            yield
        finally:
            self._undoing.now = before

    def close(self) -> None:
        """Lets the file go."""
        if self._opened is not None:
            os.close(self._opened)

    @property
    def _file(self) -> int:
        """Opened when first asked for: who begins nothing leaves nothing."""
        if self._opened is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._opened = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        return self._opened

    @contextmanager
    def _held(self) -> Iterator[tuple[list[float], int]]:
        with self._threads:
            fcntl.lockf(self._file, fcntl.LOCK_EX)
            try:
                *counts, refused = _LAYOUT.unpack(
                    os.pread(self._file, _LAYOUT.size, 0) or bytes(_LAYOUT.size)
                )
                yield counts, refused
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN)

    def _write(self, counts: list[float], refused: int) -> None:
        os.pwrite(self._file, _LAYOUT.pack(*counts, refused), 0)

    def _words(self, place: int, counts: list[float]) -> str:
        key = KEYS[place]
        return (
            f"budget: {key} {_shown(key, counts[place])} of {_shown(key, self._caps.get(key, 0))} are used, and more "
            f"would pass the cap; raise {key} in [budget] of target.toml"
        )


def _shown(key: str, count: float) -> str:
    return f"{count / 1e6:.4f} USD" if key == "money" else f"{count:,.0f}"


class _Process:
    """This process's meter; `enter` and `leave` alone change it."""

    meter: Meter | None = None


def enter(folder: Path, caps: Mapping[str, int]) -> Meter:
    """Makes the meter of the run in this folder the process's own."""
    if _Process.meter is not None:
        _Process.meter.close()
    _Process.meter = Meter(folder / FILE, caps)
    return _Process.meter


def leave() -> None:
    """This process takes part in no run any more."""
    if _Process.meter is not None:
        _Process.meter.close()
    _Process.meter = None


def spend(used: Mapping[str, float]) -> None:
    """See `Meter.spend`; outside a run nothing is counted."""
    if _Process.meter is not None:
        _Process.meter.spend(used)


def refusal() -> str:
    """See `Meter.refusal`; empty outside a run."""
    return _Process.meter.refusal() if _Process.meter is not None else ""


def refused_here() -> str:
    """See `Meter.refused`; empty outside a run."""
    return _Process.meter.refused if _Process.meter is not None else ""


def lease(one: Mapping[str, float], most: int) -> int:
    """See `Meter.lease`; outside a run there is no cap."""
    return _Process.meter.lease(one, most) if _Process.meter is not None else most


def line() -> str:
    """See `Meter.line`; empty outside a run."""
    return _Process.meter.line() if _Process.meter is not None else ""


@contextmanager
def undoing() -> Iterator[None]:
    """See `Meter.undoing`."""
    if _Process.meter is None:
        yield
        return
    with _Process.meter.undoing():
        yield
