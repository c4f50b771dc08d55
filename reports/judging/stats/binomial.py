"""Exact bounds on a proportion, and how many trials would decide it."""

from __future__ import annotations

import math

RISK = 0.05
"""The stated risk of each bound: a `met` is false, and a `missed` is false, in at most this share of runs."""

_MOST = 10**12


def upper(k: float, n: float, risk: float = RISK) -> float:
    """Largest proportion still compatible with `k` of `n`, at one-sided confidence 1 - risk.

    `k` and `n` may be fractional: they are effective counts when trials depend on each other.
    """
    if n <= 0 or k >= n:
        return 1.0
    from scipy.special import betaincinv  # slow to import, and checks alone need none

    return float(betaincinv(k + 1.0, n - k, 1.0 - risk))


def lower(k: float, n: float, risk: float = RISK) -> float:
    """Smallest proportion still compatible with `k` of `n`, at one-sided confidence 1 - risk."""
    if n <= 0 or k <= 0:
        return 0.0
    from scipy.special import betaincinv

    return float(betaincinv(k, n - k + 1.0, risk))


def clean_needed(allowed: float, risk: float = RISK) -> int:
    """Trials without one exceedance that prove a proportion below `allowed` (0.001 -> 2,995 at 95 %)."""
    if not 0 < allowed < 1:
        raise ValueError("allowed must lie between 0 and 1")
    return math.ceil(math.log(risk) / math.log1p(-allowed))


def needed(share: float, allowed: float, risk: float = RISK) -> int | None:
    """Independent trials that would decide, if the share of exceedances stays what it was.

    None where no number would: the share lies so near the allowance that more than 10^12 were needed.
    """
    if share <= 0:
        return clean_needed(allowed, risk)

    def decides(n: int) -> bool:
        k = share * n
        return upper(k, n, risk) < allowed if share < allowed else lower(k, n, risk) > allowed

    high = 1
    while not decides(high):
        high *= 2
        if high > _MOST:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return high
