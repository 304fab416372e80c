"""Limits of rate as values: a bucket never gives more than it may, and an adaptive limit stays within its bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.errors import InvalidInput
from coordinator.policy import rate
from coordinator.policy.rate import AdaptiveLimit, Bucket, Pace, RateLimit


def thousandths(least: float, most: float) -> st.SearchStrategy[float]:
    """Numbers that do not change on their way to the server."""
    return st.integers(round(least * 1000), round(most * 1000)).map(lambda number: number / 1000)


LIMITS = st.integers(1, 50).flatmap(
    lambda burst: st.builds(RateLimit, burst=st.just(burst), per_second=thousandths(0.01, burst * 10.0))
)
ADAPTIVE = st.tuples(thousandths(0.1, 10), thousandths(10, 20), thousandths(20, 200)).flatmap(
    lambda numbers: st.builds(
        AdaptiveLimit,
        least=st.just(numbers[0]),
        initial=st.just(numbers[1]),
        most=st.just(numbers[2]),
        increase=thousandths(0.01, 20),
        decrease=thousandths(0.01, 0.99),
    )
)


@given(LIMITS, st.lists(st.tuples(st.integers(0, 3_000_000), st.integers(0, 20)), max_size=60))
def test_a_bucket_never_gives_more_than_burst_and_rate(limit: RateLimit, asks: list[tuple[int, int]]) -> None:
    bucket: Bucket | None = None
    now, given_at = 0, []
    for pause, wanted in asks:
        now += pause
        bucket = rate.filled(limit.speed, bucket, now)
        for _ in range(min(wanted, rate.available(bucket))):
            bucket = rate.taken(bucket)
            given_at.append(now)
        assert 0 <= bucket.tokens <= limit.burst * rate.PARTS
    for first, begin in enumerate(given_at):
        for count, end in enumerate(given_at[first:], 1):
            assert count <= limit.burst + limit.per_second * (end - begin) / 1e6 + 1e-6


@given(LIMITS, st.integers(0, 49), st.integers(0, 10_000_000))
def test_the_next_one_is_there_when_it_is_said_to_be_and_not_before(limit: RateLimit, used: int, later: int) -> None:
    bucket = rate.filled(limit.speed, None, 0)
    for _ in range(min(used, rate.available(bucket))):
        bucket = rate.taken(bucket)
    bucket = rate.filled(limit.speed, bucket, later)
    at = rate.next_at(limit.speed, bucket)
    if rate.available(bucket) < limit.burst:
        soon = rate.filled(limit.speed, bucket, at)
        assert rate.available(soon) == rate.available(bucket) + 1
        before = rate.filled(limit.speed, bucket, at - 1)
        assert rate.available(before) == rate.available(bucket)


@given(LIMITS, st.lists(st.integers(0, 3_000_000), min_size=1, max_size=50))
def test_it_does_not_matter_how_often_a_bucket_is_looked_at(limit: RateLimit, pauses: list[int]) -> None:
    empty = seen = Bucket(0, 0)
    for pause in pauses:
        seen = rate.filled(limit.speed, seen, seen.at + pause)
    assert seen == rate.filled(limit.speed, empty, sum(pauses))


@given(ADAPTIVE, st.lists(st.tuples(st.integers(1, 5000), st.booleans()), max_size=100))
def test_an_adaptive_limit_stays_within_its_bounds(limit: AdaptiveLimit, runs: list[tuple[int, bool]]) -> None:
    pace, now = Pace(limit.initial), 0
    for pause, good in runs:
        began, now = now, now + pause
        before = pace.rate
        pace = rate.faster(limit, pace) if good else rate.slower(limit, pace, began, now)
        assert limit.least <= pace.rate <= limit.most
        assert pace.rate >= before if good else pace.rate <= before
        assert pace.speed.full >= rate.PARTS


@given(ADAPTIVE, st.lists(st.tuples(st.integers(1, 5000), st.booleans()), max_size=30))
def test_whatever_has_happened_an_adaptive_limit_comes_back_once_runs_succeed(
    limit: AdaptiveLimit, runs: list[tuple[int, bool]]
) -> None:
    pace, now = Pace(limit.initial), 0
    for pause, good in runs:
        began, now = now, now + pause
        pace = rate.faster(limit, pace) if good else rate.slower(limit, pace, began, now)
    # Each success adds so much at least, so enough of them lead to the top from wherever it was.
    begun = pace.rate
    for successes in range(1, 100):
        pace = rate.faster(limit, pace)
        assert pace.rate >= min(limit.most, begun + successes * limit.increase / limit.most) - 1e-6


@given(ADAPTIVE, st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_only_runs_that_began_after_the_last_cut_cut_again(
    limit: AdaptiveLimit, began: int, cut: int, later: int
) -> None:
    pace = Pace(limit.most, cut)
    found = rate.slower(limit, pace, began, max(began, cut) + later)
    assert (found == pace) == (began <= cut)


def test_used_to_the_full_it_grows_by_its_increase_a_second_and_one_storm_cuts_it_once() -> None:
    limit, pace = AdaptiveLimit(), Pace(10.0)
    for _ in range(10):
        pace = rate.faster(limit, pace)
    assert pace.rate == pytest.approx(10.95, abs=0.01)
    for _ in range(50):
        pace = rate.slower(limit, pace, 1000, 2000)
    assert pace == Pace(pytest.approx(5.48, abs=0.01), 2000)
    assert rate.slower(limit, pace, 2001, 2500).rate == pytest.approx(2.74, abs=0.01)


@pytest.mark.parametrize(
    "make",
    [
        lambda: RateLimit(burst=0),
        lambda: RateLimit(per_second=0),
        lambda: RateLimit(per_second=float("nan")),
        lambda: RateLimit(burst=4, per_second=100),
        lambda: RateLimit(key="no such label"),
        lambda: AdaptiveLimit(initial=200),
        lambda: AdaptiveLimit(least=20),
        lambda: AdaptiveLimit(decrease=1),
        lambda: AdaptiveLimit(increase=0),
    ],
)
def test_limits_that_make_no_sense_are_refused(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidInput):
        make()


def test_they_travel_as_text() -> None:
    assert RateLimit().to_wire() == "10:1000"
    assert AdaptiveLimit().to_wire() == "10000:1000:100000:1000:500"
