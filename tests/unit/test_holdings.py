"""What is held, and a watch over it that sleeps as long as it may: no thread, no clock."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from coordinator.drivers.holdings import REPLACED, Early, Holdings
from coordinator.policy.wheel import TICK

# From the second of its heartbeat on a session is trusted for so long; the watch looks at least as often.
SESSION = 9.0
BEGIN = 1_000_000.0


@dataclass
class Held:
    """One that is held."""

    ident: str
    trusted_until: float
    fence: int = 1
    told: list[str] = field(default_factory=list)

    def lose(self, why: str) -> None:
        self.told.append(why)

    def ask_to_yield(self, grace: float | None) -> None:
        self.told.append(f"yield {grace}")


class Watch:
    """Looks when it has to, and when it is woken."""

    def __init__(self) -> None:
        self.holdings, self.now = Holdings(BEGIN), BEGIN
        self.over: dict[str, float] = {}
        self.look()

    def look(self) -> None:
        for one in self.holdings.over(self.now):
            assert one.ident not in self.over, "told twice"
            self.over[one.ident] = self.now
        assert self.holdings.sleep_until(self.now + SESSION) > self.now - TICK

    def go_on(self, seconds: float) -> None:
        ends = self.now + seconds
        while self.holdings.looks_at <= ends:
            self.now = max(self.now, self.holdings.looks_at)
            self.look()
        self.now = ends

    def add(self, held: Held) -> None:
        if self.holdings.add(held):
            self.look()


steps = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.sampled_from([0.0, 0.02, 0.3, 2.0, 8.99, 9.01, 40.0, 90_000.0, math.inf]) | st.floats(0, 30),
        st.floats(0, 12),
        st.booleans(),
    ),
    max_size=30,
)


@given(steps)
def test_each_is_told_once_in_time_and_never_when_it_was_let_go(steps: list[tuple[int, float, float, bool]]) -> None:
    watch = Watch()
    held: dict[str, Held] = {}
    since: dict[str, float] = {}
    for number, (slot, lasts, pause, let_go) in enumerate(steps):
        ident = str(slot)
        if let_go and ident in held:
            watch.holdings.drop(ident)
            del held[ident]
        else:
            # Another end of the same one, or one that is new.
            watch.over.pop(ident, None)
            held[ident], since[ident] = Held(ident, watch.now + lasts, number), watch.now
            watch.add(held[ident])
        watch.go_on(pause)
        for one in list(held.values()):
            at = watch.over.get(one.ident)
            latest = max(one.trusted_until, since[one.ident] + 2 * TICK)
            if at is None:
                assert latest > watch.now, "it ended and nobody was told"
            else:
                assert one.trusted_until - 3 * TICK < at <= latest
                del held[one.ident]
        assert set(watch.holdings.fences()) == set(held)
    assert not set(watch.over) & set(held)


def test_what_is_let_go_before_the_watch_looks_gets_no_timer_and_wakes_nobody() -> None:
    holdings = Holdings(BEGIN)
    holdings.sleep_until(BEGIN + SESSION)
    for number in range(10_000):
        assert not holdings.add(Held(str(number), BEGIN + 60))
        holdings.drop(str(number))
    assert len(holdings._wheel) == 0
    assert not holdings.over(BEGIN + 100)


def test_one_that_ends_before_the_watch_looks_wakes_it() -> None:
    holdings = Holdings(BEGIN)
    assert holdings.add(Held("first", BEGIN + 60)), "nobody watches yet"
    holdings.sleep_until(BEGIN + SESSION)
    assert holdings.add(Held("short", BEGIN + 1))
    assert not holdings.add(Held("long", BEGIN + 60))
    # As for `extend`: the same again, with another end.
    assert holdings.add(Held("long", BEGIN + 2))
    assert not holdings.add(Held("short", BEGIN + 60))
    assert [one.ident for one in holdings.over(BEGIN + 3)] == ["long"]
    assert {one.ident for one in holdings.over(BEGIN + 61)} == {"first", "short"}


def test_one_is_known_by_its_fence_and_all_can_be_taken() -> None:
    holdings = Holdings(BEGIN)
    one = Held("r", BEGIN + 5, 7)
    holdings.add(one)
    assert holdings.get("r", 7) is one
    assert holdings.get("r", 8) is None
    assert holdings.get("q", 7) is None
    assert holdings.fences() == {"r": "7"}
    assert holdings.take_all(BEGIN + 1) == [one]
    assert not holdings.over(BEGIN + 10)
    holdings.drop("r")
    assert not holdings.fences()


def test_what_was_said_early_is_taken_once_and_by_its_fence() -> None:
    early = Early[str]()
    early.note("r", 7, "lost")
    assert early.take("r", 8) is None
    early.note("r", 7, "lost")
    assert early.take("r", 7) == ("lost",)
    assert early.take("r", 7) is None


def test_of_two_of_the_same_grant_the_first_is_told_that_it_hears_nothing_more() -> None:
    holdings = Holdings(BEGIN)
    first, second, later = Held("r", BEGIN + 5, 7), Held("r", BEGIN + 5, 7), Held("r", BEGIN + 5, 8)
    holdings.add(first)
    holdings.add(first)
    assert first.told == []
    holdings.add(second)
    assert first.told == [REPLACED]
    assert holdings.get("r", 7) is second
    holdings.add(later)
    assert second.told == [], "a later run: the executor has told the earlier"
    assert holdings.take_all(BEGIN + 1) == [later]
