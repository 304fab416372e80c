"""Who is next where several share by weights."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.errors import InvalidInput
from coordinator.policy import share
from coordinator.policy.share import WEIGHTS

SOME = settings(max_examples=60, deadline=None)
ANY = st.lists(st.integers(1, 20), min_size=1, max_size=6).map(tuple)
EMERGENCY, LOW = 0, 4


def run(weights: tuple[int, ...], turns: int, leads: share.Leads | None = None) -> list[int]:
    """Who had the turns, all being busy throughout."""
    leads = leads or share.at_rest(weights)
    had = []
    for _ in range(turns):
        one = share.following(leads, range(len(weights)))
        assert one is not None
        had.append(one)
        leads = share.taken(leads, weights, one)
    return had


def test_a_round_of_the_priorities() -> None:
    had = run(WEIGHTS, 31)
    assert [had.count(one) for one in range(5)] == list(WEIGHTS)
    assert had[:7] == [0, 1, 2, 3, 4, 0, 0]
    assert share.patience(WEIGHTS, LOW) == 34


@SOME
@given(ANY, st.integers(1, 400))
def test_all_busy_each_has_its_share_within_a_few_turns(weights: tuple[int, ...], turns: int) -> None:
    had, whole = run(weights, turns), sum(weights)
    for one, weight in enumerate(weights):
        assert abs(had.count(one) - turns * weight / whole) <= len(weights)


@SOME
@given(ANY, st.data())
def test_whole_rounds_are_exact(weights: tuple[int, ...], data: st.DataObject) -> None:
    rounds = data.draw(st.integers(1, 4))
    had = run(weights, rounds * sum(weights))
    if max(weights) <= 16:
        assert [had.count(one) for one in range(len(weights))] == [rounds * weight for weight in weights]


@SOME
@given(ANY, st.data())
def test_nobody_waits_for_longer_than_its_patience(weights: tuple[int, ...], data: st.DataObject) -> None:
    """Whatever the others do: at each turn some of them are busy, and one of ours is all the time."""
    leads, waited = share.at_rest(weights), 0
    ours = data.draw(st.integers(0, len(weights) - 1))
    for busy in data.draw(st.lists(st.sets(st.integers(0, len(weights) - 1)), max_size=60)):
        one = share.following(leads, {*busy, ours})
        assert one is not None
        leads = share.taken(leads, weights, one)
        waited = 0 if one == ours else waited + 1
        assert waited <= share.patience(weights, ours)
        assert all(0 <= lead <= share.stride(weight) for lead, weight in zip(leads, weights, strict=True))


@SOME
@given(ANY, st.integers(0, 5), st.integers(1, 100))
def test_who_has_nothing_to_do_neither_pays_nor_saves_up(weights: tuple[int, ...], idle: int, turns: int) -> None:
    idle %= len(weights)
    others = [one for one in range(len(weights)) if one != idle]
    leads, had = share.at_rest(weights), []
    for _ in range(turns):
        one = share.following(leads, others)
        if one is None:
            return
        had.append(one)
        leads = share.taken(leads, weights, one)
    # The others are served as if it were not there.
    alone = run(tuple(weights[one] for one in others), turns)
    assert had == [others[one] for one in alone]
    # Come back it has its share from then on, and at most one turn of what it left.
    back = run(weights, sum(weights), leads)
    assert abs(back.count(idle) - weights[idle]) <= len(weights)


def test_a_turn_that_was_not_taken_costs_nothing() -> None:
    leads = share.at_rest(WEIGHTS)
    assert share.following(leads, {LOW}) == LOW
    assert share.following(leads, {LOW, EMERGENCY}) == EMERGENCY
    assert share.following(leads, ()) is None
    leads = share.taken(leads, WEIGHTS, LOW)
    assert leads == (0, 0, 0, 0, share.SCALE)


def test_weights_are_checked() -> None:
    assert share.checked([5, 4, 3, 2, 1], "weights") == (5, 4, 3, 2, 1)
    for bad in ([1, 2, 3], [0, 1, 1, 1, 1], [1, 1, 1, 1, 1001], [1, 1, 1, 1, 1.5]):
        with pytest.raises(InvalidInput):
            share.checked(bad, "weights")  # type: ignore[arg-type]
