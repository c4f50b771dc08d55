"""The four verdicts, the outcome of one measurement, and the rule that tells `missed` from `broken`."""

from __future__ import annotations

import traceback
from enum import IntEnum, StrEnum

from core.errors import BrokenError, Missed


class Verdict(StrEnum):
    """What is said of a check, an objective or a run. Only MET opens a gate."""

    MET = "met"
    MISSED = "missed"
    BROKEN = "broken"
    UNKNOWN = "unknown"


class CheckOutcome(StrEnum):
    """What became of a check that was looked at: a verdict, or why it did not run here."""

    MET = "met"
    MISSED = "missed"
    BROKEN = "broken"
    UNKNOWN = "unknown"
    NOT_COVERED = "not_covered"
    NOT_APPLICABLE = "not_applicable"


NOT_COVERED = CheckOutcome.NOT_COVERED
"""A check that did not run although the target has what it needs: a state of coverage, not a verdict. Closes."""
NOT_APPLICABLE = CheckOutcome.NOT_APPLICABLE
"""A check of something that the target does not have: shown and counted, and it closes nothing."""
DID_NOT_RUN = (NOT_COVERED, NOT_APPLICABLE)

GRAVITY = ("met", "not_applicable", "not_covered", "unknown", "missed", "broken")
"""The states of a check or objective, the gravest last. The only such order."""


class LoadOutcome(StrEnum):
    """How a load ended: as planned; by its own rules, since the target failed; or worth nothing."""

    COMPLETED = "completed"
    STOPPED = "stopped"
    BROKEN = "broken"


class RunOutcome(StrEnum):
    """How the runner ended: with everything that it had to start, without, or by an interrupt."""

    COMPLETED = "completed"
    BROKEN = "broken"
    INTERRUPTED = "interrupted"


class SampleOutcome(IntEnum):
    """Outcome of one sample, as stored. REFUSED is a rate limit's 429, an outcome of its own."""

    OK = 0
    WRONG = 1
    ERROR = 2
    REFUSED = 3
    CANCELLED = 4


class Phase(IntEnum):
    """The part of a load that a sample belongs to; objectives are judged on STEADY alone."""

    WARM_UP = 0
    STEADY = 1
    DRAIN = 2


OWN_ROOMS = ("checks", "flows")
"""Folders of a project that hold checks: of services, and in a browser."""
EXPECTING_ROOMS = ("suites", "scenarios", *OWN_ROOMS)
"""Rooms whose plain `assert` is an expectation; one that fails elsewhere is a fault of the harness."""
REFERENCE_PACKAGE = "stack.platform.assay"
"""The reference platform's project as a package: its rooms are rooms of checks like any project's."""


def classify(error: BaseException) -> tuple[Verdict, str | None]:
    """The verdict that an exception stands for, and the service it names, if any.

    Only a failed expectation is `missed`: Missed, or an AssertionError raised by a line in a room
    of checks. Everything else, a time-out included, is `broken`.
    """
    if isinstance(error, Missed):
        return Verdict.MISSED, error.service
    if isinstance(error, BrokenError):
        return Verdict.BROKEN, error.service
    if isinstance(error, AssertionError) and _raised_in_expecting_room(error):
        return Verdict.MISSED, None
    return Verdict.BROKEN, None


def _raised_in_expecting_room(error: BaseException) -> bool:
    """By the name of the module whose line raised it; where the checkout lies says nothing."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and in_expecting_room(str(frames[-1].f_globals.get("__name__", "")))


def in_expecting_room(module: str) -> bool:
    """Whether a module, by its name, is one of checks."""
    return module.removeprefix(f"{REFERENCE_PACKAGE}.").partition(".")[0] in EXPECTING_ROOMS
