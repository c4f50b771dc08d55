"""What is known of a result that does not hold: its waivers and mutes, those that have ended too."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from core.outcome import NOT_APPLICABLE
from reports.judging.model import CheckResult, KnownProblem, ObjectiveResult, RunVerdict, Waiver
from reports.judging.mutes import Mute
from reports.judging.verdict_table import NOT_IN_PLAN


def mark_known(
    verdict: RunVerdict, waivers: Sequence[Waiver], mutes: Sequence[Mute], today: dt.date | None = None
) -> None:
    """Puts every waiver and mute beside the check or objective that it speaks of, unless that holds."""
    day = today or dt.date.today()
    results: list[CheckResult | ObjectiveResult] = [*verdict.checks, *verdict.objectives]
    for result in results:
        if result.state in ("met", NOT_APPLICABLE, NOT_IN_PLAN):
            continue
        result.known = [
            KnownProblem("waiver", w.reason, w.owner, w.ticket, w.expiry, w.expired)
            for w in waivers
            if w.check == result.id
        ]
        result.known += [
            KnownProblem("mute", m.reason, m.owner, m.ticket, m.until.isoformat(), m.until < day)
            for m in mutes
            if m.names(result.id)
        ]
