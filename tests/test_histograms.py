"""Histograms: at most 1 % off, merged without loss, nothing said of too few."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.histograms import LEAST_SAMPLES, RELATIVE_ERROR, Histogram, merged
from device.records import StageHistogram

DURATIONS_NS = st.lists(st.integers(0, 2**62), min_size=1, max_size=300)


def of(values: list[int]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


@given(DURATIONS_NS)
def test_every_percentile_is_within_one_percent(values: list[int]):
    histogram, ordered = of(values), sorted(values)
    assert (len(histogram), histogram.max_ns) == (len(values), max(values))
    for percent, least in LEAST_SAMPLES.items():
        found = histogram.percentile_ns(percent)
        if len(values) < least:
            assert found is None
        else:
            # The library's rank may be the one below the nearest rank where that is a matter of taste.
            rank = math.floor(percent / 100 * (len(values) - 1))
            near = [ordered[rank], ordered[max(0, math.ceil(len(values) * percent / 100) - 1)]]
            assert any(abs(found - exact) <= max(1.0, exact * RELATIVE_ERROR * 1.0001) for exact in near)


@given(DURATIONS_NS, DURATIONS_NS)
def test_merging_is_the_same_as_counting_all_in_one(some: list[int], others: list[int]):
    together = of(some + others)
    for whole in (merged([of(some), of(others)]), merged([of(others), of(some)])):
        assert list(whole.bins()) == list(together.bins())
        assert (len(whole), whole.max_ns) == (len(together), together.max_ns)
        assert whole.percentile_ns(50) == together.percentile_ns(50)


@given(DURATIONS_NS)
def test_what_is_written_is_what_is_read(values: list[int]):
    histogram = of(values)
    line = msgspec.json.encode(histogram.to_record())
    back = Histogram.from_record(msgspec.json.decode(line, type=StageHistogram))
    assert list(back.bins()) == list(histogram.bins())
    assert (len(back), back.max_ns, back.percentile_ns(50)) == (len(values), max(values), histogram.percentile_ns(50))


def test_percentiles_are_of_all_frames_and_no_average_of_percentiles():
    """A thousand quick frames and a hundred slow ones: p99 is a slow one, though the mean of both p99 is not."""
    quick, slow = of([1_000_000] * 1000), of([50_000_000] * 100)
    assert merged([quick, slow]).percentile_ns(99) == pytest.approx(50e6, rel=0.01)
    assert merged([quick, slow]).percentile_ns(50) == pytest.approx(1e6, rel=0.01)


@pytest.mark.parametrize(("count", "known"), [(99, False), (100, True)])
def test_no_p99_under_100_samples(count: int, known: bool):
    assert (of([5] * count).percentile_ns(99) is not None) == known


def test_the_mean_is_within_one_percent():
    values = np.random.default_rng(1).lognormal(15, 1, 5000).astype(int).tolist()
    assert of(values).mean_ns() == pytest.approx(np.mean(values), rel=0.01)


@pytest.mark.parametrize(
    "damaged",
    [
        b'{"n":3,"max_ns":1,"bins":[-5,2]}',
        b'{"n":1,"max_ns":1,"bins":[-99999999,1]}',  # read as it stands, it would fill the memory
        b'{"n":0,"max_ns":1,"bins":[1]}',
    ],
)
def test_a_damaged_histogram_is_refused(damaged: bytes):
    with pytest.raises(msgspec.ValidationError, match="no histogram"):
        msgspec.json.decode(damaged, type=StageHistogram)
