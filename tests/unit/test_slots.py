"""How namespaces share the slots of a process: a promise to each, no wall between them, never more than there are."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from coordinator.errors import InvalidInput
from coordinator.policy import slots
from workers.pool import Pool, SharedDesk

WEIGHTS = st.lists(st.integers(1, 1000), min_size=1, max_size=8)
TOTALS = st.integers(8, 500)


@given(TOTALS, WEIGHTS)
def test_shares_add_up_and_nobody_goes_without(total: int, weights: list[int]) -> None:
    found = slots.shares(total, weights)
    assert sum(found) == total
    assert min(found) >= 1
    for share, weight in zip(found, weights, strict=True):
        assert abs(share - 1 - (total - len(weights)) * weight / sum(weights)) < 1


@given(TOTALS, WEIGHTS)
def test_a_larger_weight_is_never_a_smaller_share(total: int, weights: list[int]) -> None:
    found = sorted(zip(weights, slots.shares(total, weights), strict=True))
    for (lighter, less), (heavier, more) in pairwise(found):
        assert less <= more or lighter == heavier


@given(TOTALS, st.lists(st.integers(0, 100), min_size=1, max_size=8), st.integers(1, 100), st.booleans())
def test_there_is_never_room_for_more_than_there_is(total: int, taken: list[int], share: int, owed: bool) -> None:
    found = slots.room(total, taken, share, 0, owed)
    assert 0 <= found <= max(0, total - sum(taken))
    if owed:
        assert found <= max(0, share - taken[0])
    else:
        assert found == max(0, total - sum(taken))


def test_fewer_slots_than_namespaces_are_refused() -> None:
    with pytest.raises(InvalidInput, match="at least 3"):
        slots.shares(2, [1, 1, 1])


# What a desk does: claim all that it may, get an answer of so many jobs, end one.
STEPS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["ask", "answer", "end", "park"]), st.integers(0, 64)))


def step(desk: SharedDesk, what: str, jobs: int) -> None:
    if what == "ask" and not desk.asked and not desk.parked:
        desk.asked = min(jobs, desk.free)
    elif what == "answer":
        came = min(jobs, desk.asked) if desk.asked else int(desk.parked and jobs > 0)
        desk.parked = desk.parked and not came
        desk.answered()
        for _ in range(came):
            desk.occupy()
    elif what == "end" and desk.taken:
        desk.vacate()
    elif what == "park" and not desk.asked and not desk.parked:
        desk.parked = desk.free > 0


@given(st.integers(3, 40), st.lists(st.integers(1, 9), min_size=3, max_size=3), STEPS)
@example(3, [1, 1, 1], [(0, "park", 0), (1, "ask", 9), (1, "answer", 9), (0, "answer", 1)])
def test_whatever_happens_no_more_jobs_run_than_there_are_slots(
    total: int, weights: list[int], steps: list[tuple[int, str, int]]
) -> None:
    pool = Pool(total, weights)
    for which, what, jobs in steps:
        step(pool.desks[which], what, jobs)
        assert sum(one.held for one in pool.desks) <= total


@given(st.integers(3, 40), st.lists(st.integers(1, 9), min_size=3, max_size=3), STEPS)
def test_who_is_owed_slots_has_them_once_runs_end_and_is_told(
    total: int, weights: list[int], steps: list[tuple[int, str, int]]
) -> None:
    pool = Pool(total, weights)
    for which, what, jobs in steps:
        step(pool.desks[which], what, jobs)
    owed, others = pool.desks[0], pool.desks[1:]
    for desk in pool.desks:
        step(desk, "answer", 0)
        desk.parked = False
    # All want as much as they can have, and one run after the other ends.
    while owed.taken < pool.shares[0]:
        before = owed.taken
        owed.changed.clear()
        step(owed, "ask", total)
        step(owed, "answer", total)
        for one in others:
            step(one, "ask", total)
            step(one, "answer", total)
        if owed.taken == before:
            assert owed.short
            ends = max(others, key=lambda one: one.taken)
            ends.vacate()
            assert owed.changed.is_set()
            assert owed.free > 0
