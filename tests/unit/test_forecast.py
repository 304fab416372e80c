"""How long a wait will probably be."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from coordinator.model.histogram import ERROR, Histogram
from coordinator.model.lease import Expected
from coordinator.policy.forecast import SUMMED, Hold, Standing, forecast

pytestmark = pytest.mark.no_redis

# A sum is some hundred numbers in order.
few = settings(max_examples=25, deadline=None)

seconds = st.floats(0.001, 10_000)
histories = st.lists(seconds, min_size=1, max_size=30).map(Histogram.of)
holds = st.builds(Hold, histories, st.floats(0, 20_000), st.floats(0, 1e5) | st.just(float("inf")))
standings = st.builds(
    Standing,
    st.lists(holds, max_size=3),
    st.lists(histories, max_size=4),
    st.integers(0, 3 * SUMMED),
    histories,
    st.integers(1, 4),
    st.floats(0, 1e5),
)


def told(*several: Standing) -> Expected:
    found = forecast(several)
    assert found is not None
    return found


@few
@given(one=standings)
def test_it_is_a_range_of_times(one: Standing) -> None:
    found = told(one)
    assert 0 <= one.frozen <= found.p50 <= found.p90 < float("inf")


@few
@example(
    one=Standing([], [Histogram.of([1.0, 113.0])], SUMMED - 1, Histogram.of([1.0, 15.0])),
    known=Histogram.of([1.0]),
    more=0,
)
@given(one=standings, known=histories, more=st.integers(0, 100))
def test_nobody_waits_less_for_somebody_more_in_front(one: Standing, known: Histogram, more: int) -> None:
    before, by_name, by_number = (
        told(standing)
        for standing in (one, replace(one, before=[*one.before, known]), replace(one, more=one.more + more))
    )
    for other in (by_name, by_number):
        assert before.p50 <= other.p50 * (1 + 1e-9)
        assert before.p90 <= other.p90 * (1 + 1e-9)


@few
@given(one=standings, other=standings)
def test_who_waits_in_two_lines_waits_for_the_longer(one: Standing, other: Standing) -> None:
    both, first, second = told(one, other), told(one), told(other)
    assert both.p50 == max(first.p50, second.p50)
    assert both.samples == min([one.samples for one in (first, second) if one.samples] or [0])


@few
@given(one=standings)
def test_of_what_nobody_has_seen_nothing_is_said(one: Standing) -> None:
    assert forecast([one, replace(one, before=[*one.before, Histogram()])]) is None
    assert forecast([replace(one, holds=[Hold(Histogram())])]) is None
    assert forecast([replace(one, more=1, usual=Histogram())]) is None


def test_nobody_in_the_way_is_no_wait() -> None:
    assert told(Standing([], [], 0, Histogram())) == Expected(0.0, 0.0, 0)


def test_holds_that_take_alike_add_up() -> None:
    minute = Histogram.of([60.0] * 10)
    found = told(Standing([Hold(minute, 20.0)], [minute, minute], 1, minute))
    assert found.p50 == found.p90 == pytest.approx(220, rel=ERROR * 1.5)
    assert found.samples == 10


def test_what_is_left_goes_by_those_that_took_longer() -> None:
    known = Histogram.of([10.0] * 90 + [100.0] * 10)
    assert told(Standing([Hold(known)], [], 0, known)).p50 == pytest.approx(10, rel=ERROR * 1.5)
    late = told(Standing([Hold(known, 20.0)], [], 0, known))
    assert late.p50 == late.p90 == pytest.approx(80, rel=0.1)


def test_what_lasts_longer_than_any_before_lasts_as_long_again_but_not_beyond_its_lease() -> None:
    known = Histogram.of([10.0])
    assert told(Standing([Hold(known, 50.0)], [], 0, known)).p50 == 50
    assert told(Standing([Hold(known, 50.0, 30.0)], [], 0, known)).p50 == 30


def test_a_hold_that_varies_widens_the_range() -> None:
    known = Histogram.of([10.0] * 9 + [100.0])
    found = told(Standing([], [], 3, known))
    assert found.p50 < 3 * 19 < found.p90


def test_permits_are_used_side_by_side() -> None:
    known = Histogram.of([10.0])
    assert told(Standing([], [], 4, known, permits=4)).p50 == pytest.approx(told(Standing([], [], 1, known)).p50)
    two = [Hold(known, 2.0), Hold(known, 8.0)]
    assert told(Standing(two, [], 0, known, permits=2)).p50 < told(Standing(two, [], 0, known)).p50


def test_a_crowd_is_forecast_too() -> None:
    known = Histogram.of([10.0])
    assert told(Standing([], [], 10_000, known)).p50 == pytest.approx(100_000, rel=ERROR * 1.5)
