"""What a resource is defined with: the order of its line, its limits, the delay after a crash."""

from __future__ import annotations

from itertools import permutations

import pytest

from coordinator.model.definition import MODES, Definition
from coordinator.wire import calls
from coordinator.wire.calls import Deed
from tests.support.defining import Defining
from tests.support.engine import Engine

# Who asked in this order, with these priorities, and who has it in which order.
ASKED = {"r1": 1, "r2": 3, "r3": 0, "r4": 1}
ORDERS = {
    "priority": ["r2", "r1", "r4", "r3"],
    "oldest_first": ["r1", "r2", "r3", "r4"],
    "newest_first": ["r4", "r3", "r2", "r1"],
    "newest_ready_first": ["r4", "r3", "r2", "r1"],
    "unordered": ["r1", "r2", "r3", "r4"],
}


def had_by(engine: Engine, resource: str, first: str) -> list[str]:
    """Whoever has it after each other, from the one that holds it now, which is left out."""
    order, now = [], first
    while True:
        engine.release(now, engine.field(now, "fence") or "")
        if not engine.holders(resource):
            return order
        (now,) = engine.holders(resource)
        order.append(now)


def wait_in_line(engine: Engine, resource: str = "a") -> None:
    engine.hold("s", "first", resource)
    for ident, priority in ASKED.items():
        engine.advance(0.001)
        engine.ask("s", ident, resource, priority=priority)


# --- the order of a line


@pytest.mark.parametrize("mode", MODES)
def test_a_line_has_the_order_of_its_mode(engine: Engine, define: Defining, mode: str) -> None:
    assert define("a", mode=mode).mode == mode
    wait_in_line(engine)
    place = engine.call(calls.explain(engine.scope, "r1", 5))[4][0]
    assert (int(place[4]), place[10]) == (ORDERS[mode].index("r1"), "" if mode == "priority" else mode)
    assert had_by(engine, "a", "first") == ORDERS[mode]


@pytest.mark.parametrize(("before", "after"), list(permutations(MODES, 2)))
def test_a_line_whose_mode_changes_has_the_order_of_the_new_one(
    engine: Engine, define: Defining, before: str, after: str
) -> None:
    define("a", mode=before)
    wait_in_line(engine)
    define("a", mode=after)
    assert engine.line("a") == ORDERS[after]
    engine.ask("s", "r5", "a", priority=0)
    last = {"newest_first": 0, "newest_ready_first": 0}.get(after, 4)
    assert engine.line("a").index("r5") == last


def test_a_long_line_changes_its_order_page_by_page_and_nobody_has_it_in_between(
    engine: Engine, define: Defining
) -> None:
    engine.rules(max_line=1000)
    engine.open("other")
    engine.hold("s", "first", "a")
    scores = {f"r{n}": n for n in range(300)}
    asks = engine.raw.pipeline()
    engine.ask("s", "r0", "a")
    record = engine.raw.hgetall(engine.key("REQ", "r0"))
    stamp = int(record[b"stamp"])
    for ident, n in scores.items():
        asks.hset(engine.key("REQ", ident), mapping={**record, b"stamp": stamp + n})
        asks.sadd(engine.key("OWNS", "s"), ident)
        asks.zadd(engine.key("LINE", "a"), {ident: stamp + n + 3 * engine.terms.aging_us})
    asks.execute()
    assert define("a", mode="newest_first").reordering
    engine.release("first", engine.field("first", "fence") or "")
    assert engine.holders("a") == []
    while define.again("a", mode="newest_first").reordering:
        assert engine.holders("a") == []
    assert engine.holders("a") == ["r299"]
    assert engine.line("a") == [f"r{n}" for n in reversed(range(299))]


def test_if_nobody_goes_on_with_a_change_of_order_the_sweep_does(engine: Engine, define: Defining) -> None:
    wait_in_line(engine)
    engine.raw.hset(engine.key("DEF", "a"), mapping={"mode": "newest_first", "turn": 0})
    engine.raw.hset(engine.key("META"), "defined", 1)
    engine.raw.sadd(engine.key("DIRTY"), "a")
    engine.raw.hset(engine.key("META"), "left", 1)
    engine.sweep_all()
    assert engine.line("a") == ORDERS["newest_first"]
    assert not engine.raw.hexists(engine.key("DEF", "a"), "turn")


def test_another_priority_matters_only_where_the_line_goes_by_it(engine: Engine, define: Defining) -> None:
    define("a", mode="oldest_first")
    wait_in_line(engine)
    engine.call(calls.reprioritise(engine.scope, "r4", 4))
    assert engine.line("a") == ORDERS["oldest_first"]
    define("a", mode="priority")
    assert engine.line("a")[0] == "r4"


@pytest.mark.parametrize("mode", MODES)
def test_a_place_that_is_given_by_hand_counts_in_every_mode(engine: Engine, define: Defining, mode: str) -> None:
    define("a", mode=mode)
    wait_in_line(engine)
    for n, (place, other) in enumerate((("back", ""), ("front", ""), ("before", ORDERS[mode][2]))):
        engine.call(calls.reorder(engine.scope, "r1", place, other, Deed("ann", "x", f"c{n}")))
        if other != "r1":
            rest = [one for one in ORDERS[mode] if one != "r1"]
            at = {"front": 0, "back": 3, "before": rest.index(other) if other else 0}[place]
            assert engine.line("a").index("r1") == at


