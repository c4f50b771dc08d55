"""Locust's own table is told everything, once, and unrounded."""

import time

import pytest

from loadengine.measure.recorder import BLOCK, CANCELLED, ERROR, OK


def measured(engine, count, ms, name="/x", size=10):
    series = engine.recorder.new_series("http", name=name, method="GET")
    base = time.monotonic_ns()
    for number in range(count):
        series.size += size
        engine.recorder.record(
            series.number, OK, 0, base + number, base + number, base + number + int(ms * 1e6)
        )


def test_everything_is_told_once(engine):
    measured(engine, BLOCK + 100, 0.347)  # one block is full, the next is not
    measured(engine, 50, 12.5, name="/y")
    engine.recorder.flush(whole=True)
    engine.recorder.flush(whole=True)
    stats = engine.environment.stats
    x, y = stats.get("/x", "GET"), stats.get("/y", "GET")
    assert (x.num_requests, y.num_requests) == (BLOCK + 100, 50)
    assert stats.total.num_requests == BLOCK + 150
    assert sum(x.num_reqs_per_sec.values()) == BLOCK + 100
    assert (x.total_content_length, y.total_content_length) == ((BLOCK + 100) * 10, 500)
    assert x.median_response_time == pytest.approx(0.347, rel=0.001)
    assert (y.min_response_time, y.max_response_time) == (12.5, 12.5)
    assert y.total_response_time == pytest.approx(625)


def test_nothing_is_told_in_between_and_nothing_is_lost(engine):
    engine.recorder.flush(whole=True)
    measured(engine, 10, 1.0)
    engine.recorder.flush()
    measured(engine, 10, 3.0)
    engine.recorder.flush(whole=True)
    entry = engine.environment.stats.get("/x", "GET")
    assert entry.num_requests == 20
    assert entry.total_content_length == 200
    assert (entry.min_response_time, entry.max_response_time) == (1.0, 3.0)


def test_a_new_test_owes_nothing(engine):
    engine.recorder.flush(whole=True)
    measured(engine, 10, 1.0)
    engine.recorder.flush()
    engine.recorder.restart()
    engine.recorder.flush(whole=True)
    assert engine.environment.stats.total.num_requests == 0


def test_pieces_between_which_the_load_goes_on_tell_everything_once(engine):
    engine.recorder.flush(whole=True)
    names = [f"/{number}" for number in range(6)]
    for round_ in range(8):  # a series is told in every fourth
        for name in names:
            measured(engine, 10, 1.0 + round_, name=name)
        for piece, _ in enumerate(engine.recorder.settle()):
            if piece == 2:
                measured(engine, 5, 2.0, name="/0")  # while the others are still being digested
                engine.recorder.write()
    stats = engine.environment.stats
    assert stats.get("/3", "GET").num_requests >= 40
    engine.recorder.flush(whole=True)
    assert stats.get("/0", "GET").num_requests == 8 * 15
    assert [stats.get(name, "GET").num_requests for name in names[1:]] == [80] * 5
    assert stats.total.num_requests == 8 * (60 + 5)
    assert stats.total.total_content_length == stats.total.num_requests * 10
    assert sum(stats.total.response_times.values()) == stats.total.num_requests


def test_what_the_load_s_end_cut_off_is_no_error(engine):
    series = engine.recorder.new_series("http", name="/cut", method="GET")
    now = time.monotonic_ns()
    engine.recorder.failed(series.number, CANCELLED, 0, now, now, now, "cut off by the end of the load")
    engine.recorder.failed(series.number, ERROR, 0, now, now, now, "refused")
    engine.recorder.flush(whole=True)
    assert [error.error for error in engine.environment.stats.errors.values()] == ["refused"]
    assert engine.environment.stats.get("/cut", "GET").num_failures == 1


def test_what_was_declared_and_not_measured_is_told(engine):
    measured = engine.recorder.new_series("prod.uptime", probe="page")
    engine.recorder.new_series("prod.uptime", probe="sign-in")
    engine.recorder.record(measured.number, OK, 0, 1, 2, 3)
    engine.recorder.flush(whole=True)
    [silent] = engine.recorder.unmeasured()
    assert "sign-in" in silent
