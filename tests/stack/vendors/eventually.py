"""Waiting for something observed, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(look: Callable[[], T | None], seconds: float = 10) -> T:
    """Return the first truthy thing `look` returns; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < deadline, f"nothing seen in {seconds} s: {seen!r}"
        time.sleep(0.02)
