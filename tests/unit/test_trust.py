"""How long a lease may be believed in: never as long as the server keeps it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.policy.trust import LEAST_MARGIN, beat_interval, trusted_until

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
