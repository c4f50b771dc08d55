"""What became of each check in earlier runs: as kept, and whether a check is flaky."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from core.outcome import DID_NOT_RUN
from reports.judging.model import RunVerdict

MANY_CHANGES = 3
"""Changes of outcome among the last runs that make a check flaky: broken once and mended is two."""


def outcomes(kept: bytes) -> dict[str, list[Any]]:
    """State and seconds of each check of a run, as the history keeps them."""
    found: dict[str, list[Any]] = json.loads(zlib.decompress(kept))
    return found


def tell_outcomes(verdict: RunVerdict, runs: Sequence[tuple[str, str, dict[str, list[Any]]]]) -> None:
    """Gives each check its outcomes in earlier runs (names, commits and checks, oldest first), and how steady it is."""
    for check in verdict.checks:
        known = [(run, commit, states[check.id]) for run, commit, states in runs if check.id in states]
        check.history = [
            {"run": run, "state": str(state), "seconds": float(seconds)}
            for run, _, (state, seconds, *_) in known
        ]
        tried = [(commit, str(states[0])) for _, commit, states in known] + [(verdict.subject, check.state)]
        tried = [(commit, state) for commit, state in tried if state not in DID_NOT_RUN]
        check.changes = changes([state for _, state in tried])
        check.flaky = check.changes >= MANY_CHANGES or differs_on_one_commit(tried) or retried(check.tries)


def changes(states: Sequence[str]) -> int:
    """How often a row of outcomes goes from met to something else, or back."""
    return sum((one == "met") != (two == "met") for one, two in pairwise(states))


def differs_on_one_commit(tried: Sequence[tuple[str, str]]) -> bool:
    """Whether one and the same commit was met and missed: then it is not the commit that decides."""
    by_commit: dict[str, set[bool]] = {}
    for commit, state in tried:
        if commit != "unknown" and state in ("met", "missed"):
            by_commit.setdefault(commit, set()).add(state == "met")
    return any(len(found) > 1 for found in by_commit.values())


def retried(tries: Sequence[dict[str, Any]]) -> bool:
    """Whether attempts of one run ended differently."""
    return len({t["state"] for t in tries}) > 1
