"""After a crash of its holder, and only then, a resource may be granted to nobody for a time."""

from __future__ import annotations

import pytest

from coordinator.wire import calls
from coordinator.wire.calls import Deed
from tests.support.defining import Defining
from tests.support.engine import Engine


def lose(engine: Engine, how: str) -> None:
    """The holder `r` loses `a` in some way."""
    fence = int(engine.field("r", "fence") or 0)
    deed = Deed("ann", "x", "c9")
    if how == "session":
        engine.raw.zadd(engine.key("SESSIONS"), {"h": 1})
        engine.sweep_all()
    elif how == "lease":
        engine.keep_alive(61, "s", "h")
        engine.sweep_all()
    elif how == "release":
        engine.release("r", fence)
    elif how == "close":
        engine.call(calls.close_session(engine.scope, "h"))
    elif how == "force":
        engine.call(calls.force(engine.scope, "r", "", deed))
    elif how == "transfer":
        engine.call(calls.transfer(engine.scope, "r", "", "next", deed))
    else:
        engine.call(calls.hand_over(engine.scope, "r", fence, "next", deed))


@pytest.mark.parametrize("how", ["session", "lease", "release", "close", "force", "transfer", "hand_over"])
def test_after_a_crash_and_only_then_nobody_is_granted_it_for_a_time(
    engine: Engine, define: Defining, how: str
) -> None:
    define("a", lock_delay=5000)
    engine.open("h")
    engine.hold("h", "r", "a", hold_ms=60_000)
    engine.ask("s", "next", "a")
    lose(engine, how)
    crashed = how in ("session", "lease")
    assert engine.state("next") == ("waiting" if crashed else "held")
    assert (define.again("a", lock_delay=5000).delayed_until is not None) == crashed


def test_the_delay_ends_by_the_clock_and_everybody_has_kept_their_place(engine: Engine, define: Defining) -> None:
    define("a", lock_delay=5000)
    engine.open("h")
    engine.hold("h", "r", "a")
    engine.ask("s", "next", "a")
    lose(engine, "session")
    assert engine.ask("s", "trying", "a", trying=True) == ["busy", "a"]
    assert engine.ask("s", "urgent", "a", priority=4)[0] == "waiting"
    need = engine.call(calls.explain(engine.scope, "next", 5))[4][0]
    assert need[8] == ["a", str(engine.now + 5000), "", "lock_delay after the loss of r"]
    beat = engine.beat("s", sweep_ms=60_000)
    assert int(beat[3]) == 5000, "the next sweep is worth while when it ends"
    engine.keep_alive(4.9, "s")
    engine.sweep_all()
    assert engine.holders("a") == []
    engine.keep_alive(0.2, "s")
    engine.sweep_all()
    assert engine.holders("a") == ["urgent"]
    assert engine.line("a") == ["next"]


def test_a_job_that_crashed_waits_for_the_delay_as_well(engine: Engine, define: Defining) -> None:
    engine.worker("w")
    engine.worker("v")
    define("a", lock_delay=5000)
    engine.put("j", "a")
    engine.claim("w")
    engine.raw.zadd(engine.key("SESSIONS"), {"w": 1})
    engine.sweep_all()
    assert engine.state("j") == "waiting"
    engine.keep_alive(5.1, "s", "v")
    engine.sweep_all()
    assert engine.claim("v")[0].ident == "j"


def test_an_operator_can_end_a_delay_or_let_somebody_pass(engine: Engine, define: Defining) -> None:
    define("a", lock_delay=60_000)
    engine.open("h")
    engine.hold("h", "r", "a")
    engine.ask("s", "next", "a")
    engine.ask("s", "hotfix", "a")
    lose(engine, "session")
    engine.call(calls.let_pass(engine.scope, "hotfix", Deed("ann", "x", "c1")))
    assert engine.holders("a") == ["hotfix"]
    engine.release("hotfix", engine.field("hotfix", "fence") or "")
    assert engine.holders("a") == []
    assert define("a", lock_delay="").delayed_until is None
    assert engine.holders("a") == ["next"]


