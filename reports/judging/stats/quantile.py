"""Is a quantile inside its limit? By order statistics, with the effective number of samples."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf, log

from core.outcome import Verdict
from reports.judging.stats import binomial
from reports.judging.stats.batches import Batched


@dataclass(frozen=True)
class QuantileVerdict:
    """What the samples say of one quantile against its limit. Values in the samples' unit."""

    verdict: Verdict
    value: float
    low: float
    high: float
    samples: int
    effective: int
    over: int
    needed: int | None
    """Samples like these that would decide; 0 when decided, None when no number would."""
    reach: float = 0.0
    """Of a `met` with times: the longest stalls (seconds, on average) whose absence the window shows. Longer
    ones that come less than some four times in so long a window may not have been seen."""
    seconds: float = 0.0
    """How long the samples went on; 0 without a clock."""


@dataclass(frozen=True)
class _Shares:
    """Of the values at or above a limit: the largest and the smallest share that the samples allow, and what
    a value is worth in the bound that rests on what was not seen."""

    over: int
    most: float
    least: float
    cost: float
    reach: float

    def verdict(self, allowed: float) -> Verdict:
        if self.most < allowed:
            return Verdict.MET
        return Verdict.MISSED if self.least > allowed else Verdict.UNKNOWN


def _shares(
    data: Batched, limit: float, allowed: float, risk: float, groups: int = 1, *, clock: bool = True
) -> _Shares:
    """`clock`: whether a second is worth one value at most (see `Batched.floor`)."""
    over = int(data.over(limit).sum())
    effect = data.effect(limit, risk)
    cost = max(effect, data.floor) if clock else effect
    left = allowed - binomial.upper(over / effect, data.n / effect, risk)
    return _Shares(
        over,
        binomial.upper(over / cost, data.n / cost, risk),
        binomial.lower(over / effect, data.n / effect, risk / groups),
        cost,
        max(0.0, left) * data.seconds / -log(risk / 2),
    )


def judge_quantile(
    data: Batched, p: float, limit: float, *, risk: float = binomial.RISK, groups: int = 1
) -> QuantileVerdict:
    """Judges "the `p` quantile lies below `limit`" from measurements.

    met: even the largest share of values at or above the limit that is compatible with the samples stays
    under 1 - p. missed: even the smallest does not. Else unknown. `groups` series judged together share
    the risk of a false miss (Bonferroni); a false `met` needs no correction, since all must be met.
    """
    allowed = 1.0 - p
    if data.n == 0:
        return QuantileVerdict(
            Verdict.UNKNOWN, float("nan"), -inf, inf, 0, 0, 0, binomial.clean_needed(allowed, risk)
        )
    found = _shares(data, limit, allowed, risk, groups)
    verdict = found.verdict(allowed)
    low, high = _interval(data, p, risk, groups)
    if verdict is Verdict.MET:
        high = min(high, limit)
    elif verdict is Verdict.MISSED:
        low = max(low, limit)
    else:
        low, high = min(low, limit), max(high, limit)
    value = data.quantile(p)
    return QuantileVerdict(
        verdict,
        value,
        min(low, value),
        max(high, value),
        data.n,
        max(1, int(data.n / found.cost)),
        found.over,
        _needed(verdict, data, found, allowed, risk),
        found.reach if verdict is Verdict.MET else 0.0,
        data.seconds,
    )


def decide(data: Batched, p: float, limit: float, *, risk: float = binomial.RISK, groups: int = 1) -> Verdict:
    """The verdict alone, without the interval: what `judge_quantile` decides, at a hundredth of its cost."""
    return _shares(data, limit, 1.0 - p, risk, groups).verdict(1.0 - p)


def reach(data: Batched, p: float, limit: float, *, risk: float = binomial.RISK) -> float:
    """Of a `met`: the longest stalls, in seconds on average, whose absence so long a window shows.

    Stalls so long must come so often, if they are to break the limit, that a window without one is rarer than
    half the stated risk (the other half is for windows with a few short ones).
    """
    return _shares(data, limit, 1.0 - p, risk).reach


def judge_share(data: Batched, limit: float, *, risk: float = binomial.RISK) -> QuantileVerdict:
    """Judges "at least `limit` percent are right" from 0 (right) and 1 (wrong); numbers in percent.

    Of the probes that were sent: a clean second may count for several, and the reach tells what that means.
    """
    allowed = 1.0 - limit / 100.0
    if not data.n:
        return QuantileVerdict(
            Verdict.UNKNOWN, float("nan"), 0.0, 100.0, 0, 0, 0, binomial.clean_needed(allowed, risk)
        )
    found = _shares(data, 0.5, allowed, risk, clock=False)
    verdict = found.verdict(allowed)
    return QuantileVerdict(
        verdict,
        100.0 * (1 - found.over / data.n),
        100.0 * (1 - found.most),
        100.0 * (1 - found.least),
        data.n,
        max(1, int(data.n / found.cost)),
        found.over,
        _needed(verdict, data, found, allowed, risk),
        found.reach if verdict is Verdict.MET else 0.0,
        data.seconds,
    )


def _needed(verdict: Verdict, data: Batched, found: _Shares, allowed: float, risk: float) -> int | None:
    if verdict is not Verdict.UNKNOWN:
        return 0
    independent = binomial.needed(found.over / data.n, allowed, risk)
    return None if independent is None else ceil(independent * found.cost)


def _interval(data: Batched, p: float, risk: float, groups: int) -> tuple[float, float]:
    """The limits between which the verdict would be `unknown`, found among the observed values."""
    allowed, ordered = 1.0 - p, data.ordered
    at = max(0, ceil(p * data.n) - 1)

    def tried(i: int) -> _Shares:
        return _shares(data, float(ordered[i]), allowed, risk, groups)

    low, high = at, data.n  # high: the first value that would be met, data.n when none is
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if tried(middle).most < allowed else (middle, high)
    up = float(ordered[high]) if high < data.n else inf
    if up == inf and binomial.upper(0, data.n / data.floor, risk) < allowed:
        up = float(ordered[-1])  # nothing lies beyond the largest value, and so many prove that bound
    low, high = -1, at  # low: the last value that would be missed, -1 when none is
    while high - low > 1:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if tried(middle).least > allowed else (low, middle)
    down = float(ordered[low]) if low >= 0 else 0.0
    return down, up
