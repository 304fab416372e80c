"""Who comes next: priority, arrival, age; all resources or none; shared, exclusive and counted needs."""

import pytest

from coordinator.wire import calls
from coordinator.wire.calls import Deed
from tests.support.engine import HOUR, Engine, job

LOW, NORMAL, HIGH, CRITICAL, EMERGENCY = range(5)


def test_order_is_priority_then_arrival(engine: Engine) -> None:
    engine.open("s")
    fence = engine.hold("s", "r0", "a")
    for ident, priority in [("n1", NORMAL), ("l", LOW), ("h", HIGH), ("n2", NORMAL), ("e", EMERGENCY)]:
        engine.ask("s", ident, "a", priority=priority)
    served, ident = [], "r0"
    while engine.release(ident, fence) == ["ok"] and engine.holders("a"):
        [ident] = engine.holders("a")
        served.append(ident)
        fence = int(engine.field(ident, "fence") or 0)
    assert served == ["e", "h", "n1", "n2", "l"]


@pytest.mark.parametrize(("waited", "first"), [(119.9, "h"), (120.1, "l")])
def test_a_request_gains_one_level_for_each_period_it_waits(engine: Engine, waited: float, first: str) -> None:
    engine.open("s")
    fence = engine.hold("s", "r", "a")
    engine.ask("s", "l", "a", priority=LOW)
    engine.keep_alive(waited, "s")
    engine.ask("s", "h", "a", priority=HIGH)
    assert engine.line("a")[0] == first
    engine.release("r", fence)
    assert engine.holders("a") == [first]


def test_without_aging_priority_wins_however_long_the_wait(engine: Engine) -> None:
    engine.rules(aging_us=10**15)
    engine.open("s")
    engine.hold("s", "r", "a")
    engine.ask("s", "l", "a", priority=LOW)
    engine.keep_alive(100, "s")
    engine.advance(20 * 365 * 24 * HOUR)
    engine.raw.zadd(engine.key("SESSIONS"), {"s": engine.now + 10_000})
    engine.ask("s", "n", "a", priority=NORMAL, writes=True)
    engine.ask("s", "n2", "b l", priority=NORMAL)
    assert engine.line("a") == ["l"]  # the lease of a day is long over: n had its turn first
    assert engine.holders("a") == ["n"]


def test_several_resources_are_granted_all_or_none(engine: Engine) -> None:
    engine.open("s")
    first, second = engine.hold("s", "r1", "a"), engine.hold("s", "r2", "b")
    engine.ask("s", "both", "a b c")
    engine.release("r1", first)
    assert [engine.holders(one) for one in "abc"] == [[], ["r2"], []]
    engine.release("r2", second)
    assert [engine.holders(one) for one in "abc"] == [["both"]] * 3
    assert {
        value.split()[2] for one in "abc" for value in engine.census()[engine.key("HOLDERS", one)].value.values()
    } == {engine.field("both", "fence")}


def test_the_head_that_waits_for_another_resource_is_not_passed_and_delays_nobody_elsewhere(engine: Engine) -> None:
    engine.open("s")
    engine.hold("s", "r1", "b")
    engine.ask("s", "head", "a b")
    assert engine.ask("s", "next", "a") == ["waiting", "next"]
    assert engine.holders("a") == []
    engine.hold("s", "elsewhere", "c")


def test_two_requests_for_the_same_two_resources_cannot_block_each_other(engine: Engine) -> None:
    engine.open("s")
    fence = engine.hold("s", "r", "a b")
    engine.ask("s", "one", "a b")
    engine.ask("s", "two", "b a", priority=HIGH)
    engine.release("r", fence)
    assert (engine.state("two"), engine.state("one")) == ("held", "waiting")
    engine.release("two", engine.field("two", "fence") or "")
    assert engine.state("one") == "held"


def test_shared_holders_go_together_and_an_exclusive_one_alone(engine: Engine) -> None:
    engine.open("s")
    fences = {ident: engine.hold("s", ident, "s1:a") for ident in ("r1", "r2")}
    engine.ask("s", "x", "a")
    assert engine.ask("s", "r3", "s1:a") == ["waiting", "r3"]
    engine.release("r1", fences["r1"])
    assert engine.state("x") == "waiting"
    engine.release("r2", fences["r2"])
    assert (engine.holders("a"), engine.state("r3")) == (["x"], "waiting")
    engine.ask("s", "r4", "s1:a")
    engine.release("x", engine.field("x", "fence") or "")
    assert engine.holders("a") == ["r3", "r4"]


def test_a_counted_resource_is_not_shared_and_held_at_once(engine: Engine) -> None:
    engine.open("s")
    engine.call(calls.define(engine.scope, "a", Deed("op", "test", "c"), {"capacity": 3}))
    fence = engine.hold("s", "r1", "s1:a")
    assert engine.ask("s", "r2", "a") == ["waiting", "r2"]
    engine.release("r1", fence)
    assert engine.state("r2") == "held"
    assert engine.ask("s", "r3", "s1:a") == ["waiting", "r3"]


def test_permits_are_given_while_they_last_and_one_release_helps_several(engine: Engine) -> None:
    engine.open("s")
    engine.call(calls.define(engine.scope, "a", Deed("op", "test", "c"), {"capacity": 3}))
    fence = engine.hold("s", "r1", "x3:a")
    for ident, need in [("r2", "x1:a"), ("r3", "x2:a"), ("r4", "x1:a")]:
        assert engine.ask("s", ident, need) == ["waiting", ident]
    engine.release("r1", fence)
    assert engine.holders("a") == ["r2", "r3"]
    assert engine.state("r4") == "waiting"


def test_a_large_need_at_the_head_is_not_passed_by_a_small_one(engine: Engine) -> None:
    engine.open("s")
    engine.call(calls.define(engine.scope, "a", Deed("op", "test", "c"), {"capacity": 2}))
    fence = engine.hold("s", "r1", "x1:a")
    engine.ask("s", "large", "x2:a")
    assert engine.ask("s", "small", "x1:a") == ["waiting", "small"]
    engine.release("r1", fence)
    assert engine.holders("a") == ["large"]


def test_a_more_urgent_lock_displaces_a_candidate_before_it_is_claimed(engine: Engine) -> None:
    engine.worker("w")
    engine.put("j", "a b")
    assert engine.state("j") == "ready"
    fence = engine.hold("w", "r", "b", priority=HIGH)
    assert (engine.state("j"), engine.claim("w")) == ("waiting", [])
    engine.release("r", fence)
    assert [one.ident for one in engine.claim("w")] == ["j"]


def test_candidates_behind_several_that_are_displaced_elsewhere_stand_back_too(engine: Engine) -> None:
    engine.worker("w")
    engine.submit(*(job(f"j{n}", "s1:a s1:b") for n in range(3)), job("j3", "s1:a"), job("j4", "s1:a"))
    assert {engine.state(f"j{n}") for n in range(5)} == {"ready"}
    engine.hold("w", "r", "b", priority=HIGH)
    assert {engine.state(f"j{n}") for n in range(5)} == {"waiting"}
    assert engine.claim("w", 5) == []


def test_a_displaced_candidate_lets_those_behind_it_on_its_other_lines_stand_back(engine: Engine) -> None:
    engine.worker("w")
    engine.submit(job("j1", "s1:a b"), job("j2", "s1:a"))
    assert (engine.state("j1"), engine.state("j2")) == ("ready", "ready")
    engine.hold("w", "r", "b", priority=HIGH)
    assert (engine.state("j1"), engine.state("j2")) == ("waiting", "waiting")
