"""When a load stops itself: failing, slow and silent targets, busy and quiet loads."""

from collections import Counter

import numpy as np
import pytest

from core.outcome import Phase, SampleOutcome
from loadengine.locust.abort_rules import AbortRules
from loadengine.locust.live_stats import LiveStats
from loadengine.measure.delta import Delta
from loadengine.settings import LoadSettings

SECOND = 1_000_000_000
NOW = 1000 * SECOND


def add_samples(view, at, ok=0, wrong=0, ms=10.0):
    """Answers that a process told at `at`."""
    delta = Delta.empty("http", {"name": "/x"})
    delta.counts[Phase.STEADY, SampleOutcome.OK] = ok
    delta.counts[Phase.STEADY, SampleOutcome.WRONG] = wrong
    delta.causes = Counter({"another row": wrong} if wrong else {})
    delta.histograms["live"].record(np.full(ok + wrong, int(ms * 1e6)))
    view.add(at, [delta])


def reason(view, now=NOW, under_way=0, **settings):
    return AbortRules(LoadSettings(**settings)).reason_to_stop(view, now, under_way)


@pytest.mark.parametrize(
    ("ok", "wrong", "ms", "settings", "said"),
    [
        (100, 0, 10, {}, None),
        (51, 50, 10, {}, None),
        (50, 50, 10, {}, "50% of the last 100 answers failed"),
        (95, 5, 10, {"stop_errors": 0.05}, "5% of the last 100"),
        (50, 50, 10, {"stop_errors": 0.0}, None),
        (100, 0, 300, {"stop_p95_ms": 250.0}, "p95 of the last 100 answers is 300 ms (limit 250 ms)"),
        (100, 0, 300, {}, None),
        (100, 0, 61_000, {}, "(limit 60000 ms)"),
        (0, 19, 10, {}, None),
    ],
)
def test_answers_of_the_last_second_decide(ok, wrong, ms, settings, said):
    view = LiveStats()
    add_samples(view, NOW - SECOND // 2, ok, wrong, ms)
    found = reason(view, **settings)
    assert found is None if said is None else said in found


def test_what_failed_long_ago_does_not_count():
    view = LiveStats()
    add_samples(view, NOW - 3 * SECOND, wrong=1000)
    add_samples(view, NOW - SECOND // 2, ok=30)
    assert reason(view) is None


def test_a_slow_load_is_judged_over_a_longer_time():
    view = LiveStats()
    for second in range(12):
        add_samples(view, NOW - second * SECOND, wrong=2)
    assert "100% of the last 24 answers failed" in reason(view)


def test_a_target_that_hangs():
    view, watch = LiveStats(), AbortRules(LoadSettings(stop_silence=2.0))
    add_samples(view, NOW, ok=100)
    assert watch.reason_to_stop(view, NOW, 50) is None
    assert watch.reason_to_stop(view, NOW + SECOND, 300) is None
    assert "nothing was answered for 2.0 s while 500 operations wait" in watch.reason_to_stop(
        view, NOW + 2 * SECOND, 500
    )


def test_silence_of_a_load_that_asks_little_says_nothing():
    view, watch = LiveStats(), AbortRules(LoadSettings(stop_silence=2.0))
    add_samples(view, NOW, ok=100)
    for second in range(20):
        assert watch.reason_to_stop(view, NOW + second * SECOND, 5) is None


def test_an_answer_ends_the_silence():
    view, watch = LiveStats(), AbortRules(LoadSettings(stop_silence=2.0))
    for second in range(20):
        add_samples(view, NOW + second * SECOND, ok=1)
        assert watch.reason_to_stop(view, NOW + second * SECOND, 100) is None
