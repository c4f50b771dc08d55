"""The one table that maps what is said of a check or objective to words, colours and other tools' terms.

Every writer reads this table, so that totals agree: terminal, HTML, Allure, JUnit, GitHub, exit codes.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.outcome import GRAVITY, NOT_APPLICABLE, NOT_COVERED, Verdict

OPEN, CLOSED, USAGE, BROKEN = 0, 1, 2, 3
"""Exit codes: gate open, gate closed, usage or configuration, broken."""

NOT_IN_PLAN = "not_in_plan"


@dataclass(frozen=True)
class State:
    """One row. `junit` is the element of a result that counts against the gate; others are `skipped`."""

    id: str
    word: str
    glyph: str
    meaning: str
    allure: str
    junit: str
    github: str
    exit: int
    style: str

    @property
    def rank(self) -> int:
        """How grave it is; what a plan does not decide is as good as met."""
        return GRAVITY.index(self.id) if self.id in GRAVITY else 0


_ROWS = (
    State("met", "met", "✓", "holds, with the evidence asked for", "passed", "", "notice", OPEN, "green"),
    State(
        "missed", "missed", "✗", "was tried and does not hold", "failed", "failure", "error", CLOSED, "red"
    ),
    State(
        "broken",
        "broken",
        "!",
        "the harness or its surroundings failed; says nothing about the platform",
        "broken",
        "error",
        "error",
        BROKEN,
        "magenta",
    ),
    State(
        "unknown", "unknown", "?", "not enough evidence to decide", "unknown", "error", "error", CLOSED, "yellow"
    ),
    State(
        NOT_COVERED, "not covered", "○", "did not run", "skipped", "error", "warning", CLOSED, "bright_black"
    ),
    State(
        NOT_APPLICABLE, "not applicable", "·", "the target has no such thing", "skipped", "", "notice", OPEN, "dim"
    ),
    State(NOT_IN_PLAN, "not in this plan", "-", "this plan does not decide it", "skipped", "", "notice", OPEN, "dim"),
)  # fmt: skip

STATES: dict[str, State] = {row.id: row for row in _ROWS}


def state(of: str | Verdict) -> State:
    """The row of a verdict or coverage state."""
    return STATES[str(of)]


def worst(states: list[str]) -> str:
    """The gravest of several states: broken, missed, unknown, not covered, then met; met when empty."""
    return max(states, key=lambda s: STATES[s].rank, default="met")
