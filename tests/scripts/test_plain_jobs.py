"""The shortest ways in and to a worker, for jobs about which nothing is said: they leave what the other ways leave."""

import random
from collections import Counter
from typing import Any

import pytest
import redis

from coordinator.wire import calls
from coordinator.wire.calls import Claim, Report
from tests.scripts.test_plain_locks import commands, left_behind
from tests.support.engine import Engine, job
from tests.support.engine import Job as Given
from tests.support.longer import Longer

STEPS = 60
PAYLOADS = (b"", b"x", b"y" * 64, b"z" * 65, b"p" * 128, b"q" * 129, b"r" * 1001)


class Play:
    """Workers and a producer that do the same in two namespaces if the chance is the same."""

    def __init__(self, engine: Engine, seed: int) -> None:
        self.engine, self.chance = engine, random.Random(seed)
        self.said: list[Any] = []
        self._made = self._opened = 0
        self._workers: list[str] = []
        self._numbers: dict[str, int] = {}
        self._running: list[tuple[str, str, str]] = []

    def go_on(self) -> None:
        step = self.chance.choices((self.submit, self.claim, self.settle, self.advance, self.open), (6, 8, 4, 3, 1))[0]
        step()

    def submit(self) -> None:
        again = self.chance.random() < 0.1
        self._made += not again
        changed: dict[str, Any] = {"payload": self.chance.choice(PAYLOADS), "queue": self._queue()}
        if self.chance.random() < 0.2:
            changed["priority"] = self.chance.randrange(5)
        one = job(f"j{self._made}", **changed)
        self.said.append(self.engine.submit(*[one] * self.chance.choice((1, 1, 1, 2))))

    def claim(self) -> None:
        if not self._workers:
            return
        session = self.chance.choice(self._workers)
        number = self._numbers.get(session, 0) + self.chance.choice((1, 1, 1, 1, 0, -1))
        if number < 1:
            return
        self._numbers[session] = max(number, self._numbers.get(session, 0))
        queues = ("default",) if self.chance.random() < 0.7 else ("default", "other")
        roomy = self.chance.random() < 0.5
        ask = Claim(number, self.chance.choice((1, 1, 1, 2)), 60_000, queues, roomy, self.chance.randrange(2))
        reply = self.engine.call(calls.claim(self.engine.scope, session, ask), writes=True)
        self.said.append(reply)
        for raw in reply[1:]:
            given = Given(*raw)
            self._running.append((session, given.ident, str(given.fence)))

    def settle(self) -> None:
        if not self._running:
            return
        session, ident, fence = self._running.pop(self.chance.randrange(len(self._running)))
        outcome = self.chance.choice(("succeed", "release", "retry"))
        ask = Claim(0, 0, 0, ())
        call = calls.settle(self.engine.scope, session, ask, [Report(ident, int(fence), outcome, 0, "")])
        self.said.append(self.engine.call(call, writes=True))

    def advance(self) -> None:
        self.engine.advance(self.chance.choice((0.0002, 0.01, 0.4, 4.0)))

    def open(self) -> None:
        self._opened += 1
        self._workers.append(
            self.engine.worker(f"w{self._opened}", *self.chance.choice((("default",), ("default", "other"))))
        )

    def _queue(self) -> str:
        return self.chance.choice(("default", "default", "default", "other"))


@pytest.mark.parametrize("seed", range(12))
def test_the_shortest_ways_leave_what_the_others_leave(raw: redis.Redis, namespace: str, seed: int) -> None:
    short, other = Engine(raw, namespace), Longer(raw, f"{namespace}-long")
    try:
        plays = [Play(short, seed), Play(other, seed)]
        for _ in range(STEPS):
            for one in plays:
                one.go_on()
            assert plays[0].said == plays[1].said
        assert left_behind(short) == left_behind(other)
    finally:
        for key in raw.scan_iter(match=f"{other.key('META')[: -len('meta')]}*"):
            raw.delete(key)


def test_a_full_queue_and_one_that_begins_to_shed_are_looked_at_in_full(engine: Engine) -> None:
    engine.rules(max_queue=2, shedding=0)
    assert [engine.put(f"j{n}")[0] for n in range(3)] == ["accepted", "accepted", "queue_full"]


def test_a_record_with_a_stamp_that_is_no_number_is_not_handed_out_the_shortest_way(engine: Engine) -> None:
    engine.worker("w")
    engine.put("j1")
    engine.raw.hset(engine.key("REQ", "j1"), "stamp", "soon")
    assert [one.ident for one in engine.claim("w")] == ["j1"]


def test_dead_workers_are_not_rung(engine: Engine) -> None:
    for session in ("dead", "alive"):
        engine.worker(session)
        assert engine.claim(session) == []
        engine.advance(0.001)
    engine.raw.zadd(engine.key("SESSIONS"), {"dead": engine.now - 1})
    engine.put("j1")
    assert (engine.inbox("dead"), engine.inbox("alive")) == ([], ["bell default"])


def test_what_a_job_that_an_idle_worker_takes_costs_in_commands(engine: Engine) -> None:
    engine.worker("w")
    engine.put("j0")  # whatever is there once in a namespace
    engine.claim("w")
    assert engine.claim("w") == []
    # The clock, the mark, and whether it is there; the room in its queue; queue, record and place; the idle worker, its
    # session and queues; the bell, and the count of messages; two counters, and the number drawn.
    assert commands(engine, calls.submit(engine.scope, 1000, [job("j1")])) == Counter(
        get=1, hgetall=1, exists=1, zcard=2, sadd=1, hset=2, zadd=1, zpopmin=1, zscore=1, hget=1, rpush=1, hincrby=3
    )
    # The clock, the mark, the session and its last batch; the head of the queue and its record; out of the queue, into
    # the session, its state, the batch, the counter and the number drawn; idle still.
    ask = Claim(3, 1, 60_000, ("default",), True)
    assert commands(engine, calls.claim(engine.scope, "w", ask)) == Counter(
        get=2, hgetall=2, zscore=1, zrange=1, zrem=1, sadd=1, hset=2, set=1, hincrby=1, zadd=1
    )
