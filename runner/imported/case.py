"""What a result file of another tool says, in the words that all formats share."""

from __future__ import annotations

from dataclasses import dataclass

from core.outcome import CheckOutcome

MET, MISSED, BROKEN = CheckOutcome.MET, CheckOutcome.MISSED, CheckOutcome.BROKEN
UNKNOWN, SKIPPED = CheckOutcome.UNKNOWN, CheckOutcome.NOT_COVERED


class NotReadable(Exception):
    """A file is not what its format says; the text is half a sentence for people."""


@dataclass(frozen=True)
class Case:
    """One case: its group (a class, a file, a suite) and name as the tool writes them, and what became of it.

    `seconds` it took; `decides` False where the tool itself lets its run pass although the case failed.
    """

    group: str
    name: str
    outcome: CheckOutcome
    message: str = ""
    seconds: float = 0.0
    decides: bool = True


@dataclass(frozen=True)
class Report:
    """What one file holds. `at` is when the tool says that it ran (seconds since 1970), None where it does not say.

    `faults` are failures of the tool itself, outside of any case.
    """

    cases: tuple[Case, ...]
    at: float | None = None
    faults: tuple[str, ...] = ()
