"""One level of a search for the knee: do all objectives that the load measures hold at this number of users?

What is decided here only steers the search; the report judges each level anew from its samples, with confidence.
"""

from __future__ import annotations

from typing import Any

from core.load_events import LoadLevel
from core.objective import Objective
from core.outcome import SampleOutcome
from loadengine.locust.live_line import objectives
from loadengine.measure.delta import Delta

CLIMB = 2.0
"""Seconds in which the users of a level come: all at once, with a new connection each, they would be an overload of
their own, which is what `spike` is for."""
SETTLE = CLIMB + 2.0
"""Seconds after a change of level that do not count."""
FEWEST = 20
"""Answers of an objective below which a level says nothing."""
_GROSS, _GROSS_WINDOW = 3.0, 2.0
"""A percentile so many times over its limit for so many seconds ends a level at once."""


class Level:
    """Begins when it is made; `judge` is asked each second."""

    def __init__(self, controller: Any, profile: str, users: int, seconds: float, now: int) -> None:
        self.profile, self.users = profile, users
        self._controller = controller
        self._from = now + int(SETTLE * 1e9)
        self._to = now + int(max(seconds, SETTLE + 3) * 1e9)

    def judge(self, now: int) -> LoadLevel | None:
        """The level's event once it is decided, None while it lasts."""
        if now < self._to:
            if now - self._from < _GROSS_WINDOW * 1e9:
                return None
            why = self._why(now, _GROSS_WINDOW, _GROSS)
            return self._result(now, why) if why else None
        return self._result(now, self._unfit() or self._why(now, (now - self._from) / 1e9, 1.0))

    def _result(self, now: int, why: str) -> LoadLevel:
        recent = self._controller.view.recent(now, max((now - self._from) / 1e9, 1.0))
        pace = recent.count / recent.seconds
        return LoadLevel(self.profile, self.users, self._from, now, not why, why, pace)

    def _unfit(self) -> str:
        bad = [health.reason for health in self._controller.health.values() if not health.ok]
        return f"the generator is not fit: {bad[0]}" if bad else ""

    def _why(self, now: int, seconds: float, times: float) -> str:
        """Why an objective does not hold in the last seconds, or nothing."""
        measured = False
        for objective in objectives():
            if objective.percentile is None:
                continue
            for delta in list(self._controller.view.series.values()):
                if _counts(objective, delta):
                    recent = self._controller.view.recent(now, seconds, delta.key)
                    measured = measured or recent.count >= FEWEST
                    if why := _broken(objective, delta, recent, times):
                        return why
        return "" if measured or times > 1 else f"fewer than {FEWEST} answers that an objective is judged on"


def _counts(objective: Objective, delta: Delta) -> bool:
    return delta.metric == objective.metric and dict(objective.labels).items() <= delta.labels.items()


def _broken(objective: Objective, delta: Delta, recent: Any, times: float) -> str:
    if recent.count < FEWEST or objective.percentile is None:
        return ""
    value = recent.response.percentile(objective.percentile) / (1000.0 if objective.unit == "s" else 1.0)
    if value >= objective.limit * times:
        return f"{delta.name} p{objective.percentile:g} is {value:.0f} {objective.unit}"
    share = (recent.failed + recent.refused) / recent.count * 100
    if objective.errors is not None and share > objective.errors * times:
        return f"{share:.1f} % of {delta.name} {SampleOutcome.ERROR.name.lower()} or refused"
    return ""
