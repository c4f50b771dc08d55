"""When arrivals are meant to happen: schedules whose times do not move when the server is slow.

A schedule gives the gap to the next arrival in units of the mean gap; the dispatcher multiplies it by
1 / rate. `Replay` is the exception: it holds absolute offsets of its own.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Protocol

from core.errors import ConfigError


class Schedule(Protocol):
    """Gaps between arrivals, as multiples of the mean gap; None ends the schedule."""

    def gap(self) -> float | None:
        """The next gap."""
        ...


class Uniform:
    """Equal gaps: the smoothest load of a rate."""

    def gap(self) -> float:
        """Always one mean gap."""
        return 1.0


class Poisson:
    """Exponential gaps: independent people, as they arrive at a real service."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(seed)  # noqa: S311 (a schedule, not a secret)

    def gap(self) -> float:
        """An exponential variate of mean one."""
        return self._random.expovariate(1.0)


class Replay:
    """Arrivals at recorded offsets: a file of seconds from the start, one a line, ascending.

    A second column, if any, is ignored; `#` starts a comment. The recorded rate is kept: users only lend
    their identities. With several workers each takes every n-th line.
    """

    def __init__(self, path: Path | str) -> None:
        self.offsets = _read_offsets(Path(path))
        self._share, self._of, self._at, self._last = 0, 1, 0, 0.0

    def share(self, number: int, of: int) -> None:
        """Keeps only the lines of worker `number` of `of`."""
        self._share, self._of = number, max(of, 1)
        self._at = self._share

    def gap(self) -> float | None:
        """Seconds since the arrival before, None at the end of the recording."""
        if self._at >= len(self.offsets):
            return None
        offset = self.offsets[self._at]
        gap, self._last = offset - self._last, offset
        self._at += self._of
        return gap


def _read_offsets(path: Path) -> list[float]:
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise ConfigError(
            f"the arrivals file {path} cannot be read ({error.strerror}); name another."
        ) from None
    offsets: list[float] = []
    for number, line in enumerate(lines, 1):
        words = line.split("#")[0].replace(",", " ").split()
        if not words:
            continue
        try:
            offset = float(words[0])
        except ValueError:
            raise ConfigError(f"{path} line {number} is not a number of seconds: {words[0]!r}.") from None
        if offset < (offsets[-1] if offsets else 0.0):
            raise ConfigError(f"{path} line {number} goes back in time; sort the offsets.")
        offsets.append(offset)
    if not offsets:
        raise ConfigError(f"{path} holds no arrivals; give one offset in seconds a line.")
    return offsets
