"""Is a quantile inside its limit? By order statistics, with the effective number of samples."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf

from core.outcome import Verdict
from reports.stats import binomial
from reports.stats.batches import Batched

_FEW = 12


@dataclass(frozen=True)
class Answer:
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


def judge_quantile(
    data: Batched, p: float, limit: float, *, risk: float = binomial.RISK, groups: int = 1
) -> Answer:
    """Judges "the `p` quantile lies below `limit`" from measurements.

    met: even the largest share of values at or above the limit that is compatible with the samples stays
    under 1 - p. missed: even the smallest does not. Else unknown. `groups` series judged together share
    the risk of a false miss (Bonferroni); a false `met` needs no correction, since all must be met.
    """
    allowed = 1.0 - p
    if data.n == 0:
        return Answer(Verdict.UNKNOWN, float("nan"), -inf, inf, 0, 0, 0, binomial.clean_needed(allowed, risk))
    over = int(data.over(limit).sum())
    effect = _effect(data, p, limit, over)
    verdict = decide(data, p, limit, risk=risk, groups=groups)
    low, high = _interval(data, p, risk, groups)
    if verdict is Verdict.MET:
        high = min(high, limit)
    elif verdict is Verdict.MISSED:
        low = max(low, limit)
    else:
        low, high = min(low, limit), max(high, limit)
    more: int | None = 0
    if verdict is Verdict.UNKNOWN:
        independent = binomial.needed(over / data.n, allowed, risk)
        more = None if independent is None else ceil(independent * effect)
    value = data.quantile(p)
    return Answer(
        verdict, value, min(low, value), max(high, value), data.n, max(1, int(data.n / effect)), over, more
    )


def decide(data: Batched, p: float, limit: float, *, risk: float = binomial.RISK, groups: int = 1) -> Verdict:
    """The verdict alone, without the interval: what `judge_quantile` decides, at a hundredth of its cost."""
    over = int(data.over(limit).sum())
    most, least = _bounds(data.n, over, _effect(data, p, limit, over), risk, groups)
    if most < 1.0 - p:
        return Verdict.MET
    return Verdict.MISSED if least > 1.0 - p else Verdict.UNKNOWN


def judge_share(data: Batched, limit: float, *, risk: float = binomial.RISK) -> Answer:
    """Judges "at least `limit` percent are right" from 0 (right) and 1 (wrong); numbers in percent."""
    allowed = 1.0 - limit / 100.0
    wrong = int(data.over(0.5).sum()) if data.n else 0
    if not data.n:
        return Answer(
            Verdict.UNKNOWN, float("nan"), 0.0, 100.0, 0, 0, 0, binomial.clean_needed(allowed, risk)
        )
    effect = data.effect(0.5)
    most, least = _bounds(data.n, wrong, effect, risk, 1)
    verdict = Verdict.MET if most < allowed else Verdict.MISSED if least > allowed else Verdict.UNKNOWN
    more: int | None = 0
    if verdict is Verdict.UNKNOWN:
        independent = binomial.needed(wrong / data.n, allowed, risk)
        more = None if independent is None else ceil(independent * effect)
    return Answer(
        verdict,
        100.0 * (1 - wrong / data.n),
        100.0 * (1 - most),
        100.0 * (1 - least),
        data.n,
        max(1, int(data.n / effect)),
        wrong,
        more,
    )


def _effect(data: Batched, p: float, limit: float, over: int) -> float:
    """Design effect at the limit; with few values over it, at least that of the quantile itself."""
    effect = data.effect(limit)
    return max(effect, data.effect(data.quantile(p))) if over < _FEW else effect


def _bounds(n: int, over: int, effect: float, risk: float, groups: int) -> tuple[float, float]:
    k, m = over / effect, n / effect
    return binomial.upper(k, m, risk), binomial.lower(k, m, risk / groups)


def _interval(data: Batched, p: float, risk: float, groups: int) -> tuple[float, float]:
    """The limits between which the verdict would be `unknown`, found among the observed values."""
    allowed, ordered = 1.0 - p, data.ordered
    at = max(0, ceil(p * data.n) - 1)

    def tried(i: int) -> tuple[float, float]:
        limit = float(ordered[i])
        over = int(data.over(limit).sum())
        return _bounds(data.n, over, _effect(data, p, limit, over), risk, groups)

    low, high = at, data.n  # high: the first value that would be met, data.n when none is
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if tried(middle)[0] < allowed else (middle, high)
    up = float(ordered[high]) if high < data.n else inf
    if up == inf:
        # beyond the largest value there is nothing over: the bound is the largest itself, if that would be met
        effect = max(1.0, data.effect(data.quantile(p)))
        clean = binomial.upper(0, data.n / effect, risk) < allowed
        up = float(ordered[-1]) if clean else inf
    low, high = -1, at  # low: the last value that would be missed, -1 when none is
    while high - low > 1:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if tried(middle)[1] > allowed else (low, middle)
    down = float(ordered[low]) if low >= 0 else 0.0
    return down, up
