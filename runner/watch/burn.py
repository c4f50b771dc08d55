"""How fast a service spends its error budget, and which alerts that opens or ends. Pure: outcomes in, decisions out.

Source: Google, The Site Reliability Workbook, chapter 5, "Multiwindow, Multi-Burn-Rate Alerts": an alert fires while
both a long and a short window burn the budget faster than a rate; the short one ends it soon after the trouble does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """One probe: when it began (seconds), and whether the service answered as it must."""

    at: float
    well: bool


@dataclass(frozen=True)
class Window:
    """A pair of windows in seconds, and the multiple of the allowed error rate that both must exceed."""

    long: float
    short: float
    rate: float


WINDOWS = (Window(3600, 300, 14.4), Window(6 * 3600, 1800, 6.0), Window(3 * 86400, 6 * 3600, 1.0))
"""The workbook's table 5-8 for an objective over 30 days: 2 %, 5 % and 10 % of the budget."""
MONTH = 30 * 86400.0


@dataclass(frozen=True)
class Availability:
    """Probes of one service in a span, and how many of them went well."""

    probes: int
    well: int

    @property
    def share(self) -> float | None:
        """Between 0 and 1; None where nothing was asked."""
        return self.well / self.probes if self.probes else None

    def burn(self, objective: float) -> float:
        """The error rate as a multiple of what the objective (a share, such as 0.999) allows; 0 without probes."""
        share = self.share
        return 0.0 if share is None else (1 - share) / (1 - objective)


def availability(outcomes: Sequence[Outcome], since: float) -> Availability:
    """Of the probes at or after `since`."""
    within = [one for one in outcomes if one.at >= since]
    return Availability(len(within), sum(one.well for one in within))


def burning(
    outcomes: Sequence[Outcome], now: float, objective: float, windows: Sequence[Window] = WINDOWS
) -> Window | None:
    """The first pair of windows that both burn faster than their rate; None where none does.

    A single failure opens nothing: two of the short window's probes must have failed, so that one lost packet at the
    start of a watch, whose windows hold few probes, is no incident.
    """
    for window in windows:
        short = availability(outcomes, now - window.short)
        if short.probes - short.well < 2:
            continue
        long = availability(outcomes, now - window.long)
        if long.burn(objective) >= window.rate and short.burn(objective) >= window.rate:
            return window
    return None


def recovered(outcomes: Sequence[Outcome], opened: float, settled: int) -> bool:
    """Whether an open incident is over: the last `settled` probes, all after its opening, went well.

    A service that flaps stays in its one incident, since each failure begins the count anew.
    """
    last = [one for one in outcomes if one.at > opened][-settled:]
    return len(last) == settled and all(one.well for one in last)


def budget_left(outcomes: Sequence[Outcome], now: float, objective: float) -> float:
    """Share of a month's error budget that is left; below 0 when it is spent, 1 without probes.

    The budget is of the probes that were made: time in which nobody watched spends nothing.
    """
    return 1 - availability(outcomes, now - MONTH).burn(objective)
