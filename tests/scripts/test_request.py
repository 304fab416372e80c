"""Asking for locks: who gets them, in which order, and that a refusal leaves nothing behind."""

import pytest
import redis

from coordinator.wire import calls
from coordinator.wire.calls import Deed, LockAsk
from coordinator.wire.copies import sent_again
from tests.scripts.reach import reaches
from tests.support.engine import HOUR, Engine, wire_needs

HIGH, EMERGENCY = 2, 4


@reaches("request", "granted")
def test_a_free_resource_is_granted_at_once_with_its_whole_lease(engine: Engine) -> None:
    engine.open("s")
    assert engine.ask("s", "r", "a", hold_ms=5000)[2:] == [engine.field("r", "fence"), "5000"]
    assert (engine.state("r"), engine.holders("a"), engine.line("a")) == ("held", ["r"], [])
    assert engine.inbox("s") == []  # the answer says it; a message besides would be taken for another grant


def test_works_under_the_clock_of_the_server(raw: redis.Redis, namespace: str) -> None:
    engine = Engine(raw, namespace, clocked=False)
    engine.open("s")
    fence = engine.hold("s", "r", "a")
    assert abs(fence - int(raw.time()[0]) * 1_000_000) < 60_000_000
    assert engine.release("r", fence) == ["ok"]


@reaches("request", "waiting")
def test_a_resource_in_use_is_waited_for_and_handed_on_by_the_release(engine: Engine) -> None:
    engine.open("s")
    fence = engine.hold("s", "r1", "a")
    assert engine.ask("s", "r2", "a") == ["waiting", "r2"]
    assert engine.release("r1", fence) == ["ok"]
    assert engine.holders("a") == ["r2"]
    assert engine.inbox("s") == [f"granted r2 {engine.field('r2', 'fence')} 86400000"]


def test_a_release_tells_at_once_who_has_it_next_if_that_is_in_the_same_session(engine: Engine) -> None:
    engine.open("s")
    engine.open("other")
    first = engine.hold("s", "r1", "a")
    engine.ask("s", "r2", "a")
    engine.ask("other", "r3", "a")
    reply = engine.call(calls.release(engine.scope, "r1", first))
    assert reply == ["ok", *engine.inbox("s")]
    second = int(reply[1].split()[2])
    assert engine.call(calls.release(engine.scope, "r2", second)) == ["ok"]
    assert engine.holders("a") == ["r3"]


def test_a_repeated_call_answers_as_the_first_did(engine: Engine) -> None:
    engine.open("s")
    granted = engine.ask("s", "r1", "a")
    with engine.unchanged():
        assert engine.ask("s", "r1", "a") == granted
    engine.ask("s", "r2", "a")
    with engine.unchanged():
        assert engine.ask("s", "r2", "a") == ["waiting", "r2"]


def test_a_repeated_call_says_how_much_of_the_lease_is_left(engine: Engine) -> None:
    engine.open("s")
    engine.hold("s", "r", "a", hold_ms=5000)
    engine.advance(2)
    assert engine.ask("s", "r", "a", hold_ms=5000)[3] == "3000"


@reaches("request", "ended")
def test_a_repeated_call_for_a_request_that_is_over_says_so(engine: Engine) -> None:
    engine.open("s")
    engine.release("r", engine.hold("s", "r", "a"))
    assert engine.ask("s", "r", "a") == ["ended", "r", "released", ""]


@reaches("request", "conflict")
def test_an_id_that_is_taken_by_something_else_is_refused(engine: Engine) -> None:
    engine.open("s")
    engine.hold("s", "r", "a")
    assert engine.ask("s", "r", "b") == ["conflict", "r"]
    engine.put("j")
    assert engine.ask("s", "j", "a") == ["conflict", "j"]


@reaches("request", "session_lost")
def test_a_session_that_lapsed_or_never_was_asks_for_nothing(engine: Engine) -> None:
    assert engine.ask("nobody", "r", "a") == ["session_lost"]
    engine.open("s")
    engine.advance(10)
    assert engine.ask("s", "r", "a") == ["session_lost"]


@pytest.mark.parametrize("held", [True, False])
def test_what_died_with_its_session_is_not_handed_to_the_next_one(engine: Engine, held: bool) -> None:
    """A process that was paused for longer than its session repeats its request under a new one. The lock that the
    first was granted is lost: answering `granted` would make the process trust a lease that the next sweep takes."""
    engine.open("s1")
    if not held:
        engine.open("blocker")
        engine.hold("blocker", "r0", "a")
    engine.ask("s1", "r1", "a")
    engine.keep_alive(11, *([] if held else ["blocker"]))
    engine.open("s2")
    assert engine.ask("s2", "r1", "a", writes=True) == ["ended", "r1", "lost" if held else "cancelled", ""]
    assert (engine.holders("a"), engine.line("a")) == ([] if held else ["r0"], [])


