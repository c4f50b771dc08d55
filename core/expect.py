"""Expectations: the only way for a check to say `missed`, in words that a stranger understands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from core import reached
from core.errors import Missed
from core.port import Answer

T = TypeVar("T")


def expect(
    holds: object, claim: str, *, expected: Any = None, saw: Any = None, service: str | None = None
) -> None:
    """Raises Missed with `claim` unless `holds` is true."""
    reached.note()
    if not holds:
        raise Missed(claim, expected=expected, saw=saw, service=service)


def expect_equal(saw: T, expected: T, claim: str, *, service: str | None = None) -> T:
    """Raises Missed unless both values are equal; returns what was seen."""
    reached.note()
    if saw != expected:
        raise Missed(claim, expected=_short(expected), saw=_short(saw), service=service)
    return saw


def expect_one(found: Sequence[T], claim: str, *, service: str | None = None) -> T:
    """Raises Missed unless exactly one was found; returns it."""
    reached.note()
    if len(found) != 1:
        raise Missed(claim, expected="exactly one", saw=f"{len(found)}: {_short(found)}", service=service)
    return found[0]


def expect_status(answer: Answer, status: int, claim: str, *, service: str | None = None) -> None:
    """Raises Missed unless an answer has this status; what it says instead is in the message."""
    reached.note()
    if answer.status != status:
        raise Missed(
            claim, expected=status, saw=f"{answer.status} {answer.text[:300]}".strip(), service=service
        )


def expect_denied(was_denied: bool, still: object, claim: str, *, service: str | None = None) -> None:
    """For a refused action: the answer must deny it *and* the witness must see the fact unchanged.

    A denied write under row-level security answers 200 or 204 (PostgREST), so `was_denied` alone proves
    nothing; `still` is what the witness found, true when unchanged.
    """
    reached.note()
    if not still:
        raise Missed(claim, expected="nothing changed", saw="the witness sees the change", service=service)
    if not was_denied:
        raise Missed(claim, expected="the action refused", saw="the action accepted", service=service)


def _short(value: object, limit: int = 400) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"
