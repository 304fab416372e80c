"""The clocks of a job as values: what nobody chose has a floor, and what is no time is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.errors import InvalidInput
from coordinator.model.names import MAX_SECONDS
from coordinator.policy.shed import shrunk
from coordinator.policy.timeout import Learnt, TimeoutPolicy

SECONDS = st.floats(0.001, 10**6)


@given(SECONDS, st.one_of(st.none(), SECONDS), st.floats(0, 2), st.floats(0, 2))
def test_a_learnt_wait_shrinks_with_the_crowd_and_never_below_its_least(
    seconds: float, least: float | None, one: float, other: float
) -> None:
    found = Learnt(seconds, least)
    assert found == seconds
    assert found.least == (seconds if least is None else min(least, seconds))
    emptier, fuller = (shrunk(found, found.least, filled) for filled in sorted((one, other)))
    assert found.least <= fuller <= emptier <= found
    if least is None:
        assert fuller == found


@given(st.sampled_from(["wait", "run", "total"]), st.floats(allow_nan=True, allow_infinity=True))
def test_a_clock_takes_every_time_from_a_millisecond_on_and_nothing_else(name: str, seconds: float) -> None:
    if 0.001 <= seconds <= MAX_SECONDS:
        assert getattr(TimeoutPolicy(**{name: seconds}), name) == seconds
    elif math.isnan(seconds) or not 0.0005 <= seconds <= MAX_SECONDS:
        with pytest.raises(InvalidInput):
            TimeoutPolicy(**{name: seconds})
