"""Histograms that merge: a quantile is within the error bound, and where values were counted makes no difference."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.errors import Corrupt
from coordinator.model import histogram
from coordinator.model.histogram import ERROR, GROWTH, LAST, LEAST, MOST, Histogram, bucket, middle

SLACK = 1e-9  # for the rounding of a logarithm at the border of a bucket
values = st.floats(LEAST, MOST)
lists = st.lists(values, min_size=1, max_size=200)
shares = st.floats(0, 1)


@given(values)
def test_the_value_of_a_bucket_is_off_by_the_bound_at_most(value: float) -> None:
    assert abs(middle(bucket(value)) - value) <= (ERROR + SLACK) * value


@given(values, values)
def test_a_larger_value_is_in_no_smaller_bucket(one: float, other: float) -> None:
    assert (bucket(one) <= bucket(other)) or one > other


@given(lists, shares)
def test_a_quantile_is_within_the_bound_of_the_true_one(found: list[float], share: float) -> None:
    true = sorted(found)[max(1, math.ceil(share * len(found))) - 1]
    told = Histogram.of(found).quantile(share)
    assert told is not None
    assert abs(told - true) <= (ERROR + SLACK) * true


@given(lists, shares, shares)
def test_a_larger_share_has_no_smaller_quantile(found: list[float], one: float, other: float) -> None:
    made = Histogram.of(found)
    low, high = sorted((one, other))
    assert (made.quantile(low) or 0) <= (made.quantile(high) or 0)


@given(lists, lists)
def test_merging_is_counting_all_in_one_place(one: list[float], other: list[float]) -> None:
    merged = Histogram.of(one)
    merged.merge(Histogram.of(other))
    assert merged == Histogram.of(one + other)
    assert merged.total == len(one) + len(other)


@given(lists)
def test_text_brings_the_histogram_back(found: list[float]) -> None:
    made = Histogram.of(found)
    assert Histogram.of_text(made.text()) == made


@given(lists, values)
def test_the_share_above_a_value_counts_buckets_beyond_it(found: list[float], limit: float) -> None:
    share = Histogram.of(found).above(limit)
    assert share <= sum(one > limit for one in found) / len(found)
    assert share >= sum(one > limit * GROWTH * (1 + SLACK) for one in found) / len(found)


def test_what_lies_outside_counts_as_the_least_or_the_most() -> None:
    assert [bucket(one) for one in (-1.0, 0.0, math.nan, LEAST)] == [0, 0, 0, 0]
    assert [bucket(one) for one in (MOST, MOST * 1000, math.inf)] == [LAST, LAST, LAST]
    assert middle(0) == LEAST


def test_the_figures_of_the_module_are_those_of_its_formula() -> None:
    assert pytest.approx(0.0433, abs=1e-4) == ERROR
    assert pytest.approx(12.7, abs=0.1) == histogram.MOST / 86400
    assert bucket(MOST * 0.999) == LAST


def test_nothing_has_no_quantile() -> None:
    assert Histogram().quantile(0.5) is None
    assert Histogram().above(1) == 0
    assert Histogram.of_text("") == Histogram()


@pytest.mark.parametrize("text", ["1", "1:", ":1", "1:1  2:2", "a:1", "1:-1", "1:1.5", "1:1\n", "1234:1"])
def test_what_is_no_histogram_is_refused(text: str) -> None:
    with pytest.raises(Corrupt):
        Histogram.of_text(text)


def test_buckets_beyond_the_last_are_the_last() -> None:
    assert Histogram.of_text("999:2").counts == {LAST: 2}
