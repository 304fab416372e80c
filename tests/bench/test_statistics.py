"""The arithmetic of the bench."""

import pytest

from bench.statistics import Spread, ideal_makespan, inversions, jain, overlaps, percentile, zipf_choices

pytestmark = pytest.mark.no_redis


def test_a_spread_is_the_median_with_the_least_and_the_most():
    assert Spread.of([3, 1, 10]) == Spread(3, 1, 10, 3)
    assert Spread.of([1, 2]).median == 1.5
    with pytest.raises(ValueError, match="nothing"):
        Spread.of([])


@pytest.mark.parametrize(("percent", "expected"), [(0, 1), (1, 1), (50, 50), (99, 99), (99.5, 100), (100, 100)])
def test_a_percentile_is_a_value_that_was_measured(percent, expected):
    assert percentile(reversed(range(1, 101)), percent) == expected


def test_a_percentile_of_few_values_is_the_next_larger_one():
    assert percentile([5, 1, 9], 50) == 5
    assert percentile([7], 99) == 7
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 50)


def test_jain_is_one_for_equal_shares_and_one_nth_when_one_has_all():
    assert jain([4, 4, 4, 4]) == 1
    assert jain([8, 0, 0, 0]) == 0.25
    assert jain([1, 3]) == pytest.approx(16 / 20)
    with pytest.raises(ValueError, match="nobody"):
        jain([0, 0])


def test_the_ideal_makespan_is_that_of_the_busiest_resource_or_of_all_slots():
    assert ideal_makespan([(1, 2.0), (1, 2.0), (2, 1.0)], slots=2) == 4.0
    assert ideal_makespan([(number, 1.0) for number in range(8)], slots=2) == 4.0
    assert ideal_makespan([], slots=2) == 0.0


def test_zipf_draws_are_the_same_each_time_and_fall_off_as_the_law_says():
    drawn = zipf_choices(40_000, 20, 1.1, seed=7)
    assert drawn == zipf_choices(40_000, 20, 1.1, seed=7)
    assert set(drawn) == set(range(20))
    assert drawn.count(0) / drawn.count(3) == pytest.approx(4**1.1, rel=0.1)


def test_spans_overlap_where_one_begins_before_an_earlier_one_is_over():
    assert overlaps([(5, 9), (0, 5), (9, 9)]) == 0
    assert overlaps([(0, 10), (1, 2), (3, 4), (10, 11)]) == 2


def test_inversions_are_jobs_that_began_after_a_less_urgent_one():
    assert inversions([4, 4, 3, 1, 0, 0]) == 0
    assert inversions([4, 3, 4, 4, 2]) == 2
    assert inversions([0, 1, 2]) == 2
