"""What a process has seen, handed in and answered, with a store that is played by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from coordinator.drivers import clock
from coordinator.drivers.learner import MOST_HERE, MOST_REPORTED, Habits, Learner
from coordinator.errors import StoreUnavailable
from coordinator.model.measures import NoMeter
from coordinator.policy.adaptive import Adaptive
from coordinator.settings import Settings
from coordinator.wire.calls import Scope
from coordinator.wire.step import Call
from tests.support.engine import TERMS

KEY = "operation/apply"
PINNED = Adaptive(base=10.0)


class FakeStore:
    """Counts for one fleet, without a window and without limits. `down`: it does not answer."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.down = False
        self.counts: dict[str, dict[str, int]] = {}
        self.timeouts: dict[str, list[int]] = {}

    def call(self, call: Call, _retry_for: float | None = None) -> list[Any]:
        self.calls.append(call)
        if self.down:
            raise StoreUnavailable("away")
        words, reply = list(call.args[5:]), list[Any]()
        while words:
            name, base, _strategy, known, version, wish, _p99, many = words[:8]
            pairs, words = words[8 : 8 + int(many)], words[8 + int(many) :]
            counts = self.counts.setdefault(str(name), {})
            for field, count in zip(pairs[::2], pairs[1::2], strict=True):
                counts[str(field)] = counts.get(str(field), 0) + int(count)
            kept = self.timeouts.setdefault(str(name), [int(base), 0])
            if wish and version == kept[1]:
                kept[:] = [int(wish), kept[1] + 1]
            total = counts.get("ok", 0) + counts.get("late", 0)
            flat = [word for pair in counts.items() for word in (pair[0], str(pair[1]))]
            reply.append([name, str(kept[0]), str(kept[1]), str(total), [] if total == known else flat])
        return [b"ok", *[[str(one).encode() if not isinstance(one, list) else one for one in thing] for thing in reply]]


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def process(store: FakeStore) -> Callable[[], Learner]:
    def make() -> Learner:
        any_store: Any = store
        return Learner(Habits(every=0.0), any_store, Scope.of("n", TERMS), NoMeter)

    return make


def test_what_is_seen_goes_out_once_and_in_one_call(store: FakeStore, process: Callable[[], Learner]) -> None:
    learner = process()
    learner.report("s")
    assert store.calls == []
    for _ in range(1000):
        learner.took(KEY, 0.5)
    learner.ran_out(KEY, 60.0)
    learner.took("lock/a", 0.001)
    learner.report("s")
    learner.report("s")
    assert len(store.calls) == 1
    assert store.counts[KEY]["ok"] == 1000
    assert store.counts[KEY]["late"] == 1
    assert sum(store.counts[KEY].values()) == 2 * 1001


def test_a_report_without_an_answer_is_sent_again_as_it_was(store: FakeStore, process: Callable[[], Learner]) -> None:
    learner, store.down = process(), True
    learner.took(KEY, 0.5)
    learner.report("s")
    learner.took(KEY, 0.5)
    learner.report("s")
    store.down = False
    learner.report("s")
    assert store.calls[0].args == store.calls[1].args == store.calls[2].args
    assert store.counts[KEY]["ok"] == 1
    learner.report("s")
    assert store.counts[KEY]["ok"] == 2
    assert store.calls[3].args[2] == store.calls[2].args[2] + 1


def test_a_process_that_sees_nothing_learns_from_the_others(store: FakeStore, process: Callable[[], Learner]) -> None:
    busy, idle = process(), process()
    idle.pin(KEY, PINNED)
    busy.pin(KEY, PINNED)
    assert idle.seconds(KEY) == 10.0
    for _ in range(100):
        busy.took(KEY, 8.0)
    for _ in range(60):
        busy.report("s")
    idle.report("t")
    assert idle.seconds(KEY) == busy.seconds(KEY) == pytest.approx(12.0, rel=0.06)
    assert idle.figures(KEY)[0].successes == 100


def test_a_timeout_that_has_arrived_is_not_written_again(store: FakeStore, process: Callable[[], Learner]) -> None:
    learner = process()
    learner.pin(KEY, PINNED)
    for _ in range(100):
        learner.took(KEY, 8.0)
    for _ in range(100):
        learner.report("s")
    moves = store.timeouts[KEY][1]
    assert moves < 60
    learner.report("s")
    assert store.timeouts[KEY][1] == moves