# --- several needs


@pytest.mark.parametrize("mode", MODES)
def test_who_waits_for_something_else_is_passed_over_unless_the_line_is_strict(
    engine: Engine, define: Defining, mode: str
) -> None:
    define("a", mode=mode)
    fence = engine.hold("s", "b-holder", "b")
    first = engine.hold("s", "a-holder", "a")
    for ident in ("single", "several", "last"):
        engine.ask("s", ident, "a b" if ident == "several" else "a", priority=4 if ident == "several" else 1)
    engine.release("a-holder", first)
    assert engine.holders("a") == {
        "priority": [],
        "newest_first": ["last"],
        "newest_ready_first": ["last"],
    }.get(mode, ["single"])
    engine.release("b-holder", fence)
    for ident in engine.holders("a"):
        engine.release(ident, engine.field(ident, "fence") or "")
    assert engine.holders("a") == (["single"] if mode == "priority" else ["several"])


def test_two_who_stand_before_each_other_do_not_wait_for_each_other(engine: Engine, define: Defining) -> None:
    define("a", mode="newest_first")
    define("b", mode="oldest_first")
    held = {one: engine.hold("s", f"{one}-holder", one) for one in ("a", "b")}
    engine.ask("s", "old", "a b")
    engine.ask("s", "new", "a b")
    for one, fence in held.items():
        engine.release(f"{one}-holder", fence)
    (now,) = engine.holders("a")
    assert engine.holders("b") == [now]
    engine.release(now, engine.field(now, "fence") or "")
    assert {*engine.holders("a"), *engine.holders("b")} == {"old", "new"} - {now}


def test_who_is_far_back_in_a_line_that_passes_over_and_first_in_a_strict_one_has_both(
    engine: Engine, define: Defining
) -> None:
    """The oldest is the first by priority on `b` and behind more on `a` than a walk looks at."""
    engine.rules(max_line=1000)
    define("a", mode="newest_first")
    fence = engine.hold("s", "holder", "a b")
    for n in range(100):
        engine.ask("s", f"r{n}", "a b")
    engine.release("holder", fence)
    assert (engine.holders("a"), engine.holders("b")) == (["r0"], ["r0"])


def test_newest_first_waits_for_room_and_newest_ready_first_takes_who_fits(engine: Engine, define: Defining) -> None:
    for resource, mode, has in (
        ("a", "newest_first", []),
        ("b", "newest_ready_first", ["small"]),
        ("c", "unordered", ["small"]),
    ):
        define(resource, mode=mode, capacity=4)
        engine.hold("s", f"{resource}-holder", f"x3:{resource}")
        fence = engine.hold("s", f"{resource}-other", f"x1:{resource}")
        engine.ask("s", f"{resource}-small", f"x1:{resource}")
        engine.ask("s", f"{resource}-large", f"x2:{resource}")
        engine.release(f"{resource}-other", fence)
        assert engine.holders(resource) == sorted([f"{resource}-holder", *(f"{resource}-{one}" for one in has)])


# --- jobs


def test_a_newer_job_takes_the_place_of_one_on_offer(engine: Engine, define: Defining) -> None:
    engine.worker("w")
    define("a", mode="newest_first")
    engine.put("old", "a")
    engine.put("new", "a")
    assert (engine.state("old"), engine.state("new")) == ("waiting", "ready")
    (job,) = engine.claim("w")
    assert job.ident == "new"
    engine.put("newest", "a")
    engine.report("w", job, "succeeded")
    assert engine.claim("w")[0].ident == "newest"


def test_an_offer_steps_back_when_one_who_was_passed_over_gets_what_it_waited_for(
    engine: Engine, define: Defining
) -> None:
    engine.worker("w")
    define("a", mode="newest_first")
    fence = engine.hold("s", "b-holder", "b")
    engine.put("single", "a")
    engine.ask("s", "several", "a b")
    assert engine.state("single") == "ready"
    engine.release("b-holder", fence)
    assert (engine.state("several"), engine.state("single")) == ("held", "waiting")


def test_jobs_that_each_come_before_the_next_do_not_put_each_other_back_without_end(
    engine: Engine, define: Defining
) -> None:
    engine.worker("w")
    for resource, mode in (("a", "newest_first"), ("b", "newest_first"), ("c", "oldest_first")):
        define(resource, mode=mode)
    for ident, needs in (("first", "b c"), ("second", "a b"), ("third", "a c")):
        engine.put(ident, needs)
    engine.sweep_all()
    assert [engine.state(one) for one in ("first", "second", "third")] == ["ready", "waiting", "waiting"]
    assert not engine.raw.hexists(engine.key("META"), "left")


