"""Adaptive backoff: bounded by its ladder, never shorter for a later attempt, and led by what retries have come to."""

from hypothesis import given
from hypothesis import strategies as st

from coordinator.policy.backoff import ENOUGH, HALF_LIFE, LAST_OCTAVE, Record, Tally, octave, step
from coordinator.policy.retry import RetryPolicy

tallies = st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda two: Tally(max(two), min(two)))
records = st.dictionaries(st.integers(0, 20), tallies, max_size=12)
ladders = st.lists(st.integers(1, 10**6), min_size=1, max_size=30).map(lambda ms: [one / 1000 for one in sorted(ms)])
policies = st.builds(
    lambda base, more, factor: RetryPolicy(1000, base / 1000, (base + more) / 1000, factor / 10, 0, "adaptive"),
    st.integers(1, 10**6),
    st.integers(0, 10**6),
    st.integers(10, 50),
)


@given(ladders, st.integers(0, 40), records)
def test_a_step_is_on_the_ladder_and_not_before_the_one_asked_for(
    delays: list[float], least: int, record: Record
) -> None:
    found = step(least, delays, record)
    assert found == least if least >= len(delays) - 1 else least <= found < len(delays)


@given(ladders, st.integers(0, 40), records)
def test_a_later_attempt_never_takes_an_earlier_step(delays: list[float], least: int, record: Record) -> None:
    assert step(least, delays, record) <= step(least + 1, delays, record)


@given(policies, st.integers(1, 60))
def test_with_nothing_known_it_is_exponential_backoff(policy: RetryPolicy, attempts: int) -> None:
    plain = RetryPolicy(1000, policy.base, policy.cap, policy.factor, 0, "exponential")
    assert policy.delay(attempts, 0.5) == plain.delay(attempts, 0.5) == policy.delay(attempts, 0.5, {0: Tally()})


@given(policies, st.integers(1, 60), records)
def test_it_stays_between_exponential_backoff_and_the_cap(policy: RetryPolicy, attempts: int, record: Record) -> None:
    plain, found = policy.delay(attempts, 0.5), policy.delay(attempts, 0.5, record)
    assert plain is not None
    assert found is not None
    assert plain <= found <= policy.cap


@given(ladders, st.integers(0, 40), records)
def test_a_success_at_the_step_taken_does_not_lengthen_the_wait(
    delays: list[float], least: int, record: Record
) -> None:
    before = step(least, delays, record)
    place = octave(round(delays[min(before, len(delays) - 1)] * 1000))
    known = record.get(place, Tally())
    better = {**record, place: Tally(known.tries + 1, known.successes + 1)}
    assert step(least, delays, better) <= before


def test_a_delay_after_which_retries_fail_is_passed_over() -> None:
    policy = RetryPolicy(5, 1, 60, 2, 0, "adaptive")
    bad = Tally(ENOUGH, ENOUGH * 0.4)
    assert policy.delay(1, 0.5, {octave(1000): bad}) == 2
    assert policy.delay(1, 0.5, {octave(1000): bad, octave(2000): bad}) == 4
    assert policy.delay(1, 0.5, {octave(1000): Tally(ENOUGH - 1, 0)}) == 1, "too little to go by"
    assert policy.delay(1, 0.5, {octave(1000): Tally(ENOUGH, ENOUGH / 2)}) == 1, "half of them succeed"


def test_where_all_are_hopeless_the_best_is_taken_and_of_equals_the_shortest() -> None:
    policy = RetryPolicy(5, 1, 8, 2, 0, "adaptive")
    flat = {place: Tally(10, 3) for place in range(LAST_OCTAVE)}
    assert policy.delay(1, 0.5, flat) == 1
    assert policy.delay(1, 0.5, {**flat, octave(4000): Tally(10, 4)}) == 4


def test_what_is_known_fades() -> None:
    assert Tally(8, 2).after(HALF_LIFE) == Tally(4, 1)
    assert Tally(8, 2).hopeless
    assert not Tally(8, 2).after(HALF_LIFE).hopeless
    assert Tally(8, 2).after(-5) == Tally(8, 2)


@given(st.integers(-5, 10**15))
def test_octaves_are_counted_in_doublings(delay_ms: int) -> None:
    found = octave(delay_ms)
    assert 0 <= found <= LAST_OCTAVE
    if 1 <= delay_ms < 2 ** (LAST_OCTAVE + 1):
        assert 2**found <= delay_ms < 2 ** (found + 1)
