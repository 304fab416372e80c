"""Subtrees: what goes together across the levels of a path, who comes next, and what the index of a subtree knows."""

import pytest

from coordinator.model.definition import MODES
from coordinator.wire import calls
from coordinator.wire.calls import Call, Deed, LockAsk, Report
from tests.support.engine import Engine, job, plain, script_text, wire_needs

HIGH = 2


def quick(engine: Engine, *made: Call) -> list[list[str]]:
    """Many calls at once, without a look at everything before and after each."""
    pipe = engine.raw.pipeline(transaction=False)
    for call in made:
        pipe.eval(script_text(call.script, engine._shebang, True), 1, call.key, *call.args)
    return [plain(reply) for reply in pipe.execute()]


def asks(engine: Engine, count: int, mode: str = "x") -> list[list[str]]:
    """So many requests `r0`, `r1`... for `p/000`, `p/001`..."""
    needs = [wire_needs(f"{mode}1:p/{n:03}") for n in range(count)]
    made = [LockAsk(f"r{n}", 1, one, trying=False, wait_ms=None, hold_ms=86_400_000) for n, one in enumerate(needs)]
    return quick(engine, *(calls.request(engine.scope, "s", one) for one in made))


@pytest.mark.parametrize(
    ("held", "asked", "goes"),
    [
        ("p/**", "p", False),
        ("p/**", "p/q", False),
        ("p/**", "p/q/r", False),
        ("p/**", "s1:p/q", False),
        ("p/**", "pq", True),
        ("p/**", "o", True),
        ("p/**", "p/q/**", False),
        ("p/q/**", "p/**", False),
        ("p/q/**", "p/r/**", True),
        ("p/q/**", "p", True),
        ("p", "p/**", False),
        ("p/q/r", "p/**", False),
        ("p-q", "p/**", True),
        ("s1:p/**", "s1:p/q", True),
        ("s1:p/**", "p/q", False),
        ("s1:p/**", "s1:p/q/**", True),
        ("s1:p/q", "s1:p/**", True),
        ("s1:p/q", "p/**", False),
        ("p/q", "s1:p/**", False),
        ("x2:c/q", "s1:c/**", False),
        ("/".join("abcdefghijklmnop") + "/q/r", "/".join("abcdefghijklmnop") + "/**", False),
    ],
)
def test_what_goes_together(engine: Engine, held: str, asked: str, goes: bool) -> None:
    engine.call(calls.define(engine.scope, "c/q", Deed("op", "test", "c"), {"capacity": 3}))
    engine.open("s")
    engine.hold("s", "r1", held)
    assert engine.ask("s", "t", asked, trying=True)[0] == ("granted" if goes else "busy")
    assert goes or engine.ask("s", "r2", asked)[0] == "waiting"


def test_the_last_that_goes_from_below_hands_on_in_the_same_script(engine: Engine) -> None:
    engine.open("s")
    fences = {one: engine.hold("s", one, f"p/{one}") for one in ("a", "b")}
    assert engine.ask("s", "tree", "p/**")[0] == "waiting"
    engine.release("a", fences["a"])
    assert engine.state("tree") == "waiting"
    engine.release("b", fences["b"])
    assert engine.state("tree") == "held"


def test_what_waits_below_moves_when_a_subtree_comes_free(engine: Engine) -> None:
    engine.open("s")
    fence = engine.hold("s", "tree", "p/**")
    for one in ("p/a", "p/b/c", "p/b/**"):
        assert engine.ask("s", one, one)[0] == "waiting"
    engine.release("tree", fence)
    assert [engine.state(one) for one in ("p/a", "p/b/c", "p/b/**")] == ["held", "held", "waiting"]
    engine.cancel("p/b/**")


def test_later_equals_do_not_overtake_a_subtree_and_more_urgent_ones_do(engine: Engine) -> None:
    engine.open("s")
    fence = engine.hold("s", "a", "p/a")
    assert engine.ask("s", "tree", "p/**")[0] == "waiting"
    assert engine.ask("s", "later", "p/b")[0] == "waiting"
    assert engine.ask("s", "shared", "s1:p/c")[0] == "waiting"
    urgent = engine.hold("s", "urgent", "p/d", priority=HIGH)
    engine.release("a", fence)
    assert engine.state("tree") == "waiting"
    engine.release("urgent", urgent)
    assert engine.state("tree") == "held"
    assert engine.ask("s", "tried", "p/b", trying=True)[0] == "busy"
    engine.release("tree", engine.field("tree", "fence") or 0)
    assert [engine.state(one) for one in ("later", "shared")] == ["held", "held"]


