"""The end of the check in progress, on which every client of this process agrees: no request begins after it.

A check's passport says how long it takes. What it waits for by agreement (its turn to log in) comes on top; a service
that answers nothing, or drips, does not.
"""

from __future__ import annotations

import threading
import time

from core.errors import ServiceError

_lock = threading.Lock()
_until = float("inf")
_given = 0.0
_spent: dict[str, float] = {}


def begin(seconds: float) -> None:
    """A check, or its tear-down, begins that has so long; `inf` is no end."""
    global _until, _given
    with _lock:
        _until, _given = time.monotonic() + seconds, seconds
        _spent.clear()


def extend(seconds: float) -> None:
    """The check waited so long for what is not its doing."""
    global _until
    with _lock:
        _until += seconds


def left() -> float:
    """Seconds until the end; negative after it."""
    return _until - time.monotonic()


def spend(service: str, seconds: float) -> None:
    """A service took so long to answer."""
    with _lock:
        _spent[service] = _spent.get(service, 0.0) + seconds


def demand(where: str) -> None:
    """Raises ServiceError after the end, with the name of the service that took longest."""
    if left() > 0:
        return
    with _lock:
        slowest, seconds = max(_spent.items(), key=lambda item: item[1], default=("harness", 0.0))
    raise ServiceError(
        slowest,
        f"the check's {_given:.0f} s are over before {where}: {slowest} took {seconds:.0f} s of them to answer",
    )
