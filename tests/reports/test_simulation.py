"""The rules keep their stated risks, by simulation over thousands of made runs."""

from __future__ import annotations

from scipy.stats import binom

from reports import simulate
from reports.stats.binomial import RISK

RUNS = 250


def at_most(share: float, runs: int) -> bool:
    """False only when so many would be seen once in a thousand tries at the stated risk."""
    return bool(binom.sf(round(share * runs) - 1, runs, RISK) > 0.001)


def test_false_verdicts_stay_under_the_stated_risk() -> None:
    rows = simulate.intervals(RUNS, 1, [p for p in simulate.PROCESSES if p.within])
    assert len(rows) * RUNS >= 2000
    for process, false_met, false_missed, _, _ in rows:
        assert at_most(false_met, RUNS), (process.name, false_met)
        assert at_most(false_missed, RUNS), (process.name, false_missed)


def test_clear_cases_are_decided() -> None:
    process = next(p for p in simulate.PROCESSES if p.name == "independent, 4,000")
    ((_, _, _, unknown_inside, unknown_outside),) = simulate.intervals(100, 5, [process])
    assert unknown_inside < 0.1
    assert unknown_outside < 0.1


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
