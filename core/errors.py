"""The errors that Assay raises, as one tree.

AssayError
├── ConfigError      the user's input cannot be used           -> exit 2
├── BrokenError      the harness or its surroundings failed     -> verdict `broken`, exit 3
│   ├── ServiceError   a named service did not answer as its protocol demands
│   ├── NotDescribed   the project does not describe what was asked of its adapter
│   ├── PermitError    something was about to be done that the target does not allow
│   ├── BudgetError    something was about to be done that would pass a cap of the run's budget
│   └── JournalError   evidence could not be written
└── Missed           an expectation was tried and does not hold -> verdict `missed`
"""

from __future__ import annotations

from typing import Any


class AssayError(Exception):
    """Root of everything that Assay raises itself."""


class ConfigError(AssayError):
    """The user's input cannot be used: one sentence on what happened, why, and what to do."""


class BrokenError(AssayError):
    """The harness or its surroundings failed; says nothing about the platform."""

    service: str | None = None


class NotDescribed(BrokenError):
    """Something was asked of the adapter that the project does not describe; the check's `needs` should name it."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"the project's target.toml describes no '{path}', and the check did not say that it needs it"
        )


class ServiceError(BrokenError):
    """A service did not answer as its protocol demands (no answer, cut, HTML for JSON, 502, too large).

    `service` is the service's identifier, e.g. `supabase.auth`.
    """

    def __init__(self, service: str, what: str) -> None:
        super().__init__(f"{service}: {what}")
        self.service = service
        self.what = what


class PermitError(BrokenError):
    """An action or a host that the target's permit does not allow."""


class BudgetError(BrokenError):
    """What would pass a cap of `[budget]` was not sent. The check that asked for it is not covered."""


class JournalError(BrokenError):
    """Evidence could not be written or read; what was written before stays."""


class Missed(AssayError, AssertionError):
    """An expectation was tried and does not hold. `expected` and `saw` are for people, redacted on write."""

    def __init__(
        self, claim: str, *, expected: Any = None, saw: Any = None, service: str | None = None
    ) -> None:
        lines = [claim]
        if expected is not None:
            lines.append(f"  expected: {expected}")
        if saw is not None:
            lines.append(f"  witness saw: {saw}")
        super().__init__("\n".join(lines))
        self.claim = claim
        self.expected = expected
        self.saw = saw
        self.service = service
