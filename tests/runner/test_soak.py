"""The soak of checks: what was not met in every run is told, with the runs and what came instead."""

from bench.soak import table


def test_only_what_was_not_met_every_time_is_told():
    steady = {"a.b": "met", "c.d": "not_applicable"}
    runs = [{**steady, "e.f": "met"}, {**steady, "e.f": "missed"}, {**steady, "c.d": "met"}]
    (line,) = table(runs)
    assert line.split() == ["e.f", "1", "of", "3", "2:", "missed,", "3:", "did", "not", "run"]


def test_what_never_applied_is_no_finding():
    assert table([{"c.d": "not_applicable"}, {"c.d": "not_applicable"}]) == []