def test_who_comes_when_the_crash_has_not_been_noticed_waits_as_well(engine: Engine, define: Defining) -> None:
    define("a", lock_delay=5000)
    engine.open("h")
    engine.hold("h", "r", "a")
    engine.raw.zadd(engine.key("SESSIONS"), {"h": 1})
    assert engine.ask("s", "next", "a")[0] == "waiting"
    assert (engine.state("r"), engine.holders("a")) == ("lost", [])
    engine.sweep_all()


@pytest.mark.parametrize(
    ("defined", "held", "kept", "noticed"),
    [
        ("p/a", "p/a", "p/**", "by a sweep"),
        ("p/a", "p/a", "s1:p/**", "by who asks"),
        ("p/a", "s1:p/a", "s1:p/**", "by a sweep"),
        ("p", "p", "p/**", "by who asks"),
        ("p/**", "p/**", "p/a/b", "by a sweep"),
        ("p/**", "p/**", "p/a/b", "by who asks"),
        ("p/**", "s1:p/**", "s1:p", "by a sweep"),
        ("p/a/**", "p/a/**", "p/**", "by a sweep"),
        ("p/**", "p/**", "p/a/**", "by who asks"),
    ],
)
def test_a_delay_keeps_out_those_above_and_below(
    engine: Engine, define: Defining, defined: str, held: str, kept: str, noticed: str
) -> None:
    define(defined, lock_delay=5000)
    engine.open("h")
    engine.hold("h", "r", held)
    if noticed == "by a sweep":
        lose(engine, "session")
        assert engine.ask("s", "trying", kept, trying=True)[0] == "busy"
    else:
        engine.raw.zadd(engine.key("SESSIONS"), {"h": 1})
    assert engine.ask("s", "next", kept)[0] == "waiting"
    assert engine.state("r") == "lost"
    assert engine.ask("s", "elsewhere", "pq/**")[0] == "granted"
    need = engine.call(calls.explain(engine.scope, "next", 5))[4][0]
    assert need[8] == [defined, str(engine.now + 5000), "", "lock_delay after the loss of r"]
    engine.keep_alive(4.9, "s")
    engine.sweep_all()
    assert engine.state("next") == "waiting"
    engine.keep_alive(0.2, "s")
    engine.sweep_all()
    assert engine.state("next") == "held"


def test_who_waits_across_levels_is_let_pass_or_helped_by_the_end_of_the_definition(
    engine: Engine, define: Defining
) -> None:
    define("p/a", lock_delay=60_000)
    engine.open("h")
    engine.hold("h", "r", "p/a")
    engine.ask("s", "tree", "p/**")
    engine.ask("s", "other", "s1:p/**")
    lose(engine, "session")
    assert engine.state("tree") == "waiting"
    engine.call(calls.let_pass(engine.scope, "tree", Deed("ann", "x", "c1")))
    assert engine.state("tree") == "held"
    engine.release("tree", engine.field("tree", "fence") or "")
    assert engine.state("other") == "waiting"
    define("p/a", lock_delay="")
    assert engine.state("other") == "held"


def test_a_crash_with_many_delays_below_keeps_a_subtree_until_the_last_is_over(
    engine: Engine, define: Defining
) -> None:
    engine.open("h")
    names = [f"p/{n:02}" for n in range(70)]
    for name in names:
        define(name, lock_delay=1000 if name != "p/69" else 5000)
        engine.hold("h", name, name)
    lose(engine, "session")
    assert engine.ask("s", "tree", "p/**")[0] == "waiting"
    engine.keep_alive(1.1, "s")
    engine.sweep_all()
    assert engine.state("tree") == "waiting"
    engine.keep_alive(4, "s")
    engine.sweep_all()
    assert engine.state("tree") == "held"