def test_a_subtree_does_not_overtake_who_waits_below_for_something_else(engine: Engine) -> None:
    engine.open("s")
    fence = engine.hold("s", "other", "z")
    assert engine.ask("s", "both", "p/a z")[0] == "waiting"
    assert engine.ask("s", "tree", "p/**")[0] == "waiting"
    engine.call(calls.reprioritise(engine.scope, "both", 0))
    assert engine.state("tree") == "held"
    engine.release("other", fence)
    assert engine.state("both") == "waiting"
    engine.call(calls.force(engine.scope, "tree", "", calls.Deed("op", "so it must be", "c1")))
    assert engine.state("both") == "held"


@pytest.mark.parametrize(("first", "second"), [("p/a", "p/**"), ("p/**", "p/a")])
def test_what_the_dead_hold_above_or_below_is_taken_back(engine: Engine, first: str, second: str) -> None:
    engine.open("dead")
    engine.hold("dead", "r1", first)
    engine.keep_alive(11, engine.open("s"))
    assert engine.ask("s", "r2", second)[0] == "granted"
    assert engine.state("r1") == "lost"


def test_the_ends_of_leases_and_waits_are_seen_across_levels(engine: Engine) -> None:
    engine.open("s")
    engine.hold("s", "short", "p/a", hold_ms=1000)
    engine.ask("s", "tree", "p/**", wait_ms=3000)
    engine.ask("s", "leaf", "p/b")
    engine.keep_alive(2, "s")
    engine.sweep_all()
    assert [engine.state(one) for one in ("short", "tree", "leaf")] == ["lost", "held", "waiting"]
    engine.hold("s", "other", "q/a")
    engine.ask("s", "late", "q/**", wait_ms=1000)
    engine.ask("s", "behind", "q/b")
    engine.keep_alive(2, "s")
    engine.sweep_all()
    assert [engine.state(one) for one in ("late", "behind")] == ["expired", "held"]


def test_jobs_take_subtrees_and_offers_step_back(engine: Engine) -> None:
    engine.worker("w")
    engine.open("s")
    engine.submit(job("j1", "p/a"), job("j2", "p/b"))
    assert [engine.state(one) for one in ("j1", "j2")] == ["ready", "ready"]
    engine.put("tree", "p/**", priority=HIGH)
    assert [engine.state(one) for one in ("j1", "j2", "tree")] == ["waiting", "waiting", "ready"]
    [claimed] = engine.claim("w", 5)
    assert claimed.ident == "tree"
    engine.settle("w", Report(claimed.ident, claimed.fence, "succeeded"))
    assert [engine.state(one) for one in ("j1", "j2")] == ["ready", "ready"]


def test_more_below_than_one_script_looks_at(engine: Engine) -> None:
    engine.open("s")
    fences = {one[1]: int(one[2]) for one in asks(engine, 400)}
    assert engine.ask("s", "try", "p/**", trying=True)[0] == "busy"
    assert engine.ask("s", "tree", "p/**")[0] == "waiting"
    assert engine.raw.hget(engine.key("TREES"), "p/**") != b"="
    engine.sweep_all()
    assert engine.raw.hget(engine.key("TREES"), "p/**") == b"="
    last, fence = fences.popitem()
    quick(engine, *(calls.release(engine.scope, one, fence) for one, fence in fences.items()))
    assert engine.state("tree") == "waiting"
    engine.release(last, fence)
    assert engine.state("tree") == "held"


def test_many_that_wait_below_are_woken_page_by_page_and_that_is_no_fault(engine: Engine) -> None:
    engine.open("s")
    fence = engine.hold("s", "tree", "p/**")
    assert {one[0] for one in asks(engine, 400)} == {"waiting"}
    engine.release("tree", fence)
    held = [n for n in range(400) if engine.state(f"r{n}") == "held"]
    assert held == list(range(64))
    assert engine.call(calls.audit_resource(engine.scope, "p/399", fix=False, grace_ms=0)) == ["ok", []]
    engine.sweep_all()
    assert {engine.state(f"r{n}") for n in range(400)} == {"held"}
    assert not engine.raw.exists(engine.key("WAKES"), engine.key("TREES"))


