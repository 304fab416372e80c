"""Whom a steal takes from: as few as it needs, and nobody more urgent than one whom it spares."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from coordinator import Need, Priority
from coordinator.policy.robbing import to_be_robbed

people = st.lists(st.tuples(st.sampled_from(Priority), st.integers(1, 3), st.integers(0, 99)), min_size=1, max_size=12)


def holder(ident: str, priority: int, permits: int = 1, since: float = 0, mode: str = "exclusive", at: str = "") -> Any:
    return SimpleNamespace(ident=ident, priority=priority, permits=permits, since=since, mode=mode, resource=at)


def look(*needs: tuple[Need, int, list[Any]]) -> Any:
    views = [SimpleNamespace(need=need, capacity=capacity, holders=tuple(have)) for need, capacity, have in needs]
    return SimpleNamespace(ident="me", needs=tuple(views))


@given(people, st.integers(1, 40), st.integers(0, 5), st.integers(1, 5))
def test_of_permits_the_least_urgent_give_theirs_until_it_fits(
    held: list[tuple[Priority, int, int]], wanted: int, free: int, size: int
) -> None:
    capacity = sum(permits for _, permits, _ in held) + free
    wanted = min(wanted, capacity)
    have = [holder(f"h{n}", *one) for n, one in enumerate(held)]
    pages = [have[at : at + size] for at in range(0, len(have), size)]
    taken = to_be_robbed([look((Need("a", permits=wanted), capacity, page)) for page in pages])
    ordered = sorted(have, key=lambda one: (one.priority, -one.since))
    assert taken == [one.ident for one in ordered[: len(taken)]]
    freed = free + sum(one.permits for one in ordered[: len(taken)])
    assert freed >= wanted
    assert not taken or freed - ordered[len(taken) - 1].permits < wanted


def test_whoever_cannot_have_it_beside_goes_and_nobody_else() -> None:
    shared = [holder(f"s{n}", 3 - n, mode="shared") for n in range(3)]
    assert to_be_robbed([look((Need("a"), 1, shared))]) == ["s2", "s1", "s0"]
    assert to_be_robbed([look((Need("a", "shared"), 1, shared))]) == []
    below = [holder("below", 4, at="a/b"), holder("me", 0)]
    assert to_be_robbed([look((Need("a/**"), 1, below))]) == ["below"]


def test_who_has_to_go_anyhow_spares_others_their_permits() -> None:
    both = holder("both", 4, permits=2)
    few = [holder("few", 0), both]
    taken = to_be_robbed([look((Need("a"), 3, few), (Need("b", "shared"), 9, [both]))])
    assert taken == ["both"]
