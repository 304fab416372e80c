"""Escalation: a level for every three timeouts in a row, up to the fifth, and back with the first success."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.policy.escalation import AFTER, GROWTH, HIGHEST, PAUSE, Escalation, EscalationPolicy

# True: a success; a number: a timeout of a run that began so many levels below the present one.
histories = st.lists(st.one_of(st.just(True), st.integers(0, HIGHEST)), max_size=60)


def after(history: list[int | bool]) -> list[Escalation]:
    states = [Escalation()]
    for one in history:
        now = states[-1]
        states.append(now.succeeded() if one is True else now.timed_out(max(0, now.level - one)))
    return states


@given(histories)
def test_the_level_stays_within_its_bounds_and_moves_by_one_at_a_time(history: list[int | bool]) -> None:
    states = after(history)
    for before, now in pairwise(states):
        assert 0 <= now.level <= HIGHEST
        assert now.level in (before.level, before.level + 1, 0)
        assert 1 <= now.factor <= GROWTH**HIGHEST
        assert 0 <= now.late <= AFTER


@given(histories)
def test_a_success_ends_it(history: list[int | bool]) -> None:
    assert after([*history, True])[-1] == Escalation()


@given(st.integers(0, 40))
def test_every_third_timeout_in_a_row_is_a_level(times: int) -> None:
    assert after([0] * times)[-1].level == min(times // AFTER, HIGHEST)


@given(histories, st.integers(1, HIGHEST))
def test_a_run_that_began_under_a_lower_level_counts_for_nothing(history: list[int | bool], lower: int) -> None:
    now = after(history)[-1]
    if now.level >= lower:
        assert now.timed_out(now.level - lower) == now


@given(histories, st.floats(0.001, 10**6))
def test_pauses_grow_with_the_level_and_are_none_without(history: list[int | bool], base: float) -> None:
    for one in after(history):
        assert one.pause(base) == (pytest.approx(base * PAUSE * GROWTH**one.level) if one.level else 0)


def test_the_formula_by_hand() -> None:
    assert [Escalation(level).factor for level in (0, 1, 2, 5)] == [1, 1.5, 2.25, 7.59375]
    assert [Escalation(level).pause(60) for level in (0, 1, 2)] == [0, 22.5, 33.75]
    policy = EscalationPolicy(after=1, factor=2, most=2, pause=0.5)
    assert [Escalation(level, policy=policy).factor for level in (0, 1, 2, 3)] == [1, 2, 4, 4]
    assert [Escalation(level, policy=policy).pause(60) for level in (0, 1)] == [0, 60]
    assert Escalation(policy=policy).timed_out(0).timed_out(1).timed_out(2) == Escalation(2, 1, policy)
    assert Escalation(policy=EscalationPolicy(most=0)).timed_out(0).timed_out(0).timed_out(0).level == 0
