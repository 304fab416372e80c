"""When a failed job runs again: bounded in time and in number, whatever the chance."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.errors import Corrupt, InvalidInput
from coordinator.policy.outcome import Failed, Retry, after_failure
from coordinator.policy.retry import STRATEGIES, RetryPolicy

milliseconds = st.integers(0, 10**7).map(lambda ms: ms / 1000)
policies = st.builds(
    lambda times, **more: RetryPolicy(base=min(times), cap=max(times), **more),
    st.tuples(milliseconds, milliseconds),
    max_attempts=st.integers(1, 1000),
    factor=st.floats(1, 1000),
    jitter=st.floats(0, 1),
    strategy=st.sampled_from(STRATEGIES),
)
chances = st.floats(0, 1, exclude_max=True)


@given(policies, st.integers(1, 2000), chances)
def test_a_delay_is_never_negative_nor_beyond_the_cap_and_its_jitter(
    policy: RetryPolicy, attempts: int, chance: float
) -> None:
    delay = policy.delay(attempts, chance)
    if attempts >= policy.max_attempts:
        assert delay is None
    else:
        assert delay is not None
        assert 0 <= delay <= policy.cap * (1 + policy.jitter) + 1e-9


@given(policies, st.integers(1, 100))
def test_without_jitter_delays_only_grow(policy: RetryPolicy, attempts: int) -> None:
    steady = RetryPolicy(1000, policy.base, policy.cap, policy.factor, 0, policy.strategy)
    one, next_one = steady.delay(attempts, 0.0), steady.delay(attempts + 1, 0.99)
    assert one is not None
    assert next_one is not None
    assert one <= next_one


@given(policies)
def test_a_policy_comes_back_from_the_wire_as_it_was(policy: RetryPolicy) -> None:
    assert RetryPolicy.from_wire(policy.to_wire()) == policy
    assert "e" not in policy.to_wire().rpartition(" ")[0]


@given(policies, policies)
def test_different_policies_have_different_texts(one: RetryPolicy, other: RetryPolicy) -> None:
    assert (one.to_wire() == other.to_wire()) == (one == other)


@given(policies, st.integers(1, 999))
def test_without_a_base_it_runs_again_at_once_however_often(policy: RetryPolicy, attempts: int) -> None:
    at_once = RetryPolicy(1000, 0, policy.cap, policy.factor, policy.jitter, policy.strategy)
    assert at_once.delay(attempts, 0.9) == 0


def test_the_formula_by_hand() -> None:
    policy = RetryPolicy(max_attempts=6, base=1, cap=5, factor=2, jitter=0)
    assert [policy.delay(n, 0.5) for n in range(1, 7)] == [1, 2, 4, 5, 5, None]
    assert [RetryPolicy(9, 2, 5, 3, 0.5, "fixed").delay(n, 0.0) for n in (1, 2, 8)] == [2, 2, 2]
    assert [RetryPolicy(9, 2, 5, 3, 0.5, "linear").delay(n, 0.0) for n in (1, 2, 3)] == [2, 4, 5]
    assert [RetryPolicy(9, 1, 5, 2, 0.5, "exponential").delay(n, 0.0) for n in (1, 2, 4)] == [1, 2, 5]
    assert RetryPolicy(jitter=0.5).delay(1, 0.0) == 0.5
    assert RetryPolicy.aggressive() == RetryPolicy(5, 0.5, 60, 1.5, 0.2, "adaptive")
    assert RetryPolicy.aggressive().to_wire() == "5 500 60000 1.5 0.2 adaptive"
    assert RetryPolicy.default().to_wire() == "3 1000 30000 2 0.1"
    assert RetryPolicy.none().delay(1, 0.0) is None
    assert RetryPolicy.default() == RetryPolicy() == RetryPolicy.from_wire("")


@pytest.mark.parametrize(
    "given_values",
    [
        {"max_attempts": 0},
        {"max_attempts": 1001},
        {"base": -1},
        {"cap": float("nan")},
        {"factor": 0.5},
        {"jitter": 1.1},
        {"base": 31},
        {"base": 0.0005},
        {"factor": 1001},
        {"strategy": "exponentially"},
    ],
)
def test_a_policy_that_cannot_work_is_refused(given_values: dict[str, float]) -> None:
    with pytest.raises(InvalidInput):
        RetryPolicy(**given_values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wire", ["3", "a b c d e", "3 1000 30000 2 0.1 9", "-1 1 1 1 1", "3 1e9 1 1 1", "3 2 1 1 0", "3 1 1 1 0 odd"]
)
def test_other_text_is_corrupt(wire: str) -> None:
    with pytest.raises(Corrupt):
        RetryPolicy.from_wire(wire)


def test_after_a_failure_it_is_tried_again_or_given_up() -> None:
    policy = RetryPolicy(max_attempts=2, base=3, jitter=0)
    assert after_failure(policy, 1, "broke", 0.5) == Retry(3, "broke")
    given_up = after_failure(policy, 2, "broke", 0.5)
    assert given_up == Failed("broke")
    assert isinstance(given_up, Failed)
    assert given_up.pause == 3


@pytest.mark.parametrize(("policy", "pause"), [(RetryPolicy.none(), 0), (RetryPolicy(max_attempts=2, base=0), 0.001)])
def test_who_runs_once_is_never_tried_again_and_who_runs_again_at_once_is_told_from_that(
    policy: RetryPolicy, pause: float
) -> None:
    given_up = after_failure(policy, policy.max_attempts, "broke", 0.5)
    assert isinstance(given_up, Failed)
    assert given_up.pause == pause
