"""Running random histories against a real service: Hypothesis draws them, the first failure is what is reported."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import Flaky, HypothesisException
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

P = ParamSpec("P")
R = TypeVar("R")


class FirstError:
    """The first error of all histories. A rule or invariant under `noted` leaves its error here."""

    error: BaseException | None = None


def noted(step: Callable[P, R]) -> Callable[P, R]:
    """Keeps the first error of a step in `self.world.first_error`.

    Hypothesis replays a failing history once, and reports a world that has moved on meanwhile as flaky;
    what happened the first time is what a person needs to read.
    """

    @functools.wraps(step)
    def step_with_note(*arguments: P.args, **named: P.kwargs) -> R:
        try:
            return step(*arguments, **named)
        except Exception as error:
            world: Any = arguments[0].world  # type: ignore[attr-defined]
            if world.first_error.error is None:
                world.first_error.error = error
            raise

    return step_with_note


def run_histories(
    machine: type[RuleBasedStateMachine], first_error: FirstError, *, examples: int, steps: int
) -> None:
    """Runs that many histories of at most that many steps; raises the first failure as it was."""
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                database=None,
                phases=[Phase.generate],  # shrinking over a network would take longer than it helps
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            ),
        )
    except (Flaky, HypothesisException) as error:
        if first_error.error is None:
            raise
        raise first_error.error from error
