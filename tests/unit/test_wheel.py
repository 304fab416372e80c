"""The timing wheel against a sorted list."""

from __future__ import annotations

import math
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.policy.wheel import MOST_STALE, RINGS, TICK, TimingWheel

REACH = (RINGS[3][1] << RINGS[3][0]) * TICK
# Near and far, on the borders of the rings and beyond all of them.
BORDERS = st.sampled_from([(1 << shift) * TICK for shift, _size in RINGS] + [REACH, 2.5 * REACH])
AHEAD = st.one_of(
    st.floats(-1, 3),
    st.floats(0, 400),
    st.floats(0, 3 * REACH),
    st.builds(lambda a, b: a + b, BORDERS, st.floats(-0.03, 0.03)),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("schedule"), AHEAD),
        st.tuples(st.just("cancel"), st.integers(0, 10**6)),
        st.tuples(st.just("advance"), st.one_of(st.floats(0, 0.05), st.floats(0, 5), AHEAD.map(abs))),
    ),
    max_size=60,
)


class Model:
    """The same by sorting."""

    def __init__(self, now: float) -> None:
        self.tick = math.floor(now * 100)
        self.timers: dict[int, tuple[int, int]] = {}

    def advance(self, now: float) -> list[int]:
        self.tick = max(self.tick, math.floor(now * 100))
        over = sorted((due, item, key) for key, (due, item) in self.timers.items() if due <= self.tick)
        for _due, _item, key in over:
            del self.timers[key]
        return [due for due, _item, _key in over]


@settings(max_examples=400, deadline=None)
@given(start=st.floats(0, 1e7), steps=STEPS)
def test_it_expires_what_a_sorted_list_would(start: float, steps: list[tuple[str, float]]) -> None:
    now, wheel, model = start, TimingWheel[int](start), Model(start)
    due_of: dict[int, tuple[float, int]] = {}
    for word, value in steps:
        if word == "schedule":
            item = len(due_of)
            generation = wheel.schedule(now + value, item)
            tick = max(math.ceil((now + value) * 100), model.tick + 1)
            due_of[item] = (now + value, tick)
            model.timers[generation] = (tick, item)
        elif word == "cancel":
            generation = 1 + int(value) % (len(due_of) + 1)
            assert wheel.cancel(generation) == (model.timers.pop(generation, None) is not None)
        else:
            wakes, now = wheel.wakes_at(), now + value
            found = wheel.advance(now)
            assert [due_of[one][1] for one in found] == model.advance(now)
            assert all(due_of[one][0] <= now for one in found), "early"
            assert not found or wakes <= now
        assert len(wheel) == len(model.timers)
        soonest = min((due for due, _item in model.timers.values()), default=math.inf)
        assert wheel.wakes_at() * 100 <= soonest + 1e-6
    rest = len(wheel)
    assert len(wheel.advance(now + 4 * REACH)) == rest
    assert wheel.wakes_at() == math.inf


def test_it_does_not_drift_however_often_it_is_asked() -> None:
    wheel, now, found = TimingWheel[int](1000.003), 1000.003, []
    for second in range(1, 301):
        wheel.schedule(1000.003 + second, second)
    while len(wheel):
        now += 0.0037
        found += [(one, now) for one in wheel.advance(now)]
    assert [one for one, _at in found] == list(range(1, 301))
    assert all(0 <= at - (1000.003 + one) < TICK + 0.0038 for one, at in found)


def test_a_generation_is_good_for_one_timer_only() -> None:
    wheel = TimingWheel[str](0.0)
    first = wheel.schedule(1.0, "first")
    assert wheel.cancel(first)
    second = wheel.schedule(1.0, "second")
    assert not wheel.cancel(first)
    assert wheel.advance(2.0) == ["second"]
    assert not wheel.cancel(second)


def test_what_was_cancelled_does_not_pile_up() -> None:
    wheel = TimingWheel[int](0.0)
    for number in range(100_000):
        wheel.cancel(wheel.schedule(60.0 + number % 1000, number))
    assert sum(len(slot) for ring in wheel._rings for slot in ring.slots) <= MOST_STALE + 2


def test_ten_thousand_are_scheduled_in_ten_milliseconds_and_a_million_may_live() -> None:
    def scheduled(many: int) -> tuple[float, TimingWheel[int]]:
        wheel, begun = TimingWheel[int](0.0), time.process_time()
        for number in range(many):
            wheel.schedule(0.01 * (number * 7919 % 10_000_000), number)
        return time.process_time() - begun, wheel

    # Others are at work on the machine, too, and can only add to it: asked again until one says what it takes.
    assert any(scheduled(10_000)[0] < 0.010 for _ in range(4000))
    _seconds, wheel = scheduled(1_000_000)
    assert len(wheel) == 1_000_000
    begun = time.process_time()
    wheel.schedule(50.0, -1)
    found = wheel.advance(10.0)
    assert time.process_time() - begun < 0.5
    assert sorted(found) == [one for one in range(1_000_000) if one * 7919 % 10_000_000 <= 1000]