def test_no_script_that_wakes_many_does_more_than_so_much(engine: Engine) -> None:
    """Behind a subtree wait 8 readers on each of 100 lines: as many grants as looks would be 500 in one script."""
    engine.open("s")
    fence = engine.hold("s", "t", "p/**")
    needs = [wire_needs(f"s1:p/{n // 8:03}") for n in range(800)]
    made = [LockAsk(f"r{n}", 1, one, trying=False, wait_ms=None, hold_ms=86_400_000) for n, one in enumerate(needs)]
    quick(engine, *(calls.request(engine.scope, "s", one) for one in made))
    commands = [spent(engine, calls.release(engine.scope, "t", fence))]
    while engine.raw.exists(engine.key("DIRTY"), engine.key("WAKES")):
        commands.append(spent(engine, calls.sweep(engine.scope)))
    assert engine.raw.zcard(engine.key("DEADLINES")) == 800, "everybody has it"
    assert max(commands) <= 1500
    assert len(commands) <= 12


def spent(engine: Engine, call: Call) -> int:
    """How many commands a script runs."""
    engine.raw.config_resetstat()
    engine.sent(call)
    return sum(one["calls"] for one in engine.raw.info("commandstats").values())


def test_one_that_does_not_go_together_is_found_behind_many_that_do(engine: Engine) -> None:
    engine.open("s")
    fence = engine.hold("s", "last", "p/last")
    assert {one[0] for one in asks(engine, 300, "s")} == {"granted"}
    assert engine.ask("s", "try", "s1:p/**", trying=True)[0] == "busy"
    assert engine.ask("s", "tree", "s1:p/**")[0] == "waiting"
    engine.sweep_all()
    assert engine.state("tree") == "waiting"
    engine.release("last", fence)
    assert engine.state("tree") == "held"


def test_all_that_wait_below_come_up_when_a_subtree_falls_behind_them(engine: Engine) -> None:
    engine.open("s")
    engine.hold("s", "other", "z")
    assert engine.ask("s", "tree", "p/** z")[0] == "waiting"
    assert {one[0] for one in asks(engine, 100)} == {"waiting"}
    engine.call(calls.reprioritise(engine.scope, "tree", 0))
    engine.sweep_all()
    assert {engine.state(f"r{n}") for n in range(100)} == {"held"}


def test_a_subtree_comes_up_when_the_line_it_waits_behind_gets_an_order_of_its_own(engine: Engine) -> None:
    engine.open("s")
    engine.hold("s", "other", "o")
    engine.ask("s", "first", "o p/q")
    assert engine.ask("s", "tree", "p/**")[0] == "waiting"
    engine.call(calls.define(engine.scope, "p/q", Deed("op", "test", "c"), {"mode": "oldest_first"}))
    assert engine.holders("p/**") == ["tree"]


def test_a_freeze_of_something_in_it_keeps_a_subtree(engine: Engine) -> None:
    engine.open("s")
    deed = calls.Deed("op", "why", "c1")
    engine.call(calls.freeze(engine.scope, "p/a", 60_000, deed))
    assert engine.ask("s", "tree", "p/**")[0] == "waiting"
    engine.call(calls.thaw(engine.scope, "p/a", deed))
    assert engine.state("tree") == "held"


def test_whoever_holds_something_in_it_does_not_wait_for_a_subtree_for_ever(engine: Engine) -> None:
    engine.open("s")
    engine.hold("s", "a", "p/a")
    assert engine.ask("s", "own", "p/**", within="a") == ["deadlock", "own"]
    engine.hold("s", "b", "q/b")
    assert engine.ask("s", "other", "q/**", within="a")[0] == "waiting"
    assert engine.ask("s", "circle", "p/**", within="b")[0] == "deadlock"


def test_what_is_missing_in_the_index_is_found_and_put_right(engine: Engine) -> None:
    engine.open("s")
    engine.hold("s", "a", "p/a")
    engine.ask("s", "tree", "p/**")
    engine.ask("s", "b", "p/b")
    engine.raw.delete(engine.key("HELD_BELOW", "p/**"), engine.key("WAITS_BELOW", "p/**"))
    for one in ("p/a", "p/b"):
        look = calls.audit_resource(engine.scope, one, fix=False, grace_ms=0)
        assert engine.call(look) == ["ok", ["is not noted for the subtree p/**"]]
        engine.call(calls.audit_resource(engine.scope, one, fix=True, grace_ms=0))
        assert engine.call(look) == ["ok", []]
    engine.raw.delete(engine.key("TREES"))
    engine.raw.hdel(engine.key("META"), "trees")
    look = calls.audit_resource(engine.scope, "p/**", fix=False, grace_ms=0)
    assert "is in use, but not listed as a subtree" in engine.call(look)[1]
    engine.call(calls.audit_resource(engine.scope, "p/**", fix=True, grace_ms=0))
    assert engine.call(look) == ["ok", []]