@reaches("request", "busy")
def test_a_try_that_fails_stands_in_no_line(engine: Engine) -> None:
    engine.open("s")
    engine.hold("s", "r1", "b")
    assert engine.ask("s", "r2", "a b", trying=True) == ["busy", "b"]
    assert engine.ask("s", "r2", "a b", trying=True) == ["busy", "b"]
    assert engine.state("r2") is None


def test_a_try_does_not_pass_those_who_wait(engine: Engine) -> None:
    engine.open("s")
    engine.hold("s", "r1", "s1:a")
    engine.ask("s", "r2", "a")
    assert engine.ask("s", "r3", "s1:a", trying=True) == ["busy", "a"]


def test_a_more_urgent_try_passes_those_who_wait_for_something_else(engine: Engine) -> None:
    engine.open("s")
    engine.hold("s", "r1", "b")
    engine.ask("s", "r2", "a b")
    assert engine.ask("s", "r3", "a", trying=True) == ["busy", "a"]
    engine.hold("s", "r4", "a", trying=True, priority=EMERGENCY)


def test_a_try_displaces_a_candidate_that_is_less_urgent(engine: Engine) -> None:
    engine.open("s")
    engine.put("j", "a")
    assert engine.ask("s", "r1", "a", trying=True) == ["busy", "a"]
    engine.hold("s", "r2", "a", trying=True, priority=HIGH)
    assert engine.state("j") == "waiting"


@reaches("request", "busy")
def test_a_copy_of_a_try_that_was_answered_comes_too_late(engine: Engine) -> None:
    """The first copy of a call is held up, the second, sent after it, is answered `busy`. When the first arrives all is
    free, but nobody waits for its answer any more: it must not be granted."""
    engine.open("s")
    fence = engine.hold("s", "r1", "b")
    first = calls.request(engine.scope, "s", LockAsk("r2", 1, wire_needs("a b"), True, None, 1000))
    assert engine.call(sent_again(first), writes=True) == ["busy", "b"]
    assert (engine.state("r2"), engine.line("a"), engine.line("b")) == ("cancelled", [], [])
    assert engine.call(sent_again(first)) == ["busy", "b"]
    engine.release("r1", fence)
    assert engine.call(first) == ["busy", "b"]
    assert (engine.holders("a"), engine.holders("b")) == ([], [])


@pytest.mark.parametrize("need", ["a", "a " + " ".join(f"{n}-of-many" for n in range(8))])
def test_what_a_try_that_is_sent_again_leaves_goes_with_its_record(engine: Engine, need: str) -> None:
    engine.open("s")
    engine.hold("s", "r1", "a")
    asked = LockAsk("r2", 1, wire_needs(need), True, None, 1000, "pr-1", "a plan", '{"pull": 1}')
    for _ in range(2):
        assert engine.call(sent_again(calls.request(engine.scope, "s", asked)), writes=True)[0] == "busy"
    kept = {name.rpartition(":")[2]: one for name, one in engine.census().items() if name.endswith(":r2")}
    assert kept
    assert all(one.has_ttl for one in kept.values())
    assert not engine.raw.exists(engine.key("BY_OWNER", "pr-1"))


def test_a_try_that_is_sent_again_is_granted_what_is_free(engine: Engine) -> None:
    engine.open("s")
    first = calls.request(engine.scope, "s", LockAsk("r", 1, wire_needs("a"), True, None, 1000))
    again = engine.call(sent_again(first), writes=True)
    assert (again[0], engine.call(first)[:3]) == ("granted", again[:3])


def test_a_try_that_meets_a_job_going_back_to_its_place_is_busy_however_often_it_asks(engine: Engine) -> None:
    """The holder looks free because its worker is dead, but the job goes back to the head of the line before the try.
    The answer is `busy`, and it must be `busy` again when the call is repeated, not the end of a request."""
    engine.worker("w")
    engine.put("j", "a")
    engine.claim("w")
    engine.advance(11)
    engine.open("s")
    assert engine.ask("s", "r", "a", trying=True, writes=True) == ["busy", "a"]
    assert (engine.state("r"), engine.state("j")) == ("cancelled", "ready")
    assert engine.ask("s", "r", "a", trying=True) == ["busy", "a"]


@reaches("request", "line_full")
def test_a_line_takes_as_many_as_it_may_and_not_one_more(engine: Engine) -> None:
    engine.rules(max_line=2)
    engine.open("s")
    engine.hold("s", "r0", "a")
    assert [engine.ask("s", f"r{n}", "a")[0] for n in (1, 2)] == ["waiting", "waiting"]
    assert engine.ask("s", "r3", "b a") == ["line_full", "a", 2]
    assert engine.ask("s", "r2", "a") == ["waiting", "r2"]
    assert engine.ask("s", "r3", "a", trying=True) == ["busy", "a"]


