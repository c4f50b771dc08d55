"""The rules keep their stated risks, by simulation over thousands of made runs."""

from __future__ import annotations

from scipy.stats import binom

from bench import simulate
from reports.judging.stats.binomial import RISK

RUNS = 90


def at_most(share: float, runs: int) -> bool:
    """False only when so many would be seen once in a thousand tries at the stated risk."""
    return bool(binom.sf(round(share * runs) - 1, runs, RISK) > 0.001)


def test_false_verdicts_stay_under_the_stated_risk() -> None:
    rows = simulate.intervals(RUNS, 1)
    assert len(rows) * RUNS >= 2000
    for row in rows:
        assert at_most(row.false_met, RUNS), row
        assert at_most(row.false_missed, RUNS), row


def test_what_no_window_can_see_is_told_as_the_reach() -> None:
    """Of false met verdicts by stalls too rare for the window, nearly all told a shorter reach."""
    for row in simulate.intervals(RUNS, 3, simulate.BEYOND):
        assert row.false_met - row.beyond <= RISK, row


def test_clear_cases_are_decided() -> None:
    process = next(p for p in simulate.PROCESSES if p.name == "p95, independent, 4,000")
    (row,) = simulate.intervals(100, 5, [process], inside=(1.001, 1.15))
    assert row.unknown_inside < 0.1
    assert row.unknown_outside < 0.1


def test_healthy_runs_of_a_plan_s_length_are_met() -> None:
    for name, shares in simulate.power(40):
        clean, few, *_ = shares
        assert clean == 1.0, name
        assert few >= 0.6, name


def test_our_regression_rule_beats_the_usual_ones() -> None:
    table = simulate.regression(60)
    ours, pooled = table["ours, three nights (blocks)"], table["pooled Mann-Whitney on requests, 1 %"]
    last = table["last run + 10 %"]
    for noise in ("sd 3 %", "sd 5 %", "5 % + bad nights"):
        assert ours[noise][1] <= 0.15
        assert ours[noise][1] < pooled[noise][1]
        assert ours[noise][1] < last[noise][1]
    assert ours["sd 3 %"][3] > 0.9
    assert ours["sd 5 %"][3] > 0.9
