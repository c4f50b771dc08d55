"""Whether a plan's time can yield the evidence that its objectives need, asked before any traffic."""

from __future__ import annotations

import math

from core.objective import Objective
from core.plan import Plan
from reports.judging.stats.batches import MOMENT
from reports.judging.stats.binomial import RISK


def least_samples(objective: Objective) -> int:
    """So many samples at least, all of them good, decide a percentile or a share; a level is no estimate."""
    if objective.percentile is not None:
        return math.ceil(math.log(RISK) / math.log(objective.percentile / 100))
    if objective.unit == "%" and 0 < objective.limit < 100:
        return math.ceil(math.log(RISK) / math.log(objective.limit / 100))
    return 1


def refuse_undecidable(plan: Plan) -> None:
    """Raises ConfigError for a plan that asks for too few samples, or whose loads are too short, to decide anything."""
    profiles = {p.name: p for p in plan.profiles}
    for number, planned in enumerate(plan.objectives):
        if planned.source == "checks":
            continue
        least = least_samples(planned.objective)
        if planned.objective.samples < least:
            raise plan.wrong(
                ("objectives", number),
                f"objective '{planned.id}' is to be decided by {planned.objective.samples} samples, but "
                f"even without one bad sample fewer than {least} say nothing; ask for more.",
            )
        profile = profiles[planned.source]
        steady = profile.duration - profile.warm_up
        if planned.objective.percentile is not None and steady < least * MOMENT:
            raise plan.wrong(
                ("objectives", number),
                f"objective '{planned.id}' is a p{planned.objective.percentile:g}, for which a load "
                f"must be steady for {math.ceil(least * MOMENT)} s, and profile '{profile.name}' is for {steady:g} s; "
                "run it longer.",
            )
