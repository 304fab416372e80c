"""The shorter ways in and out for locks that nothing is in the way of: they leave what the other ways leave."""

import random
from collections import Counter
from typing import Any

import pytest
import redis

from coordinator.wire import calls
from coordinator.wire.calls import Deed, LockAsk
from coordinator.wire.step import Call
from tests.support.engine import Engine, Kept, wire_needs

WAITS = {"wait_ms": 5000}
PLAIN: list[dict[str, Any]] = [
    {},
    WAITS,
    {"priority": 3, "trying": True},
    {"wait_ms": 5000, "adaptive": True, "least_ms": 100},
    {"owner": "pr-1", "reason": "apply", "metadata": '{"a":1}', "rule": "deploys", "preempt": "ask"},
    {"reason": "apply", "hold_ms": 1000},
]


def play(engine: Engine, needs: str, asked: dict[str, Any]) -> list[Any]:
    """Somebody has it and gives it back, with others of all kinds behind; every call is repeated. The answers."""
    for session in ("s", "t"):
        engine.open(session)
    said: list[Any] = [engine.ask("s", "r1", needs, **asked) for _ in range(2)]
    fence = said[0][2]
    for ident, other in (("r2", "a"), ("r3", "s1:a"), ("r4", "a b"), ("r5", "s1:a")):
        said.append(engine.ask("t", ident, other))
    engine.put("j1", "a", priority=0)
    engine.advance(0.4)
    said += [engine.release("r1", fence), engine.release("r1", fence), engine.release("r1", int(fence) - 1)]
    while any(engine.state(f"r{n}") == "held" for n in (2, 3, 4, 5)):
        for ident in ("r2", "r3", "r4", "r5"):
            if engine.state(ident) == "held":
                engine.advance(0.1)
                said.append(engine.release(ident, int(engine.field(ident, "fence") or 0)))
    return said


def left_behind(engine: Engine) -> dict[str, Kept]:
    """All keys, without the ids that the server gave to events, and without the mark that sends locks the other way."""
    found = {}
    for key, kept in engine.census().items():
        value = [fields for _, fields in kept.value] if kept.type == "stream" else kept.value
        if key == engine.key("META"):
            value = {name: said for name, said in value.items() if name != "frozen"}
        found[key.removeprefix(engine.key("META")[: -len("meta")])] = Kept(kept.type, value, kept.has_ttl)
    return found


@pytest.mark.parametrize("needs", ["a", "s1:a"])
@pytest.mark.parametrize("asked", PLAIN)
def test_the_shorter_ways_leave_what_the_others_leave(
    raw: redis.Redis, namespace: str, needs: str, asked: dict[str, Any]
) -> None:
    short, other = Engine(raw, namespace), Engine(raw, f"{namespace}-long")
    try:
        # A freeze of something else has every lock go the longer way.
        raw.hset(other.key("META"), "frozen", 1)
        assert play(short, needs, asked) == play(other, needs, asked)
        assert left_behind(short) == left_behind(other)
        assert "event" in str(left_behind(short)["events"].value)
    finally:
        for key in raw.scan_iter(match=f"{other.key('META')[: -len('meta')]}*"):
            raw.delete(key)


class Play:
    """Processes that ask for locks and give them back, and do the same in two namespaces if the chance is the same."""

    def __init__(self, engine: Engine, seed: int) -> None:
        self.engine, self.chance = engine, random.Random(seed)
        self.said: list[Any] = []
        self._made = 0
        for session in ("s", "t", "u"):
            engine.open(session)

    def go_on(self) -> None:
        self.chance.choices((self.ask, self.release, self.advance, self.die), (6, 6, 2, 1))[0]()

    def ask(self) -> None:
        self._made += 1
        needs = self.chance.choice(("a", "a", "a", "a", "s1:a", "a b", "b"))
        asked = self.chance.choice(({}, {"wait_ms": 5000}, {"wait_ms": 300}, {"trying": True}, {"priority": 3}))
        session = self.chance.choice("stu")
        if self.chance.random() < 0.2:
            self.engine.put(f"j{self._made}", needs, priority=self.chance.randrange(5))
        self.said.append(self.engine.ask(session, f"r{self._made}", needs, writes=True, **asked))

    def release(self) -> None:
        held = [at for at in range(1, self._made + 1) if self.engine.state(f"r{at}") == "held"]
        if held:
            ident = f"r{self.chance.choice(held)}"
            fence = int(self.engine.field(ident, "fence") or 0)
            self.said.append(self.engine.call(calls.release(self.engine.scope, ident, fence)))

    def advance(self) -> None:
        self.engine.advance(self.chance.choice((0.0002, 0.01, 0.4)))

    def die(self) -> None:
        """A session ends, and nobody says so."""
        session = self.chance.choice("tu")
        self.engine.raw.zadd(self.engine.key("SESSIONS"), {session: self.engine.now - 1}, xx=True)


