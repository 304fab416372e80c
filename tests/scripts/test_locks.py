"""What happens to a lock or a waiting request by its id: release, extend, cancel, reprioritise, force, define."""

import pytest

from coordinator.wire import calls
from coordinator.wire.calls import Deed
from tests.scripts.reach import reaches
from tests.support.engine import Engine

LOW, NORMAL, HIGH = range(3)


@reaches("release", "ok", "lost", "gone")
def test_only_the_holder_of_the_newest_fence_releases_and_may_repeat_it(engine: Engine) -> None:
    engine.open("s")
    assert engine.release("never-was", 1) == ["gone"]
    fence = engine.hold("s", "r", "a")
    engine.ask("s", "next", "a")
    assert engine.release("r", fence - 1) == ["lost", "held"]
    assert engine.release("next", fence) == ["lost", "waiting"]
    assert engine.release("r", fence) == ["ok"]
    with engine.unchanged():
        assert engine.release("r", fence) == ["ok"]
    assert engine.holders("a") == ["next"]
    engine.put("j")
    assert engine.release("j", fence) == ["gone"]


def test_a_lock_that_was_lost_is_not_released(engine: Engine) -> None:
    engine.open("s")
    fence = engine.hold("s", "r", "a")
    engine.call(calls.force(engine.scope, "r", "", Deed("op", "test", "c1")))
    assert engine.release("r", fence) == ["lost", "lost"]


@reaches("extend", "ok", "lost", "gone")
def test_a_lease_is_extended_from_now_and_only_while_it_lasts(engine: Engine) -> None:
    engine.open("s")
    fence = engine.hold("s", "r", "a b", hold_ms=2000)

    def extend(given: int = fence, ident: str = "r") -> list[object]:
        return engine.call(calls.extend(engine.scope, ident, given, 3000))

    engine.advance(1.5)
    assert extend() == ["ok", "3000"]
    assert extend(fence - 1) == ["lost", "held"]
    engine.advance(2.999)
    engine.sweep()
    assert engine.state("r") == "held"
    engine.advance(0.001)
    assert extend() == ["lost", "held"]  # over, though nobody has taken it back yet
    assert extend(ident="never-was") == ["gone"]
    engine.sweep()
    assert (extend(), engine.holders("b")) == (["lost", "lost"], [])


def test_a_lease_of_a_lapsed_session_is_not_extended(engine: Engine) -> None:
    engine.open("s")
    fence = engine.hold("s", "r", "a")
    engine.advance(10)
    assert engine.call(calls.extend(engine.scope, "r", fence, 3000)) == ["lost", "held"]


@reaches("cancel", "ok", "held", "ended", "gone")
def test_a_waiting_request_is_cancelled_once_and_its_owner_told(engine: Engine) -> None:
    engine.open("s")
    fence = engine.hold("s", "r", "a")
    engine.ask("s", "w", "a")
    assert engine.cancel("w") == ["ok", "cancelled"]
    assert (engine.line("a"), engine.inbox("s")) == ([], ["ended w cancelled"])
    with engine.unchanged():
        assert engine.cancel("w") == ["ok", "cancelled"]
    assert engine.cancel("w", "expire") == ["ended", "cancelled"]
    assert engine.cancel("r") == ["held", str(fence), "86400000"]
    assert engine.cancel("never-was") == ["gone"]


@pytest.mark.parametrize("stage", ["scheduled", "waiting", "ready"])
def test_a_job_that_has_not_started_is_cancelled_wherever_it_is(engine: Engine, stage: str) -> None:
    engine.open("s")
    engine.hold("s", "r", "a")
    engine.put("j", "a" if stage == "waiting" else "", **({"delay_ms": 9000} if stage == "scheduled" else {}))
    assert engine.state("j") == stage
    assert engine.cancel("j") == ["ok", "cancelled"]


@reaches("cancel", "told")
def test_a_running_job_is_told(engine: Engine) -> None:
    engine.worker("w")
    engine.put("j")
    [given] = engine.claim("w")
    assert engine.cancel("j") == ["told"]
    assert (engine.state("j"), engine.inbox("w")) == ("running", [f"cancel j {given.fence}"])


def test_who_leaves_the_head_of_a_line_lets_the_next_one_in(engine: Engine) -> None:
    engine.open("s")
    engine.hold("s", "r", "b")
    engine.ask("s", "head", "a b")
    engine.ask("s", "next", "a")
    engine.cancel("head")
    assert engine.state("next") == "held"


def reprioritise(engine: Engine, ident: str, priority: int) -> list[object]:
    return engine.call(calls.reprioritise(engine.scope, ident, priority))


@reaches("reprioritise", "ok", "refused", "gone")
def test_another_priority_moves_a_request_and_keeps_its_arrival(engine: Engine) -> None:
    engine.worker("s")
    engine.hold("s", "r", "a b")
    for ident in ("one", "two", "three"):
        engine.ask("s", ident, "a b")
    assert reprioritise(engine, "three", HIGH) == ["ok", HIGH]
    assert reprioritise(engine, "two", HIGH) == ["ok", HIGH]
    assert engine.line("a") == engine.line("b") == ["two", "three", "one"]
    assert reprioritise(engine, "r", HIGH) == ["refused", "held"]
    assert reprioritise(engine, "never-was", HIGH) == ["gone"]


