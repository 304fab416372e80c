"""The breaker as a value: it opens when it should, lets exactly its probes through, and always recovers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.errors import InvalidInput
from coordinator.policy import breaker
from coordinator.policy.breaker import CLOSED, Breaker, BreakerPolicy

POLICIES = st.builds(
    BreakerPolicy,
    failures=st.integers(1, 6),
    successes=st.integers(1, 4),
    open_for=st.sampled_from([0.01, 0.5, 3.0]),
    window=st.sampled_from([0.05, 1.0, 4.0]),
    probes=st.integers(1, 3),
)
# What happens, and how many ms after the last: a run begins, or one of those that run ends.
HISTORIES = st.lists(
    st.tuples(st.integers(0, 2000), st.sampled_from(["begin", "good", "bad", "nothing"]), st.integers(0, 50)),
    max_size=60,
)
DEFAULT = BreakerPolicy()


def live(policy: BreakerPolicy, history: list[tuple[int, str, int]]) -> tuple[Breaker, int, list[Breaker]]:
    """A breaker after a history, the time, and how it was after each step."""
    now, found, running, seen = 0, CLOSED, [], []
    for number, (pause, what, which) in enumerate(history):
        now += pause
        found = breaker.looked_at(found, now)
        room = breaker.room(policy, found, now)
        if what == "begin":
            if room is None or room > 0:
                running.append(f"r{number}")
                found = breaker.begun(found, running[-1], now)
        elif running:
            run = running.pop(which % len(running))
            end = {"good": breaker.succeeded, "bad": breaker.failed}.get(what)
            found = end(policy, found, run, now) if end else breaker.ended(found, run)
        seen.append(found)
        assert breaker.placed(policy, found, now) <= policy.probes
    return found, now, seen


@given(POLICIES, HISTORIES, st.booleans(), st.booleans())
def test_whatever_has_happened_it_recovers_once_runs_succeed(
    policy: BreakerPolicy, history: list, ends: bool, more_hang: bool
) -> None:
    found, now, _ = live(policy, history)
    for probe in found.runs if ends else ():  # else they never end
        found = breaker.ended(found, probe)
    now += round(policy.open_for * 1000)
    for number in range(policy.successes):
        found = breaker.looked_at(found, now)
        if found.state == "closed":
            break
        if more_hang:
            for place in range(breaker.room(policy, found, now) or 0):
                found = breaker.begun(found, f"h{number}-{place}", now)
            assert (
                breaker.room(policy, found, now) == breaker.room(policy, found, now + 1) == 0 or policy.open_for < 0.1
            )
            now += round(policy.open_for * 1000)
        assert breaker.room(policy, found, now) == policy.probes
        found = breaker.succeeded(policy, breaker.begun(found, f"p{number}", now), f"p{number}", now)
    assert found.state == "closed"
    assert breaker.room(policy, found, now) is None


def test_a_probe_that_hangs_has_its_place_for_as_long_as_it_was_open_and_counts_when_it_ends() -> None:
    half = breaker.begun(breaker.looked_at(breaker.opened(DEFAULT, 0), 30_000), "hangs", 30_000)
    assert [breaker.room(DEFAULT, half, at) for at in (59_999, 60_000)] == [0, 1]
    next_one = breaker.begun(half, "next", 60_000)
    assert breaker.room(DEFAULT, next_one, 60_001) == 0
    assert breaker.succeeded(DEFAULT, next_one, "hangs", 60_001).passed == 1
    assert breaker.failed(DEFAULT, next_one, "hangs", 60_001).state == "open"


def test_of_very_many_probes_that_hang_the_oldest_are_forgotten() -> None:
    found = breaker.looked_at(breaker.opened(DEFAULT, 0), 30_000)
    for number in range(breaker.MAX_KNOWN + 1):
        found = breaker.begun(found, f"p{number}", 30_000 * (number + 1))
    assert len(found.probing) == breaker.MAX_KNOWN
    assert "p0" not in found.runs


@given(POLICIES, HISTORIES)
def test_there_are_never_more_probes_than_it_allows(policy: BreakerPolicy, history: list) -> None:
    for found in live(policy, history)[2]:
        assert len(found.failed) < policy.failures
        assert (found.state == "open") == (found.until > 0)


@given(POLICIES, st.lists(st.booleans(), max_size=100))
def test_failures_that_successes_outnumber_never_open_it(policy: BreakerPolicy, runs: list[bool]) -> None:
    found, surplus = CLOSED, 0
    for number, good in enumerate(runs):
        found = (breaker.succeeded if good else breaker.failed)(policy, found, "r", number)
        surplus = max(0, surplus - 1) if good else surplus + 1
        if surplus >= policy.failures:
            return
        assert found.state == "closed"


def test_five_failures_within_the_window_open_it_and_four_do_not() -> None:
    found = CLOSED
    for at in (0, 20_000, 40_000, 59_000):
        found = breaker.failed(DEFAULT, found, "r", at)
    assert breaker.failed(DEFAULT, found, "r", 60_000).state == "closed"  # the first is 60 s old
    found = breaker.failed(DEFAULT, found, "r", 59_999)
    assert (found.state, found.until) == ("open", 89_999)
    assert breaker.looked_at(found, 89_998).state == "open"
    assert breaker.looked_at(found, 89_999).state == "half_open"


def test_what_began_before_it_opened_does_not_count() -> None:
    found = breaker.opened(DEFAULT, 0)
    assert breaker.failed(DEFAULT, found, "old", 10) == found
    assert breaker.succeeded(DEFAULT, found, "old", 10) == found
    half = breaker.begun(breaker.looked_at(found, 30_000), "probe", 30_000)
    assert breaker.failed(DEFAULT, half, "old", 30_001) == half
    assert breaker.succeeded(DEFAULT, half, "old", 30_001) == half
    assert breaker.failed(DEFAULT, half, "probe", 30_001).state == "open"


@pytest.mark.parametrize(
    "wrong",
    [{"failures": 0}, {"failures": 101}, {"successes": 0}, {"probes": 65}, {"open_for": 0}, {"window": float("nan")}],
)
def test_policies_that_make_no_sense_are_refused(wrong: dict) -> None:
    with pytest.raises(InvalidInput):
        BreakerPolicy(**wrong)


def test_it_travels_as_text() -> None:
    assert DEFAULT.to_wire() == "5:3:30000:60000:1"
