"""How long a wait will probably be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.model.histogram import ERROR, Histogram, middle
from coordinator.model.lease import Expected
from coordinator.policy.forecast import Hold, Standing, Turn, forecast

pytestmark = pytest.mark.no_redis

# Each plays a line through some dozen times.
few = settings(max_examples=40, deadline=None)
ROUNDING = 1 + 1e-9

seconds = st.floats(0.001, 10_000)
histories = st.lists(seconds, min_size=1, max_size=30).map(Histogram.of)
turns = st.builds(Turn, histories, st.booleans(), st.integers(1, 5), st.integers(0, 2**32 - 1))
holds = st.builds(Hold, turns, st.floats(0, 20_000), st.floats(0, 1e5) | st.just(float("inf")))
standings = st.builds(
    Standing,
    st.lists(holds, max_size=3),
    st.lists(turns, max_size=5),
    st.integers(0, 60),
    histories,
    st.integers(1, 4),
    st.floats(0, 1e5),
    st.booleans(),
    st.integers(1, 5),
)


def told(*several: Standing) -> Expected:
    found = forecast(several)
    assert found is not None
    return found


def no_shorter(first: Standing, second: Standing) -> bool:
    before, after = told(first), told(second)
    return before.p50 <= after.p50 * ROUNDING and before.p90 <= after.p90 * ROUNDING


def a_line(known: Histogram, *before: Turn | int, **rest: Any) -> Standing:
    """Of those who hold alike; a number stands for so many who want it alone."""
    turns = [one for some in before for one in ([some] if isinstance(some, Turn) else [Turn(known)] * some)]
    return Standing([], turns, 0, known, **rest)


@few
@given(one=standings)
def test_it_is_a_range_of_times(one: Standing) -> None:
    found = told(one)
    assert 0 <= one.frozen <= found.p50 <= found.p90 < float("inf")


@few
@given(one=standings, more=turns, number=st.integers(0, 100), data=st.data())
def test_nobody_waits_less_for_somebody_more_in_front(one: Standing, more: Turn, number: int, data: Any) -> None:
    at = data.draw(st.integers(0, len(one.before)))
    assert no_shorter(one, replace(one, before=[*one.before[:at], more, *one.before[at:]]))
    assert no_shorter(one, replace(one, more=one.more + number))


@few
@given(one=standings, more=st.integers(0, 3), longer=st.floats(1, 100), data=st.data())
def test_nobody_waits_less_for_more_permits_or_for_longer_holds(
    one: Standing, more: int, longer: float, data: Any
) -> None:
    assert no_shorter(replace(one, shared=False), replace(one, shared=False, permits=one.permits + more))
    if one.before:
        at = data.draw(st.integers(0, len(one.before) - 1))
        turn = one.before[at]
        known = Histogram.of([middle(place) * longer for place, many in turn.known.counts.items() for _ in range(many)])
        for other in (replace(turn, known=known), replace(turn, permits=turn.permits + more)):
            assert no_shorter(one, replace(one, before=[*one.before[:at], other, *one.before[at + 1 :]]))


@few
@given(one=standings, group=st.lists(turns, min_size=1, max_size=4), after=st.lists(turns, max_size=3), data=st.data())
def test_one_more_reader_in_a_group_lengthens_by_nothing_unless_it_is_the_longest(
    one: Standing, group: list[Turn], after: list[Turn], data: Any
) -> None:
    group = [replace(turn, shared=True) for turn in group]
    shortest = Histogram.of([min(turn.known.quantile(0) or 0 for turn in group) * 0.9])
    at = data.draw(st.integers(0, len(group)))
    more = [*group[:at], Turn(shortest, shared=True), *group[at:]]
    one, other = (replace(one, before=[*one.before, *some, *after]) for some in (group, more))
    assert told(other) == replace(told(one), samples=told(other).samples)


@few
@given(known=histories, longest=histories, many=st.integers(0, 50))
def test_readers_take_no_longer_than_the_longest(known: Histogram, longest: Histogram, many: int) -> None:
    most = max(known.quantile(1) or 0, longest.quantile(1) or 0)
    readers = [Turn(known, shared=True, seed=at) for at in range(many)]
    assert told(a_line(known, *readers, Turn(longest, shared=True))).p90 <= most


def test_readers_next_to_each_other_are_one_turn_and_who_joins_them_waits_for_none() -> None:
    known = Histogram.of([10.0])
    reader, one = Turn(known, shared=True), told(a_line(known, 1))
    assert told(a_line(known, *[reader] * 100)) == one
    assert told(a_line(known, *[reader] * 100, shared=True)).p50 == 0
    # A writer between them parts them.
    assert told(a_line(known, reader, reader, 1, reader, reader)).p50 == pytest.approx(3 * one.p50)
    assert told(a_line(known, reader, reader, 1, reader, reader, shared=True)).p50 == pytest.approx(2 * one.p50)
    # Those who have it already are of the first group.
    held = [Hold(Turn(known, shared=True), 2.0)]
    assert told(replace(a_line(known, reader), holds=held)) == one
    assert told(replace(a_line(known, reader, shared=True), holds=held)).p50 == 0


def test_permits_are_counted() -> None:
    known = Histogram.of([10.0])
    one, small, large = told(a_line(known, 1)).p50, Turn(known), Turn(known, permits=3)
    assert told(a_line(known, large, capacity=4)).p50 == 0
    assert told(a_line(known, large, capacity=4, permits=2)).p50 == one
    assert told(a_line(known, large, small, large, capacity=4)).p50 == one
    assert told(a_line(known, large, small, large, capacity=4, permits=2)).p50 == pytest.approx(2 * one)
    # Who asks for more than there are takes all there are; who shares takes none, and nobody beside it.
    assert told(a_line(known, Turn(known, permits=9), capacity=4)).p50 == one
    assert told(a_line(known, small, Turn(known, shared=True), capacity=4)).p50 == pytest.approx(2 * one)


@few
@given(one=standings, other=standings)
def test_who_waits_in_two_lines_waits_for_the_longer(one: Standing, other: Standing) -> None:
    both, first, second = told(one, other), told(one), told(other)
    assert both.p50 == max(first.p50, second.p50)
    assert both.samples == min([one.samples for one in (first, second) if one.samples] or [0])


@few
@given(one=standings)
def test_of_what_nobody_has_seen_nothing_is_said(one: Standing) -> None:
    assert forecast([one, replace(one, before=[*one.before, Turn(Histogram())])]) is None
    assert forecast([replace(one, holds=[Hold(Turn(Histogram()))])]) is None
    assert forecast([replace(one, more=1, usual=Histogram())]) is None


def test_nobody_in_the_way_is_no_wait() -> None:
    assert told(Standing([], [], 0, Histogram())) == Expected(0.0, 0.0, 0)


def test_holds_that_take_alike_add_up() -> None:
    minute = Histogram.of([60.0] * 10)
    found = told(Standing([Hold(Turn(minute), 20.0)], [Turn(minute), Turn(minute)], 1, minute))
    assert found.p50 == found.p90 == pytest.approx(220, rel=ERROR * 1.5)
    assert found.samples == 10


def test_what_is_left_goes_by_those_that_took_longer() -> None:
    known = Histogram.of([10.0] * 90 + [100.0] * 10)
    assert told(Standing([Hold(Turn(known))], [], 0, known)).p50 == pytest.approx(10, rel=ERROR * 1.5)
    late = told(Standing([Hold(Turn(known), 20.0)], [], 0, known))
    assert late.p50 == late.p90 == pytest.approx(80, rel=0.1)


def test_what_lasts_longer_than_any_before_lasts_as_long_again_but_not_beyond_its_lease() -> None:
    known = Histogram.of([10.0])
    assert told(Standing([Hold(Turn(known), 50.0)], [], 0, known)).p50 == 50
    assert told(Standing([Hold(Turn(known), 50.0, 30.0)], [], 0, known)).p50 == 30


def test_a_hold_that_varies_widens_the_range() -> None:
    known = Histogram.of([10.0] * 9 + [100.0])
    found = told(Standing([], [Turn(known, seed=at) for at in range(3)], 0, known))
    # In 73 % of all cases none of three takes long, and 9 in 10 are over with one that does.
    assert found.p50 == pytest.approx(30, rel=ERROR * 1.5)
    assert found.p90 == pytest.approx(120, rel=ERROR * 1.5)


@given(seeds=st.lists(st.integers(0, 2**32 - 1), min_size=12, max_size=12, unique=True))
def test_the_sum_of_many_holds_is_near_what_chance_has_it(seeds: list[int]) -> None:
    known = Histogram.of([float(value) for value in range(1, 101)])
    found = told(Standing([], [Turn(known, seed=seed) for seed in seeds], 0, known))
    # A mean of 50.5 and a deviation of 28.9 each.
    assert found.p50 == pytest.approx(12 * 50.5, rel=0.12)
    assert found.p90 == pytest.approx(12 * 50.5 + 1.28 * 28.9 * 12**0.5, rel=0.15)


def test_permits_are_used_side_by_side() -> None:
    known = Histogram.of([10.0])
    assert told(a_line(known, 4, capacity=4)).p50 == told(a_line(known, 1)).p50
    two = [Hold(Turn(known), 2.0), Hold(Turn(known), 8.0)]
    assert told(Standing(two, [], 0, known, capacity=2)).p50 < told(Standing(two, [], 0, known)).p50


def test_nobody_before_begins_while_it_is_frozen() -> None:
    known = Histogram.of([10.0])
    frozen = told(a_line(known, 2, frozen=100.0))
    assert frozen.p50 == pytest.approx(100 + told(a_line(known, 2)).p50)
    assert told(Standing([Hold(Turn(known), 2.0)], [], 0, known, frozen=100.0)).p50 == 100


def test_a_crowd_is_forecast_too() -> None:
    known = Histogram.of([10.0])
    assert told(Standing([], [], 10_000, known)).p50 == pytest.approx(100_000, rel=ERROR * 1.5)
    assert told(Standing([], [], 10_000, known, capacity=4)).p50 == pytest.approx(25_000, rel=ERROR * 1.5)