@pytest.mark.parametrize("mode", MODES)
def test_a_line_of_any_mode_is_noted_for_the_subtree_above_it(engine: Engine, mode: str) -> None:
    def define(mode: str) -> None:
        deed = Deed("ann", "so it must be", f"to {mode}")
        engine.call(calls.define(engine.scope, "p/a", deed, {"mode": "" if mode == "priority" else mode}))

    def found(fix: bool = False) -> list[str]:
        return list(engine.call(calls.audit_resource(engine.scope, "p/a", fix, grace_ms=0))[1])

    engine.open("s")
    define(mode)
    fence = engine.hold("s", "tree", "p/**")
    engine.ask("s", "other", "p/b", priority=4)  # noted before the line, so that this is not corrected by the way
    for ident, priority in (("low", 0), ("high", 4)):
        engine.ask("s", ident, "p/a", priority=priority)
        assert found() == []
        engine.advance(1)
    engine.raw.zrem(engine.key("WAITS_BELOW", "p/**"), "p/a")
    assert found() == ["is not noted for the subtree p/**"]
    found(fix=True)
    assert found() == []
    define("priority")
    assert found() == []
    assert engine.line("p/a") == ["high", "low"]
    noted = engine.raw.zscore(engine.key("WAITS_BELOW", "p/**"), "p/a")
    assert noted == engine.raw.zscore(engine.key("LINE", "p/a"), "high")
    define(mode)
    engine.raw.zrem(engine.key("WAITS_BELOW", "p/**"), "p/a")
    found(fix=True)
    engine.release("tree", fence)
    assert sorted(map(str, map(engine.state, ("low", "high")))) == ["held", "waiting"]


@pytest.mark.parametrize("mode", ["oldest_first", "newest_first"])
def test_many_lines_with_an_order_of_their_own_do_not_keep_a_subtree_waiting(engine: Engine, mode: str) -> None:
    deed, names = Deed("ann", "so it must be", "c"), [f"p/{n:03}" for n in range(70)]
    engine.open("s")
    quick(engine, *(calls.define(engine.scope, one, deed, {"mode": mode}) for one in names))

    def ask_all(who: str) -> list[list[str]]:
        asked = [LockAsk(f"{who}{one}", 1, wire_needs(one), False, None, 86_400_000) for one in names]
        return quick(engine, *(calls.request(engine.scope, "s", one) for one in asked))

    def give_back(who: str) -> None:
        fences = [(f"{who}{one}", int(engine.field(f"{who}{one}", "fence") or 0)) for one in names]
        quick(engine, *(calls.release(engine.scope, *one) for one in fences))
        engine.sweep_all()

    ask_all("holds ")
    ask_all("waits ")
    engine.ask("s", "tree", "p/**")
    engine.advance(1)
    assert {reply[0] for reply in ask_all("comes ")} == {"waiting"}
    give_back("holds ")
    assert engine.state("tree") == "waiting"
    give_back("waits ")
    assert engine.state("tree") == "held"


def test_of_holders_in_each_others_way_the_newest_fence_stays(engine: Engine) -> None:
    engine.open("s")
    engine.hold("s", "a", "p/a")
    engine.raw.hdel(engine.key("META"), "trees")
    engine.ask("s", "tree", "p/**")
    engine.raw.hset(engine.key("HOLDERS", "p/**"), "tree", "x 1 9999999999999999 s 99999999999999")
    look = calls.audit_resource(engine.scope, "p/a", fix=False, grace_ms=0)
    assert "is held, and so is p/**" in engine.call(look)[1]
    engine.call(calls.audit_resource(engine.scope, "p/a", fix=True, grace_ms=0))
    assert engine.state("a") == "lost"
    engine.raw.hdel(engine.key("HOLDERS", "p/**"), "tree")
    engine.call(calls.audit_resource(engine.scope, "p/**", fix=True, grace_ms=0))
