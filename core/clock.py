"""Time: monotonic nanoseconds, deadlines, and waiting for a fact instead of sleeping."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from core import reached
from core.errors import ConfigError, Missed

T = TypeVar("T")

now_ns = time.monotonic_ns
"""Monotonic time in nanoseconds; comparable between processes of one host and boot only."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text: str | float) -> float:
    """`90`, `"30s"`, `"5m"`, `"1h30m"`, `"250ms"` as seconds.

    Raises ConfigError for anything else, negative numbers included.
    """
    if isinstance(text, int | float) and not isinstance(text, bool):
        value = float(text)
    else:
        parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", str(text))
        if not parts or "".join(n + u for n, u in parts) != str(text).strip():
            raise ConfigError(f"'{text}' is not a duration; write it like 30s, 5m or 1h30m.")
        value = sum(float(n) * _UNITS[u] for n, u in parts)
    if not 0 <= value < float("inf"):
        raise ConfigError(f"'{text}' is not a duration of zero or more seconds.")
    return value


@dataclass(frozen=True)
class Deadline:
    """A point in monotonic time, `at` in nanoseconds."""

    at: int

    @classmethod
    def after(cls, duration: str | float) -> Deadline:
        """The deadline that lies `duration` (seconds or text) ahead."""
        return cls(now_ns() + int(seconds(duration) * 1e9))

    @property
    def left(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, (self.at - now_ns()) / 1e9)

    @property
    def passed(self) -> bool:
        """True once the deadline lies behind."""
        return now_ns() >= self.at


def eventually(
    probe: Callable[[], T],
    *,
    within: str | float,
    claim: str,
    until: Callable[[T], bool] = bool,
    every: float = 0.05,
    service: str | None = None,
) -> T:
    """Calls `probe` until `until(result)` holds and returns that result.

    Waits `every` seconds at first and up to 1 s between tries; always tries once more at the deadline, so
    that a slow probe is not judged on its first answer. Raises Missed with the last value seen; whatever
    the probe raises passes through, since a look-up that fails is broken, not missed.
    """
    reached.note()
    deadline = Deadline.after(within)
    pause = every
    while True:
        last = deadline.passed
        value = probe()
        if until(value):
            return value
        if last:
            raise Missed(
                claim, expected=f"within {seconds(within):g} s", saw=repr(value)[:500], service=service
            )
        time.sleep(min(pause, deadline.left))
        pause = min(pause * 1.5, 1.0)
