"""How many expectations this process has reached, kept or not: a check whose loop goes over nothing reaches none."""

from __future__ import annotations

_count = 0


def note() -> None:
    """An expectation is looked at."""
    global _count
    _count += 1


def count() -> int:
    """Expectations reached so far; only whether it grows means anything."""
    return _count