def test_a_limit_that_somebody_set_shorter_teaches_nothing_short(
    store: FakeStore, process: Callable[[], Learner]
) -> None:
    learner = process()
    learner.pin(KEY, PINNED)
    for _ in range(100):
        learner.ran_out(KEY, 0.01)
    for _ in range(60):
        learner.report("s")
    assert learner.seconds(KEY) > 10.0


def test_another_base_counts_at_once(store: FakeStore, process: Callable[[], Learner]) -> None:
    old, new = process(), process()
    old.pin(KEY, PINNED)
    for _ in range(100):
        old.took(KEY, 8.0)
    for _ in range(60):
        old.report("s")
    new.pin(KEY, Adaptive(base=600.0))
    assert new.seconds(KEY) == 600.0
    new.report("t")
    assert new.seconds(KEY) == 300.0


def test_reports_are_bounded_and_all_things_have_their_turn(store: FakeStore, process: Callable[[], Learner]) -> None:
    learner = process()
    for number in range(2 * MOST_HERE):
        learner.took(f"lock/{number}", 0.001)
    for _ in range(2 + MOST_HERE // MOST_REPORTED):
        learner.report("s")
    assert len(store.counts) == MOST_HERE + 1
    assert store.counts["lock/~other"]["ok"] == MOST_HERE
    assert max(sum(str(word).startswith("lock/") for word in call.args) for call in store.calls) == MOST_REPORTED


def test_many_threads_lose_no_observation(store: FakeStore, process: Callable[[], Learner]) -> None:
    learner = process()

    def work() -> None:
        for _ in range(2000):
            learner.took(KEY, 0.5)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for one in threads:
        one.start()
    while any(one.is_alive() for one in threads):
        learner.report("s")
    learner.leave("s")
    learner.leave("s")
    assert store.counts[KEY]["ok"] == 8000


def test_reports_keep_their_pace(store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    now, any_store = 100.0, store
    monkeypatch.setattr(clock, "now", lambda: now)
    learner = Learner(Habits(every=2.0), any_store, Scope.of("n", TERMS), NoMeter)  # type: ignore[arg-type]
    for number in range(100):
        now = 100.0 + number * 0.1
        learner.took(KEY, 0.5)
        learner.report("s")
    assert len(store.calls) == 5


def test_heartbeats_alone_are_no_reason_to_report(store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    now, any_store = 100.0, store
    monkeypatch.setattr(clock, "now", lambda: now)
    learner = Learner(Habits(every=2.0, call=5.0), any_store, Scope.of("n", TERMS), NoMeter)  # type: ignore[arg-type]
    for number in range(61):
        now = 100.0 + number
        learner.timed("renewal", 0.001, True)
        learner.report("s")
    assert len(store.calls) == 3
    # They go along with other news at once.
    learner.took(KEY, 0.5)
    now += 2
    learner.timed("renewal", 4.9, False)
    learner.timed("renewal", 0.1, False)
    learner.report("s")
    assert store.counts["renewal/session"]["late"] == 1
    assert store.counts["renewal/session"]["ok"] == 61


def test_other_settings_count_from_now_on_but_for_what_a_handler_says_itself(store: FakeStore) -> None:
    kept: Any = store
    learner = Learner.of(Settings.of(), kept, Scope.of("n", TERMS), NoMeter)
    own, type_s, half = "operation/own", "operation/type", "operation/half"
    learner.pin(own, PINNED)
    learner.pin(type_s)
    learner.pin(half, Adaptive(strategy="success_rate"))
    changed = Settings.of(timeouts={"operation": 20, "strategy": "success_rate"})
    learner.adopt(changed, Scope.of("n", TERMS))
    assert [learner.seconds(one) for one in (own, type_s, half, "operation/new")] == [10, 20, 20, 20]
    assert [learner.figures(one)[1] for one in (own, type_s)] == ["quantile", "success_rate"]


def test_one_that_does_not_learn_puts_nothing_down_and_reports_nothing(store: FakeStore) -> None:
    any_store: Any = store
    learner = Learner(Habits(every=0.0, learns=False), any_store, Scope.of("n", TERMS), NoMeter)
    learner.took(KEY, 0.5)
    learner.taker(KEY)(0.5)
    learner.ran_out(KEY, 60.0)
    learner.timed("renewal", 0.1, answered=True)
    learner.pin(KEY)
    learner.report("s")
    learner.leave("s")
    assert store.calls == []
    assert learner.seconds(KEY) == 60.0
