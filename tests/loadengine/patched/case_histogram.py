import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from loadengine.measure.histogram import HIGHEST_US, LENGTH, Histogram, index_of

US = st.integers(1, HIGHEST_US)


def recorded(values_us):
    found = Histogram()
    found.record(np.array(values_us, np.int64) * 1000)
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(US, min_size=1, max_size=200))
def test_percentiles_are_those_of_hdrhistogram(values):
    ours, theirs = recorded(values), HdrHistogram(1, HIGHEST_US, 3)
    for value in values:
        theirs.record_value(value)
    for percent in (1, 25, 50, 75, 90, 95, 99, 99.9, 100):
        assert ours.percentile(percent) * 1000 == pytest.approx(theirs.get_value_at_percentile(percent))


@settings(max_examples=60, deadline=None)
@given(US)
def test_three_significant_digits(value):
    assert recorded([value]).percentile(50) * 1000 == pytest.approx(value, rel=0.001, abs=1)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(US, max_size=50), min_size=1, max_size=5))
def test_merging_is_exact_and_survives_the_network(parts):
    merged = Histogram()
    for part in parts:
        merged.merge(Histogram.from_bytes(recorded(part).to_bytes()))
    whole = recorded([value for part in parts for value in part])
    assert merged.total == whole.total
    assert (merged.counts == whole.counts).all()


def test_no_data_gives_no_number():
    assert np.isnan(Histogram().percentile(95))
    assert np.isnan(Histogram().maximum)


def test_out_of_range_goes_to_the_edges():
    assert index_of(np.array([-5, 10**15])).tolist() == [0, LENGTH - 1]


def test_damaged_bytes_are_refused():
    with pytest.raises(ValueError, match="not a histogram"):
        Histogram.from_bytes(b"nonsense")


def test_correction_adds_what_a_stalled_closed_user_left_out():
    stalled = recorded([1_000] * 99 + [1_000_000])
    corrected = stalled.corrected(10.0)
    assert stalled.percentile(99) < 2
    assert corrected.total == 100 + 99  # 990, 980, … 10 ms
    assert corrected.percentile(75) == pytest.approx(500, rel=0.02)


def test_correction_changes_nothing_without_a_stall():
    calm = recorded([1_000] * 100)
    assert calm.corrected(10.0).total == 100
