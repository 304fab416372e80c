"""How long a lease may be believed in: never as long as the server keeps it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.policy.trust import LEAST_MARGIN, LEAST_PAUSE, beat_interval, pause_after, trusted_until

leases = st.floats(0.05, 10**6)


@given(st.floats(0, 10**6), leases)
def test_trust_ends_before_the_lease(sent: float, lease: float) -> None:
    assert trusted_until(sent, lease) <= sent + lease - LEAST_MARGIN + 1e-6


@given(leases, leases)
def test_a_longer_lease_is_trusted_longer(one: float, other: float) -> None:
    assert (trusted_until(0, one) <= trusted_until(0, other)) == (one <= other)


def test_the_margin_is_a_tenth_and_at_least_50_ms() -> None:
    assert trusted_until(100, 10) == pytest.approx(109)
    assert trusted_until(100, 0.1) == pytest.approx(100.05)


def test_of_a_long_lease_the_margin_is_a_second_and_a_thousandth() -> None:
    assert trusted_until(0, 86_400) == pytest.approx(86_400 - 1 - 86.4)


@given(st.floats(1, 3600), st.floats(0.05, 60))
def test_two_renewals_may_be_lost_and_sweeps_are_never_rarer_than_asked(session_ttl: float, sweep: float) -> None:
    interval = beat_interval(session_ttl, sweep)
    assert 0 < interval <= sweep
    # With the third beat in a row the lease is still believed in.
    assert 2 * interval < trusted_until(0, session_ttl)


def test_a_session_is_renewed_three_times_within_its_life() -> None:
    assert beat_interval(3, 60) == 1
    assert beat_interval(60, 1) == 1


@given(st.integers(-1, 10**6), st.floats(0, 10), st.floats(LEAST_PAUSE, 60))
def test_a_heartbeat_is_never_later_than_asked(due_ms: int, took: float, interval: float) -> None:
    pause = pause_after(due_ms, took, interval)
    assert 0 < pause <= max(LEAST_PAUSE, min(interval, due_ms / 1000))
    assert pause >= LEAST_PAUSE or due_ms < 0


def test_who_has_something_left_goes_on_for_a_third_of_the_time() -> None:
    assert pause_after(-1, 0.004, 1.0) == 0.008
    assert (pause_after(-1, 5.0, 1.0), pause_after(-1, 0.0, 1.0)) == (LEAST_PAUSE, 0.002)
