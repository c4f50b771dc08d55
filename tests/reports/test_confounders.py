"""A miss is not the platform's when the way to it or a stand-in decided it; a far generator decides nothing."""

import pytest

import reports
from core.clock import now_ns
from core.events import ComponentSaturated
from core.load_events import GeneratorNetwork
from reports import judge
from tests.reports.made import Made

SECOND = 1_000_000_000


def state(directory, **fields):
    verdict = judge(Made(directory, **fields).write())
    return {o.id: (o.state, o.reason) for o in verdict.objectives}


def saturated(seconds):
    """Seconds of saturation around now, as the load's own watch journals them."""
    now = now_ns()
    return [
        ComponentSaturated(
            "supabase", "database", now + n * SECOND, now + (n + 1) * SECOND, {"loop_lag_ms": 80.0}
        )
        for n in range(-seconds // 2, seconds // 2)
    ]


def network(**trips):
    return [GeneratorNetwork("database", "mars", trips)]


SLOW = {"perf.database": 300.0, "perf.upload": 3100.0, "perf.rooms": 6.0}


def test_a_miss_without_excuse_is_a_miss(tmp_path):
    assert state(tmp_path, latency=SLOW)["perf.database"][0] == "missed"


def test_a_miss_while_the_gateway_was_saturated_is_unknown_by_its_name(tmp_path):
    found, reason = state(tmp_path, latency=SLOW, extra=saturated(400))["perf.database"]
    assert found == "unknown"
    assert "supabase, a stand-in, was saturated under the load 'database' for " in reason
    assert "event loop lags 80 ms" in reason


def test_what_is_met_in_spite_of_saturation_is_met(tmp_path):
    assert state(tmp_path, extra=saturated(400))["perf.database"][0] == "met"


@pytest.mark.parametrize(("trip", "expected"), [(3.0, "met"), (40.0, "unknown")])
def test_a_generator_too_far_away_decides_nothing(tmp_path, trip, expected):
    found, reason = state(tmp_path, extra=network(VITE_SUPABASE_URL=trip))["perf.database"]
    assert found == expected
    assert ("generator too far in mars" in reason) == (expected == "unknown")


def test_saturation_is_told_with_its_load_and_how_long_it_lasted(tmp_path):
    verdict = judge(Made(tmp_path / "run", load_extra=saturated(12)).write())
    assert [e["text"] for e in verdict.events] == ["supabase saturated for 12 s under the load 'database'"]
    load = verdict.measurements["loads"]["database"]
    ((start, end, what),) = load["saturated"]
    assert (round(end - start), what) == (12, verdict.events[0]["text"])
    reports.write(verdict, tmp_path / "run", ["page"])
    page = (tmp_path / "run" / "report" / "objective-perf.database.html").read_text()
    assert page.count("supabase saturated for 12 s under the load") >= 3  # a sentence, and two charts