# What is defined beside what is mostly asked for, and for that.
DEFINED = (
    {},
    {"b": {"max_hold": "60000"}},
    {"a": {"max_hold": "9000", "lock_delay": "300"}, "b": {"capacity": "2"}},
    {"a": {"capacity": "2"}},
)


@pytest.mark.parametrize("seed", range(16))
def test_whoever_is_next_has_it_as_by_the_other_way(raw: redis.Redis, namespace: str, seed: int) -> None:
    short, other = Engine(raw, namespace), Engine(raw, f"{namespace}-long")
    try:
        raw.hset(other.key("META"), "frozen", 1)
        for one in (short, other):
            for resource, terms in DEFINED[seed % 4].items():
                one.call(calls.define(one.scope, resource, Deed("op", "test", resource), terms))
        plays = [Play(short, seed), Play(other, seed)]
        for _ in range(60):
            for one in plays:
                one.go_on()
            assert plays[0].said == plays[1].said
            assert [one.engine.inbox(session) for one in plays[:1] for session in "stu"] == [
                one.engine.inbox(session) for one in plays[1:] for session in "stu"
            ]
        assert left_behind(short) == left_behind(other)
    finally:
        for key in raw.scan_iter(match=f"{other.key('META')[: -len('meta')]}*"):
            raw.delete(key)