def test_another_priority_moves_jobs_in_their_queue(engine: Engine) -> None:
    engine.worker("w")
    for ident in ("one", "two"):
        engine.put(ident)
    engine.put("three", delay_ms=1000)
    reprioritise(engine, "two", HIGH)
    reprioritise(engine, "three", HIGH + 1)
    engine.advance(1)
    engine.sweep()
    assert [one.ident for one in engine.claim("w", 3)] == ["three", "two", "one"]


def test_a_candidate_that_becomes_less_urgent_makes_room(engine: Engine) -> None:
    engine.worker("w")
    engine.put("one", "a")
    engine.put("two", "a")
    assert (engine.state("one"), engine.state("two")) == ("ready", "waiting")
    reprioritise(engine, "one", LOW)
    assert (engine.state("one"), engine.state("two")) == ("waiting", "ready")


def test_a_candidate_that_falls_behind_several_who_cannot_go_yet_is_withdrawn(engine: Engine) -> None:
    """Nobody behind a blocked waiter may stay offered, however many stand between them."""
    engine.worker("w")
    engine.hold("w", "r", "b")
    engine.put("one", "a")
    for ident in ("two", "three"):
        engine.put(ident, "a b")
    reprioritise(engine, "one", LOW)
    assert engine.line("a") == ["two", "three", "one"]
    assert (engine.state("one"), engine.claim("w")) == ("waiting", [])


def test_a_waiter_that_becomes_urgent_enough_displaces_a_candidate(engine: Engine) -> None:
    engine.worker("w")
    engine.put("one", "a")
    engine.ask("w", "lock", "a")
    reprioritise(engine, "lock", HIGH)
    assert (engine.state("one"), engine.state("lock")) == ("waiting", "held")


def force(engine: Engine, ident: str, fence: object = "", call_id: str = "c1") -> list[object]:
    return engine.call(calls.force(engine.scope, ident, str(fence), Deed("op", "stuck", call_id)))


@reaches("force", "ok", "refused", "gone")
def test_a_lock_is_taken_away_and_its_holder_told(engine: Engine) -> None:
    engine.open("s")
    fence = engine.hold("s", "r", "a")
    engine.ask("s", "next", "a")
    assert force(engine, "r", fence - 1) == ["refused", "held"]
    assert force(engine, "next") == ["refused", "waiting"]
    assert force(engine, "never-was") == ["gone"]
    assert force(engine, "r", fence) == ["ok", "lost"]
    assert engine.field("r", "why") == "forced: stuck"
    assert engine.inbox("s")[0] == f"lost r {fence}"
    assert engine.state("next") == "held"


def test_a_running_job_that_is_forced_goes_back_to_its_place(engine: Engine) -> None:
    engine.worker("w")
    engine.put("j", "a")
    [given] = engine.claim("w")
    assert force(engine, "j", given.fence) == ["ok", "ready"]
    [newer] = engine.claim("w")
    assert int(newer.fence) > int(given.fence)
    assert force(engine, "j") == ["ok", "running"], "a repeated call takes nothing from the next worker"
    assert engine.report("w", newer, "succeeded")[0] == "ok"


def test_what_an_operator_takes_back_is_no_crash(engine: Engine) -> None:
    engine.rules(max_crashes=1)
    engine.worker("w")
    engine.put("j", "a")
    engine.claim("w")
    assert force(engine, "j") == ["ok", "ready"]


def define(engine: Engine, capacity: int) -> None:
    deed = Deed("op", "test", f"define {capacity}")
    assert engine.call(calls.define(engine.scope, "a", deed, {"capacity": capacity})) == [
        "ok",
        "capacity",
        str(capacity),
    ]


def test_a_waiter_that_wants_more_permits_than_are_left_takes_them_all(engine: Engine) -> None:
    engine.open("s")
    define(engine, 4)
    first = engine.hold("s", "r1", "x2:a")
    engine.ask("s", "r2", "x4:a")
    engine.ask("s", "r3", "a")
    define(engine, 2)
    assert engine.holders("a") == ["r1"]
    engine.release("r1", first)
    assert engine.holders("a") == ["r2"]
    engine.release("r2", engine.field("r2", "fence") or "")
    assert engine.holders("a") == ["r3"]


@reaches("define", "ok")
def test_more_permits_help_those_who_wait_and_fewer_take_nothing_back(engine: Engine) -> None:
    engine.open("s")
    engine.hold("s", "r1", "a")
    for n in (2, 3, 4):
        engine.ask("s", f"r{n}", "a")
    define(engine, 3)
    assert engine.holders("a") == ["r1", "r2", "r3"]
    define(engine, 1)
    assert engine.holders("a") == ["r1", "r2", "r3"]
    for ident in ("r1", "r2"):
        engine.release(ident, engine.field(ident, "fence") or "")
    assert engine.holders("a") == ["r3"]
    engine.release("r3", engine.field("r3", "fence") or "")
    assert engine.holders("a") == ["r4"]


def test_fewer_permits_withdraw_offers_that_no_longer_fit(engine: Engine) -> None:
    engine.worker("w")
    define(engine, 2)
    engine.put("one", "a")
    engine.put("two", "a")
    define(engine, 1)
    assert (engine.state("one"), engine.state("two")) == ("ready", "waiting")


def test_fewer_permits_withdraw_offers_behind_holders_that_have_them_all(engine: Engine) -> None:
    engine.worker("w")
    define(engine, 2)
    engine.hold("w", "r", "a")
    engine.put("one", "a")
    define(engine, 1)
    assert engine.state("one") == "waiting"
