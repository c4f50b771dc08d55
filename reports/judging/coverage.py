"""How much of a platform a run spoke of: the capabilities that the target has, and those that a check really tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.outcome import DID_NOT_RUN, NOT_APPLICABLE, NOT_COVERED
from reports.judging.model import Cause, CheckResult, Coverage


def judge_coverage(capabilities: Mapping[str, str], checks: Sequence[CheckResult]) -> Coverage:
    """Covered is a capability that the target has and that a check which ran needs."""
    tried = {need for check in checks if check.state not in DID_NOT_RUN for need in check.needs}
    has = sorted(name for name, declared in capabilities.items() if declared == "required")
    return Coverage(
        covered=[name for name in has if name in tried],
        untried=[name for name in has if name not in tried],
        absent=sorted(capabilities.keys() - set(has)),
    )


def vanished(coverage: Coverage, checks: Sequence[CheckResult], before: Mapping[str, str]) -> list[str]:
    """What the target no longer has: needs of checks that ran in the run before and are not applicable now.

    `before` holds the states of that run's checks.
    """
    gone = [
        c for c in checks if c.state == NOT_APPLICABLE and before.get(c.id, NOT_COVERED) not in DID_NOT_RUN
    ]
    return sorted({need for check in gone for need in check.needs} - {*coverage.covered, *coverage.untried})


def uncovered(coverage: Coverage, must_cover: Sequence[str]) -> list[Cause]:
    """Why the gate stays closed for capabilities that the plan must cover."""
    found = []
    for name in must_cover:
        if name not in coverage.covered:
            why = "no check of it ran" if name in coverage.untried else "the target does not have it"
            found.append(Cause(NOT_COVERED, name, f"the plan must cover {name}, and {why}", "capability"))
    return found