def test_after_the_servers_clock_stepped_back_a_lock_lasts_from_the_mark(engine: Engine) -> None:
    engine.open("s")
    ahead = engine.now_us + 3_600_000_000
    engine.raw.hset(engine.key("META"), "clock", ahead)
    engine.raw.zadd(engine.key("SESSIONS"), {"s": ahead // 1000 + 10_000})
    _, _, fence, left = engine.ask("s", "r", "a", hold_ms=60_000)
    assert (int(fence) >= ahead, int(left)) == (True, 60_000)
    assert int(engine.field("r", "expires") or 0) == ahead // 1000 + 60_000
    assert engine.release("r", int(fence)) == ["ok"]
    assert int(engine.field("r", "ended") or 0) >= ahead // 1000


def test_who_gives_back_a_plain_lock_takes_up_the_lines_that_were_left(engine: Engine) -> None:
    engine.open("s")
    fence = engine.hold("s", "r", "a")
    engine.raw.sadd(engine.key("DIRTY"), "b")
    engine.raw.hset(engine.key("META"), "left", 1)
    engine.release("r", fence)
    assert not engine.raw.exists(engine.key("DIRTY"))


def test_without_events_the_shorter_ways_stream_none(engine: Engine) -> None:
    engine.rules(max_events=0)
    play(engine, "a", {"owner": "pr-1"})
    assert not engine.raw.exists(engine.key("EVENTS"))


def commands(engine: Engine, call: Call) -> Counter[str]:
    """What one script runs."""
    before = counted(engine.raw)
    engine.sent(call)
    return counted(engine.raw) - before - Counter(eval=1, info=1)


def counted(raw: redis.Redis) -> Counter[str]:
    found = raw.info("commandstats")
    return Counter({name.removeprefix("cmdstat_"): one["calls"] for name, one in found.items()})


def test_who_waited_too_long_or_is_gone_is_no_heir(engine: Engine) -> None:
    for session in ("s", "dead", "t"):
        engine.open(session)
    fence = engine.hold("s", "r1", "a")
    engine.ask("dead", "r2", "a", wait_ms=60_000)
    engine.ask("t", "r3", "a", wait_ms=100)
    engine.ask("t", "r4", "a", wait_ms=60_000)
    engine.raw.zadd(engine.key("SESSIONS"), {"dead": engine.now - 1})
    engine.advance(0.2)
    engine.release("r1", fence)
    assert [engine.state(f"r{n}") for n in (2, 3, 4)] == ["cancelled", "expired", "held"]
    fence = int(engine.field("r4", "fence") or 0)
    engine.ask("t", "r5", "a", wait_ms=100)
    engine.advance(0.2)
    engine.release("r4", fence)
    assert engine.state("r5") == "expired"


def test_where_there_are_more_permits_all_who_fit_follow_the_last_reader(engine: Engine) -> None:
    engine.open("s")
    engine.call(calls.define(engine.scope, "a", Deed("op", "test", "1"), {"capacity": "2"}))
    fence = engine.hold("s", "r1", "s1:a")
    for ident in ("r2", "r3", "r4"):
        engine.ask("s", ident, "a")
    engine.release("r1", fence)
    assert [engine.state(one) for one in ("r2", "r3", "r4")] == ["held", "held", "waiting"]


def test_what_it_costs_in_commands_to_hand_a_lock_on(engine: Engine) -> None:
    for session in ("s", "t"):
        engine.open(session)
    fence = engine.hold("s", "r1", "a")
    for at in range(2, 6):
        engine.ask("t", f"r{at}", "a", wait_ms=60_000)
    engine.advance(0.4)
    # The clock, the mark and the record; its deadline and holders; who else wants it; state, event, time to live and
    # session. The heir, its record and session; holders, deadline, state, line and event; the message, and how many
    # there were; three counters, and the number drawn with the clock.
    assert commands(engine, calls.release(engine.scope, "r1", fence)) == Counter(
        get=1, hgetall=3, zrem=2, hdel=1, exists=1, hset=4, xadd=2, pexpire=1, srem=1, zrange=1, zscore=1, zadd=1
    ) + Counter(rpush=1, hincrby=4)
    assert engine.inbox("t") == [f"granted r2 {engine.field('r2', 'fence')} 86400000"]


def test_what_a_lock_that_nobody_else_wants_costs_in_commands(engine: Engine) -> None:
    engine.open("s")
    engine.hold("s", "r0", "a")  # whatever is there once in a namespace
    engine.release("r0", engine.field("r0", "fence") or "")
    asked = LockAsk("r1", 1, wire_needs("a"), trying=False, wait_ms=None, hold_ms=60_000)
    # The clock, the mark and the session; what there is; its session, index, holders, deadline and record; the events,
    # their counters, and the number drawn.
    assert commands(engine, calls.request(engine.scope, "s", asked)) == Counter(
        get=1, hgetall=1, zscore=1, exists=1, sadd=1, zadd=2, hset=3, xadd=2, hincrby=2
    )
    # The clock, the mark and the record; its deadline and holders; who else wants it; index, state, event, time to
    # live, session and counter.
    assert commands(engine, calls.release(engine.scope, "r1", int(engine.field("r1", "fence") or 0))) == Counter(
        get=1, hgetall=2, zrem=2, hdel=1, exists=1, hset=1, xadd=1, pexpire=1, srem=1, hincrby=1
    )


def test_where_something_is_defined_for_another_resource_it_costs_one_look_more(engine: Engine) -> None:
    engine.open("s")
    engine.call(calls.define(engine.scope, "b", Deed("op", "test", "1"), {"max_hold": "5000"}))
    asked = LockAsk("r1", 1, wire_needs("a"), trying=False, wait_ms=None, hold_ms=60_000)
    assert commands(engine, calls.request(engine.scope, "s", asked))["exists"] == 2
    given_back = calls.release(engine.scope, "r1", int(engine.field("r1", "fence") or 0))
    assert commands(engine, given_back) == Counter(
        get=1, hgetall=2, zrem=2, hdel=1, exists=2, hset=1, xadd=1, pexpire=1, srem=1, hincrby=1
    )
