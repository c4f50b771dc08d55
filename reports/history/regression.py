"""Is this run slower than its history? By run-level values: noise between runs dominates noise within one.

Pooling the requests of all runs gives 13 to 34 % false alarms (`python -m bench.simulate regression`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from reports.judging.model import Regression

BASE = 30
"""Runs that are compared with; fewer are `learning`."""
RECENT = 3
LEAST = 0.05
"""Changes smaller than this share are noise by decree."""
JUMP_RISK = 0.01
SHIFT_RISK = 0.005


def jumped(past: Sequence[float], current: float, risk: float = JUMP_RISK) -> bool:
    """True when one value lies above the prediction interval of the runs before it (log-t, one-sided)."""
    logs = np.log(past)
    spread = float(logs.std(ddof=1)) * math.sqrt(1 + 1 / len(logs))
    mean = float(logs.mean())
    if math.log(current) <= mean + math.log1p(LEAST):
        return False
    from scipy.special import stdtr  # slow to import, and few runs have a history

    return spread == 0 or bool(stdtr(len(logs) - 1, (mean - math.log(current)) / spread) < risk)


def shifted(past: Sequence[float], recent: Sequence[float], risk: float = SHIFT_RISK) -> bool:
    """True when the recent runs lie above the ones before them (Mann-Whitney, one-sided), by 5 % or more."""
    if float(np.median(recent)) <= float(np.median(past)) * (1 + LEAST):
        return False
    from scipy.stats import mannwhitneyu  # a second to import, and few runs have a history that long

    return bool(mannwhitneyu(recent, past, alternative="greater").pvalue < risk)


def change_point(values: Sequence[float]) -> int:
    """Index of the first value after the most likely single change of level (least squares on logs)."""
    logs = np.log(values)
    best, at = math.inf, len(logs) - 1
    for i in range(1, len(logs)):
        cost = float(((logs[:i] - logs[:i].mean()) ** 2).sum() + ((logs[i:] - logs[i:].mean()) ** 2).sum())
        if cost < best:
            best, at = cost, i
    return at


def compare(past: Sequence[float], current: float, *, worse_is_higher: bool = True) -> Regression:
    """This run's value against those before it, oldest first. Only positive values can be compared."""
    values = [v for v in past if v > 0]
    if current <= 0:
        return Regression("learning", "a value of zero is not compared", len(values))
    if len(values) < BASE:
        return Regression("learning", f"learning {len(values)}/{BASE}", len(values))
    sign = 1 if worse_is_higher else -1
    series = [v**sign for v in [*values, current]]
    base, recent = series[-BASE - RECENT : -RECENT], series[-RECENT:]
    change = current / float(np.median(values[-BASE:])) - 1
    runs = len(values)
    if len(base) == BASE and shifted(base, recent):
        text = f"{RECENT} runs in a row {change:+.0%} against the {BASE} before"
        return Regression("shift", text, runs, change)
    if jumped(series[-BASE - 1 : -1], series[-1]):
        return Regression(
            "jump", f"{change:+.0%} against the last {BASE} runs, beyond their noise", runs, change
        )
    better = [1 / v for v in series]
    if len(base) == BASE and shifted(better[-BASE - RECENT : -RECENT], better[-RECENT:]):
        return Regression(
            "better", f"{change:+.0%}: {RECENT} runs in a row better than the {BASE} before", runs, change
        )
    return Regression("steady", f"{change:+.0%}, within the noise of {BASE} runs", runs, change)