def test_a_shared_offer_steps_back_when_an_exclusive_one_before_it_can_have_it(
    engine: Engine, define: Defining
) -> None:
    engine.worker("w")
    define("a", mode="newest_ready_first")
    fence = engine.hold("s", "reader", "s1:a")
    engine.put("shared", "s1:a")
    engine.ask("s", "exclusive", "a")
    assert (engine.state("exclusive"), engine.state("shared")) == ("waiting", "ready")
    engine.release("reader", fence)
    assert (engine.state("exclusive"), engine.state("shared")) == ("held", "waiting")


# --- limits


def test_a_line_of_its_own_length_refuses_with_its_own_limit(engine: Engine, define: Defining) -> None:
    define("a", max_line=2)
    define("b", max_line=200)
    for resource, room in (("a", 2), ("b", 101)):
        engine.hold("s", f"{resource}-holder", resource)
        for n in range(room):
            assert engine.ask("s", f"{resource}{n}", resource)[0] == "waiting"
    assert engine.ask("s", "more", "a") == ["line_full", "a", 2]
    assert engine.put("job", "a") == ["line_full", "a", 2]
    define("a", max_line="")
    assert engine.ask("s", "more", "a")[0] == "waiting"


def test_no_grant_lasts_longer_than_was_defined(engine: Engine, define: Defining) -> None:
    define("a", max_hold=5000)
    assert engine.ask("s", "r", "a b")[3] == "5000"
    engine.ask("s", "next", "a", hold_ms=2000)
    fence = int(engine.field("r", "fence") or 0)
    engine.keep_alive(3, "s")
    assert engine.call(calls.extend(engine.scope, "r", fence, 60_000)) == ["ok", "2000"]
    engine.keep_alive(2, "s")
    engine.sweep_all()
    assert (engine.state("r"), engine.state("next")) == ("lost", "held")
    assert int(engine.field("next", "expires") or 0) == engine.now + 2000


def test_a_limit_that_is_defined_later_takes_nothing_from_who_holds(engine: Engine, define: Defining) -> None:
    fence = engine.hold("s", "r", "a", hold_ms=60_000)
    define("a", max_hold=1000)
    engine.keep_alive(5, "s")
    assert engine.call(calls.extend(engine.scope, "r", fence, 90_000)) == ["ok", "55000"]


def test_a_job_has_its_lease_for_as_long_and_is_told_to_end_before(engine: Engine, define: Defining) -> None:
    engine.worker("w")
    define("a", max_hold=8000)
    engine.put("j", "a", run_ms=60_000)
    (job,) = engine.claim("w")
    assert int(job.run_ms) == 6000
    assert engine.raw.zscore(engine.key("DEADLINES"), "j") == engine.now + 8000


# --- the record


@pytest.mark.parametrize("between", [1, 7])
@pytest.mark.parametrize("old", ["newest_first", "oldest_first"])
def test_a_late_copy_of_an_old_call_undoes_nothing_that_was_said_since(
    engine: Engine, define: Defining, between: int, old: str
) -> None:
    """Neither of one that changed the mode, nor of one that found it so."""
    define("a", mode="oldest_first")
    late = calls.define(engine.scope, "a", Deed("ann", "so it must be", "late"), {"mode": old})
    engine.call(late)
    for number in range(between):
        define("a", mode="unordered", capacity=number + 1)
    before = engine.census()
    assert "unordered" in engine.call(late)
    assert engine.census() == before


def test_each_term_changes_alone_and_what_changes_nothing_is_not_written(engine: Engine, define: Defining) -> None:
    define("a", capacity=3, max_hold=1000)
    assert define("a", mode="unordered") == Definition(3, "unordered", max_hold=1.0)
    before = engine.census()
    assert define.again("a", mode="priority").mode == "unordered", "a repeated call"
    assert define("a").mode == "unordered", "only a look"
    assert engine.census() == before
    define("a", mode="unordered", capacity=3)
    known = engine.key("DEF", "a")
    assert {**engine.census(), known: None} == {**before, known: None}, "nothing but the call itself"
    audited = [fields for _, fields in before[engine.key("AUDIT")].value]
    assert [(one["by"], one["why"], one["id"]) for one in audited] == [("ann", "so it must be", "a")] * 2
    assert audited[1].keys() - audited[0].keys() == {"mode", "mode_before"}
    assert (audited[0]["capacity"], audited[0]["capacity_before"]) == ("3", "")


def test_the_record_says_what_a_term_was_before(engine: Engine, define: Defining) -> None:
    define("a", capacity=3)
    define("a", capacity=2)
    last = engine.census()[engine.key("AUDIT")].value[-1][1]
    assert (last["capacity_before"], last["capacity"]) == ("3", "2")


def test_where_nothing_is_defined_any_more_nobody_looks(engine: Engine, define: Defining) -> None:
    meta = engine.key("META")
    define("a", capacity=2)
    assert not engine.raw.hexists(meta, "defined")
    define("a", mode="unordered", max_line=5)
    define("b", lock_delay=1000)
    define("a", mode="oldest_first", max_hold=1000)
    assert engine.raw.hget(meta, "defined") == b"2"
    define("a", mode="priority", max_line="", max_hold="")
    assert engine.raw.hget(meta, "defined") == b"1"
    define("b", lock_delay="")
    assert not engine.raw.hexists(meta, "defined")