def test_who_steals_gets_into_a_full_line_and_pushes_nobody_out(engine: Engine) -> None:
    engine.rules(max_line=2)
    engine.open("s")
    engine.hold("s", "r0", "a")
    for n in (1, 2):
        engine.ask("s", f"r{n}", "a", priority=0)
    for _ in range(2):
        assert engine.ask("s", "r3", "a", stealing=True, priority=EMERGENCY) == ["waiting", "r3"]
    assert sorted(engine.line("a")) == ["r1", "r2", "r3"]
    assert engine.ask("s", "r4", "a") == ["line_full", "a", 2]
    assert engine.ask("s", "r5", "x2:a", stealing=True) == ["over_capacity", "a", 1]


@reaches("request", "over_capacity")
def test_more_permits_than_there_are_can_never_be_granted(engine: Engine) -> None:
    engine.open("s")
    assert engine.ask("s", "r", "x2:a") == ["over_capacity", "a", 1]
    engine.call(calls.define(engine.scope, "a", Deed("op", "test", "c"), {"capacity": 4}))
    assert engine.ask("s", "r", "x5:a") == ["over_capacity", "a", 4]
    engine.hold("s", "r", "x4:a")


def test_fences_of_a_resource_only_grow(engine: Engine) -> None:
    engine.open("s")
    fences = []
    for n in range(5):
        fences.append(engine.hold("s", f"r{n}", "a"))
        engine.release(f"r{n}", fences[-1])
    assert fences == sorted(set(fences))


def test_fences_grow_across_the_loss_of_all_data(engine: Engine) -> None:
    engine.open("s")
    before = engine.hold("s", "r", "a")
    engine.advance(0.001)
    engine.raw.delete(*engine.census())
    engine.open("s")
    assert engine.hold("s", "r", "a") > before


def test_a_holder_whose_session_lapsed_is_evicted_without_any_sweep(engine: Engine) -> None:
    engine.open("dead")
    engine.hold("dead", "r1", "a b")
    engine.ask("dead", "r2", "c")
    engine.advance(10)
    engine.open("s")
    engine.hold("s", "r3", "a")
    assert engine.state("r1") == "lost"


def test_a_waiter_whose_session_lapsed_is_passed_without_any_sweep(engine: Engine) -> None:
    engine.open("dead")
    engine.open("s")
    fence = engine.hold("s", "r1", "a")
    engine.ask("dead", "r2", "a")
    engine.ask("s", "r3", "a")
    engine.keep_alive(10, "s")
    engine.release("r1", fence)
    assert (engine.state("r2"), engine.state("r3")) == ("cancelled", "held")


def test_a_lease_that_ended_is_taken_back_by_whoever_comes_next(engine: Engine) -> None:
    engine.open("s")
    engine.hold("s", "r1", "a", hold_ms=2000)
    engine.advance(1.999)
    assert engine.ask("s", "r2", "a", trying=True) == ["busy", "a"]
    engine.advance(0.001)
    engine.hold("s", "r3", "a", trying=True)
    assert (engine.state("r1"), engine.inbox("s")) == ("lost", [f"lost r1 {engine.field('r1', 'fence')}"])


def test_a_clock_that_steps_back_an_hour_freezes_no_lease(engine: Engine) -> None:
    engine.open("s")
    engine.hold("s", "r1", "a", hold_ms=2000)
    engine.advance(-HOUR)
    engine.beat("s")  # whatever comes first notes how far the clock is off
    engine.advance(2.001)
    engine.hold("s", "r2", "a", trying=True)


def test_a_clock_that_steps_back_and_is_mended_lapses_nobody(engine: Engine) -> None:
    engine.open("s")
    engine.hold("s", "r1", "a")
    engine.advance(-HOUR)
    engine.beat("s")
    engine.advance(HOUR + 1)
    assert engine.beat("s")[0] == "ok"
    assert engine.state("r1") == "held"


def test_fences_grow_while_the_clock_stands_an_hour_back(engine: Engine) -> None:
    engine.open("s")
    before = engine.hold("s", "r1", "a")
    engine.advance(-HOUR)
    engine.release("r1", before)
    assert engine.hold("s", "r2", "a") > before


def test_what_people_wrote_stays_out_of_the_request_and_can_be_read(engine: Engine) -> None:
    engine.open("s")
    asked = calls.LockAsk("r", 1, "x1:a", False, None, 1000)._replace(owner="pr-1", reason="apply", metadata='{"a": 1}')
    engine.call(calls.request(engine.scope, "s", asked))
    assert engine.census()[engine.key("NOTE", "r")].value == {
        "owner": "pr-1",
        "reason": "apply",
        "metadata": '{"a": 1}',
    }
