"""What timeouts are made of: bounds, steps, monotonicity, and the formulas of both strategies."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from coordinator.errors import InvalidInput
from coordinator.model.histogram import ERROR, GROWTH, Histogram, bucket, middle
from coordinator.policy.adaptive import (
    BASES,
    ENOUGH,
    MARGIN,
    STEP,
    Adaptive,
    Seen,
    clamped,
    cut_off_at,
    following,
    multiplier,
    target,
)

LATENCY = st.floats(0.001, 3600)
LATENCIES = st.lists(LATENCY, min_size=ENOUGH, max_size=200)
BASE = st.floats(0.01, 1000)
RULES = st.builds(Adaptive, least=st.floats(0.01, 1), most=st.floats(1, 20))


def seen_of(latencies: list[float], timeouts: int = 0) -> Seen:
    return Seen(Histogram.of(latencies), len(latencies) - timeouts, timeouts)


# --- quantile


@given(LATENCIES, BASE, RULES, st.floats(0, 1))
def test_it_stays_within_its_bounds_for_ever(
    latencies: list[float], base: float, rules: Adaptive, where: float
) -> None:
    low, high = rules.least * base, rules.most * base
    current, seen = low + (high - low) * where, seen_of(latencies)
    for _ in range(100):
        current = following(current, base, seen, rules)
        assert low * (1 - 1e-9) <= current <= high * (1 + 1e-9)
    assert current == pytest.approx(target(seen.latencies.quantile(0.99) or 0, base, rules), rel=0.05)


@given(LATENCIES, BASE, RULES, st.floats(0.1, 10))
def test_it_moves_a_tenth_of_the_way_at_most(
    latencies: list[float], base: float, rules: Adaptive, times: float
) -> None:
    current, seen = clamped(base * times, base, rules), seen_of(latencies)
    heads_for = target(seen.latencies.quantile(0.99) or 0, base, rules)
    moved = following(current, base, seen, rules) - current
    assert abs(moved) <= abs(heads_for - current) * STEP + 1e-9
    assert moved * (heads_for - current) >= 0


@given(LATENCIES, st.integers(0, 10**6), st.floats(1, 100), BASE, RULES)
def test_it_is_monotone_in_every_latency(
    latencies: list[float], which: int, longer: float, base: float, rules: Adaptive
) -> None:
    more = list(latencies)
    more[which % len(more)] *= longer
    now = following(base, base, seen_of(latencies), rules)
    assert following(base, base, seen_of(more), rules) >= now


@given(LATENCIES, st.floats(1, 3), BASE, RULES)
def test_it_is_continuous_but_for_the_width_of_a_bucket(
    latencies: list[float], share: float, base: float, rules: Adaptive
) -> None:
    # In a small step as in a large one: all latencies longer by a share, the target longer by that and a bucket.
    first = seen_of(latencies).latencies.quantile(0.99) or 0
    second = seen_of([one * share for one in latencies]).latencies.quantile(0.99) or 0
    ratio = target(second, base, rules) / target(first, base, rules)
    assert 1 - 1e-9 <= ratio <= share * GROWTH * (1 + 1e-9)


@given(LATENCY, LATENCY, BASE, RULES)
def test_the_target_is_as_steep_as_the_margin_at_most(one: float, other: float, base: float, rules: Adaptive) -> None:
    assert abs(target(one, base, rules) - target(other, base, rules)) <= MARGIN * abs(one - other) + 1e-9


@given(st.floats(0.01, 1000), st.floats(0.01, 1000))
def test_what_was_cut_off_counts_at_its_limit_or_above(limit: float, current: float) -> None:
    assert middle(cut_off_at(limit, current)) >= max(limit, current) * (1 - ERROR) * 0.999


@given(st.integers(2, 50), BASE)
def test_a_limit_that_cuts_off_too_much_grows(cut: int, base: float) -> None:
    rules, fast = Adaptive(), [base / 100] * (100 - cut)
    seen = Seen(Histogram.of(fast), len(fast), cut)
    for _ in range(cut):
        seen.latencies.add_at(cut_off_at(base, base), 1)
    assert following(base, base, seen, rules) > base


@pytest.mark.parametrize("many", [0, 1, ENOUGH - 1])
def test_a_few_observations_move_nothing(many: int) -> None:
    assert following(60.0, 60.0, seen_of([0.1] * many), Adaptive()) == 60.0
    assert following(60.0, 60.0, seen_of([0.1] * many), Adaptive(strategy="success_rate")) == 60.0


# --- success_rate


@pytest.mark.parametrize(
    ("rate", "times"),
    [(1.0, 1.0), (0.95, 0.75), (0.9, 0.99), (0.8, 1.0), (0.5, 1.03), (0.4, 1.4), (0.25, 2.0), (0.0, 3.0)],
)
def test_success_rate_is_what_it_was_defined_to_be(rate: float, times: float) -> None:
    assert multiplier(rate) == pytest.approx(times)


def test_success_rate_jumps_at_nine_tenths_and_rises_again() -> None:
    above = math.nextafter(0.9, 1)
    assert multiplier(0.9) == pytest.approx(0.99)
    assert multiplier(above) == pytest.approx(0.5)
    assert multiplier(0.96) > multiplier(0.93) > multiplier(above)


@given(st.integers(0, 1000), st.integers(0, 1000), BASE)
def test_success_rate_takes_its_share_from_the_counts_and_goes_there_at_once(
    successes: int, timeouts: int, base: float
) -> None:
    assume(successes + timeouts >= ENOUGH)
    seen = Seen(Histogram.of([1.0]), successes, timeouts)
    found = following(123.0, base, seen, Adaptive(strategy="success_rate"))
    assert found == pytest.approx(base * multiplier(successes / (successes + timeouts)))
    assert 0.5 * base <= found <= 3.0 * base


# --- rules


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 1), st.floats(1, 20))
def test_success_rate_has_a_floor_and_a_cap_and_turns_only_at_its_corners(
    one: float, other: float, least: float, most: float
) -> None:
    low, high = sorted((one, other))
    first, second = multiplier(low, least, most), multiplier(high, least, most)
    # Between the corners it is what it was defined to be, whatever the bounds: 0.99 at the least, 1.03 at the most.
    assert min(least, 0.99) - 1e-9 <= first <= max(most, 1.03) + 1e-9
    if low > 0.9:
        assert first <= second + 1e-9
    elif high < 0.5 or 0.5 <= low <= high <= 0.9:
        assert first >= second - 1e-9


@given(st.floats(0.001, 10**6), BASE, RULES)
def test_what_was_learnt_under_other_rules_comes_within_these_and_stays(
    current: float, base: float, rules: Adaptive
) -> None:
    found = clamped(current, base, rules)
    assert rules.least * base <= found <= rules.most * base
    assert clamped(found, base, rules) == found
    assert found == current or not rules.least * base <= current <= rules.most * base


@pytest.mark.parametrize(
    "given", [{"base": 0}, {"base": -1}, {"strategy": "quantil"}, {"least": 2}, {"most": 0.5}, {"least": 0}]
)
def test_rules_that_make_no_sense_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        Adaptive(**given)  # type: ignore[arg-type]


def test_the_bases_are_those_of_the_five_types() -> None:
    assert BASES == {"lock": 30, "queue": 300, "renewal": 10, "connection": 5, "operation": 60}


def test_a_bucket_speaks_for_its_values() -> None:
    assert middle(bucket(60.0)) == pytest.approx(60.0, rel=ERROR * 1.01)


def test_a_latency_that_doubles_at_once_is_caught_up_with_in_eight_moves() -> None:
    # It had settled at 1.5 times the old latency; from then on everything is cut off until it is past the new one.
    base, latency, rules = 60.0, 40.0, Adaptive()
    seen, current, moves = seen_of([latency] * 1000), MARGIN * latency, 0
    while current <= 2 * latency:
        for _ in range(10):
            seen.latencies.add_at(cut_off_at(current, current), 1)
        seen = Seen(seen.latencies, seen.successes, seen.timeouts + 10)
        current, moves = following(current, base, seen, rules), moves + 1
    assert moves <= 8
