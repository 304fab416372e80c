"""The policy of shedding: who is refused, when it ends, and how long to wait."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.errors import ConfigError
from coordinator.model.names import Priority
from coordinator.policy import shed
from coordinator.policy.shed import Band, Shedding
from coordinator.settings import Settings

shares = st.floats(shed.LEAST_END, 1)
policies = st.tuples(shares, shares).map(lambda two: Shedding(max(two), min(two)))
limits = st.integers(1, 10**8)
levels = st.integers(0, 2)


@st.composite
def queues(draw: st.DrawFn) -> tuple[tuple[Band, Band], int, int]:
    """Bands, their limit, and how many jobs there are."""
    limit = draw(limits)
    return draw(policies).bands(limit), limit, draw(st.integers(0, 2 * limit))


def test_the_levels_of_the_default() -> None:
    assert Shedding().bands(100_000) == (Band(80_000, 70_000), Band(90_000, 80_000))


@given(queues(), levels)
def test_who_is_more_urgent_is_never_refused_where_a_less_urgent_one_is_let_in(
    queue: tuple[tuple[Band, Band], int, int], before: int
) -> None:
    bands, limit, count = queue
    at = shed.level(before, count, bands)
    refused = [shed.refuses(at, priority) for priority in Priority]
    assert refused == sorted(refused, reverse=True)
    assert not any(refused[Priority.HIGH :])
    if count >= limit:
        assert refused[Priority.LOW]
        assert refused[Priority.NORMAL]


@given(queues(), levels, levels, st.integers(0, 1000))
def test_more_jobs_or_a_higher_level_before_never_lower_the_level(
    queue: tuple[tuple[Band, Band], int, int], before: int, other: int, more: int
) -> None:
    bands, _, count = queue
    lower, higher = sorted((before, other))
    assert shed.level(lower, count, bands) <= shed.level(higher, count + more, bands)


@given(queues(), levels)
def test_a_level_that_is_found_stays_until_the_count_changes(
    queue: tuple[tuple[Band, Band], int, int], before: int
) -> None:
    bands, _, count = queue
    at = shed.level(before, count, bands)
    assert shed.level(at, count, bands) == at


@given(policies, limits)
def test_a_level_begins_no_lower_than_it_ends_and_an_empty_queue_takes_everybody(policy: Shedding, limit: int) -> None:
    bands = policy.bands(limit)
    for band in bands:
        assert 1 <= band.ends <= band.begins <= limit
    assert bands[0].begins <= bands[1].begins
    assert bands[0].ends <= bands[1].ends
    assert shed.level(2, 0, bands) == 0


@given(st.lists(st.sampled_from((-1, 1)), max_size=300))
def test_a_queue_at_the_edge_does_not_flap(steps: list[int]) -> None:
    """Between two changes of the level lie as many jobs as between where it begins and where it ends."""
    bands = Shedding().bands(100)
    count, at, changed = 78, 0, [78]
    for step in steps:
        count += step
        found = min(1, shed.level(at, count, bands))
        if found != at:
            at = found
            changed.append(count)
    assert all(abs(one - two) >= 10 for one, two in pairwise(changed[1:]))


@given(st.floats(0, 10**6), st.integers(0, 10**8), st.integers(0, 10**8))
def test_the_pause_is_bounded_and_grows_with_what_must_go(waited: float, count: int, until: int) -> None:
    pause = shed.retry_after(waited, count, until)
    assert shed.SHORTEST <= pause <= shed.LONGEST
    assert pause <= shed.retry_after(waited, count, until // 2)


def test_the_pause_follows_the_rate_at_which_jobs_leave() -> None:
    # 50 jobs in 10 s are 5 a second; 30 must go.
    assert shed.retry_after(10, 100, 70) == 6


def test_settings_carry_the_shares_and_it_can_be_switched_off() -> None:
    terms = Settings.of(max_queue=1000, shed={"begin": 0.5, "end": 0.4}).terms()
    assert (terms.shedding, terms.shed_begin, terms.shed_end) == (1, 500, 400)
    assert Settings.of(shed={"enabled": False}).terms().shedding == 0
    with pytest.raises(ConfigError, match=r"end \(0.9\) must be at most begin \(0.8\)"):
        Settings.of(shed={"end": 0.9})


@given(st.integers(1, 9), st.integers(0, 12), st.integers(0, 25), st.floats(0.001, 10**8), st.floats(0, 1))
def test_a_learnt_wait_shrinks_steadily_to_a_half_and_never_below_its_least(
    begins: int, room: int, count: int, learnt: float, share: float
) -> None:
    limit, least = begins + room, learnt * share

    def wait(there: int, seconds: float = learnt) -> float:
        return shed.shrunk(seconds, least, shed.fill(there, begins, limit))

    lowest = max(least, learnt / 2)
    assert wait(begins) == learnt
    assert lowest <= wait(count + 1) <= wait(count) <= min(learnt, wait(count, 2 * learnt))
    if room:
        assert wait(limit) == wait(limit + count) == lowest
        # No edge: one that comes more takes at most its part of that half.
        assert wait(count) - wait(count + 1) <= learnt / 2 / room + learnt * 1e-12
