"""A server whose memory fills up: who is refused, when that ends, and that whatever is there can be finished."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator.policy import shed
from coordinator.policy.shed import Shedding
from coordinator.wire import calls
from tests.scripts.reach import reaches
from tests.support.engine import Engine, job


def at_level(engine: Engine, level: int) -> None:
    """A ceiling of 1,000 bytes of which so many are used as make that level."""
    engine.rules(shedding=1, max_bytes=1000, shed_begin=800, shed_end=700)
    engine.use_memory((500, 800, 900, 1000)[level])
    engine.sweep()


def levels(engine: Engine) -> str:
    return (engine.raw.hget(engine.key("META"), "memory") or b"0").decode()[:1]


@reaches("submit", "memory_full")
@pytest.mark.parametrize("level", range(4))
def test_the_less_urgent_are_refused_first_and_at_the_limit_all(engine: Engine, level: int) -> None:
    at_level(engine, level)
    answers = engine.submit(*(job(f"j{p}", priority=p) for p in range(5)))
    assert [one[0] == "memory_full" for one in answers] == [shed.refuses(level, p) for p in range(5)]
    if level:
        bands = Shedding(0.8, 0.7).ceilings(1000)
        assert answers[0] == ["memory_full", str(bands[level - 1].begins), "1000", str(bands[0].ends)]
    else:
        engine.seen.add(("submit", "memory_full"))


@reaches("request", "memory_full")
def test_locks_are_refused_where_all_is_and_finishing_works(engine: Engine) -> None:
    engine.worker("w")
    fence = engine.hold("w", "held", "a")
    engine.put("j1")
    engine.put("j2")
    (given,) = engine.claim("w")
    at_level(engine, 2)
    assert engine.ask("w", "more", "b", priority=0)[0] == "granted"
    at_level(engine, 3)
    assert engine.ask("w", "none", "c", priority=4)[0] == "memory_full"
    assert engine.ask("w", "held", "a")[0] == "granted"
    assert engine.put("j1")[0] == "accepted"
    assert engine.release("held", fence) == ["ok"]
    assert engine.report("w", given, "succeeded")[0] == "ok"
    assert engine.cancel("j2")[0] == "ok"


def test_refusing_ends_further_down_than_it_begins_and_each_change_is_told(engine: Engine) -> None:
    found = []
    at_level(engine, 1)
    for used in (799, 700, 699, 799, 1000, 900, 899, 799):
        engine.use_memory(used)
        engine.sweep()
        found.append(int(levels(engine)))
    assert found == [1, 1, 0, 0, 3, 3, 2, 1]
    told = [int(one[b"level"]) for _, one in engine.raw.xrange(engine.key("EVENTS")) if one[b"event"] == b"overload"]
    assert told == [1, 0, 3, 2, 1]


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(st.integers(0, 1100), min_size=1, max_size=12))
def test_the_sweep_decides_as_the_policy_does(engine: Engine, history: list[int]) -> None:
    engine.rules(shedding=1, memory_share=900, shed_begin=600, shed_end=450)
    before = int(levels(engine))
    for used in history:
        engine.use_memory(used, limit=1000)
        engine.sweep()
        before = shed.level(before, used, Shedding(0.6, 0.45).ceilings(900))
        assert int(levels(engine)) == before


def test_a_mark_that_nobody_renews_is_not_believed_for_long(engine: Engine) -> None:
    at_level(engine, 3)
    engine.use_memory(0)
    assert engine.put("j", priority=4)[0] == "memory_full"
    engine.advance(1)
    assert engine.put("j", priority=0)[0] == "accepted"


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(st.tuples(st.integers(500, 1100), st.integers(0, 4)), min_size=1, max_size=12))
def test_where_nobody_sweeps_those_decide_who_hand_in(engine: Engine, history: list[tuple[int, int]]) -> None:
    engine.rules(shedding=1, max_bytes=1000, shed_begin=800, shed_end=700)
    before = int(levels(engine))
    for used, priority in history:
        engine.use_memory(used)
        engine.advance(1)
        before = shed.level(before, used, Shedding(0.8, 0.7).ceilings(1000))
        call = calls.submit(engine.scope, 1000, [job(f"j{engine.now}", priority=priority)])
        refused = any(one[1] == "memory_full" for one in engine.call(call, writes=True)[1:])
        assert (refused, int(levels(engine))) == (shed.refuses(before, priority), before)


def test_what_a_refusal_learnt_of_the_memory_is_all_that_it_leaves(engine: Engine) -> None:
    at_level(engine, 0)
    engine.put("j1")
    engine.use_memory(1000)
    engine.advance(1)
    before = engine.census()
    assert engine.call(calls.submit(engine.scope, 1000, [job("j2")]), writes=True)[1][1] == "memory_full"
    after = engine.census()
    assert {name for name in after if after[name] != before.get(name)} == {engine.key("META"), engine.key("EVENTS")}
    assert engine.put("j3")[0] == "memory_full"  # nothing new is learnt, and nothing written


def test_the_server_is_asked_once_a_second_however_many_come(engine: Engine) -> None:
    at_level(engine, 0)
    engine.use_memory(1000)
    assert [engine.put(f"j{n}")[0] for n in range(3)] == ["accepted"] * 3
    engine.worker("w")
    assert engine.ask("w", "r1", "a")[0] == "granted"
    engine.advance(1)
    assert engine.ask("w", "r2", "b", writes=True)[0] == "memory_full"
    engine.use_memory(0)
    assert engine.ask("w", "r2", "b")[0] == "memory_full"
    engine.advance(1)
    assert engine.ask("w", "r2", "b")[0] == "granted"


def test_without_a_limit_nobody_asks(engine: Engine) -> None:
    at_level(engine, 3)
    engine.rules(max_bytes=0, memory_share=0)
    assert engine.put("j", priority=0)[0] == "accepted"
    engine.sweep()
    assert levels(engine) == "0"
    engine.rules(memory_share=900)
    engine.sweep()
    assert levels(engine) == "0", "this server has no maxmemory"
