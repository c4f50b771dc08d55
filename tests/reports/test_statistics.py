"""Bounds that hold, and what the simulations say of their risks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from core.outcome import Verdict
from reports.judging.stats import binomial
from reports.judging.stats.batches import Batched, design_effect
from reports.judging.stats.quantile import judge_quantile, judge_share


def test_binomial_bounds_cover_as_stated() -> None:
    for n, p in ((20, 0.1), (200, 0.05), (3000, 0.001)):
        outcomes = np.arange(n + 1)
        weight = binom.pmf(outcomes, n, p)
        kept = weight > 1e-9
        too_low = sum(
            w for k, w in zip(outcomes[kept], weight[kept], strict=True) if binomial.upper(k, n) < p
        )
        too_high = sum(
            w for k, w in zip(outcomes[kept], weight[kept], strict=True) if binomial.lower(k, n) > p
        )
        assert too_low <= 0.05
        assert too_high <= 0.05


def test_bounds_at_the_ends() -> None:
    assert binomial.lower(0, 50) == 0.0
    assert binomial.upper(50, 50) == 1.0
    assert binomial.upper(0, 0) == 1.0


def test_clean_samples_needed() -> None:
    assert binomial.clean_needed(0.001) == 2995
    assert binomial.clean_needed(0.05) == 59
    assert binomial.upper(0, 2995) < 0.001 < binomial.upper(0, 2994)


def test_needed_decides_and_one_fewer_does_not() -> None:
    n = binomial.needed(0.03, 0.05)
    assert n is not None
    assert binomial.upper(0.03 * n, n) < 0.05
    assert binomial.needed(0.05, 0.05) is None


def test_uptime_from_two_hundred_probes_is_unknown() -> None:
    answer = judge_share(Batched(np.zeros(200), np.arange(200)), 99.9)
    assert answer.verdict is Verdict.UNKNOWN
    assert answer.needed == 2995
    assert judge_share(Batched(np.zeros(2995), np.arange(2995)), 99.9).verdict is Verdict.MET


def test_uptime_clearly_missed() -> None:
    wrong = (np.arange(3000) % 20 == 0).astype(float)
    assert judge_share(Batched(wrong, np.arange(3000)), 99.9).verdict is Verdict.MISSED


def test_five_uploads_decide_a_median() -> None:
    fast = Batched(np.array([3.0, 4.0, 3.5, 5.0, 4.2]), np.arange(5))
    assert judge_quantile(fast, 0.5, 30.0).verdict is Verdict.MET
    assert judge_quantile(Batched(np.array([3.0] * 4), np.arange(4)), 0.5, 30.0).verdict is Verdict.UNKNOWN
    slow = Batched(np.array([33.0, 41.0, 35.0, 36.0, 50.0]), np.arange(5))
    assert judge_quantile(slow, 0.5, 30.0).verdict is Verdict.MISSED


def test_no_samples_are_unknown() -> None:
    answer = judge_quantile(Batched(np.zeros(0), np.zeros(0)), 0.95, 100.0)
    assert answer.verdict is Verdict.UNKNOWN
    assert answer.needed == 59


def test_interval_agrees_with_the_verdict() -> None:
    rng = np.random.default_rng(7)
    for n in (80, 400, 5000):
        data = Batched(rng.lognormal(3, 0.5, n), np.arange(n))
        for limit in (20.0, 40.0, 45.0, 46.0, 50.0, 90.0):
            answer = judge_quantile(data, 0.95, limit)
            assert answer.low <= answer.value <= answer.high
            if answer.verdict is Verdict.MET:
                assert answer.high <= limit
            elif answer.verdict is Verdict.MISSED:
                assert answer.low >= limit
            else:
                assert answer.low <= limit <= answer.high
                assert answer.needed is None or answer.needed > 0


def test_failed_operations_count_as_infinitely_slow() -> None:
    values = np.full(1000, 5.0)
    values[::10] = np.inf
    assert judge_quantile(Batched(values, np.arange(1000)), 0.95, 100.0).verdict is Verdict.MISSED


def test_independent_samples_are_worth_themselves() -> None:
    rng = np.random.default_rng(5)
    effects = []
    for _ in range(50):
        data = Batched(rng.lognormal(0, 0.5, 4000), np.arange(4000))
        effects.append(data.effect(data.quantile(0.95)))
    assert np.median(effects) < 2


def test_a_stall_makes_thousands_worth_few() -> None:
    values = np.full(6000, 5.0)
    values[1000:1290] = 900.0
    data = Batched(values, np.arange(6000))
    assert data.effect(100.0) > 100
    assert judge_quantile(data, 0.95, 100.0).verdict is Verdict.UNKNOWN


def test_design_effect_of_nothing_and_of_everything() -> None:
    counts = np.full(48, 10)
    assert design_effect(np.zeros(48, dtype=np.int64), counts) == 1.0
    assert design_effect(counts, counts) == 1.0


def test_order_of_arrival_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    values, times = rng.lognormal(3, 0.4, 3000), np.arange(3000)
    mixed = rng.permutation(3000)
    one = judge_quantile(Batched(values, times), 0.95, 45.0)
    two = judge_quantile(Batched(values[mixed], times[mixed]), 0.95, 45.0)
    assert one == two


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_impossible_allowance_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="between"):
        binomial.clean_needed(p)
