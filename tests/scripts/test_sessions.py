"""Opening and closing sessions."""

from coordinator.wire import calls
from tests.scripts.reach import reaches
from tests.support.engine import Engine, job


@reaches("open_session", "ok")
def test_a_session_is_listed_with_what_it_says_of_itself_and_its_queues(engine: Engine) -> None:
    engine.open("w", host="h", queues="x y")
    kept = engine.census()
    assert kept[engine.key("SESSION", "w")].value == {"host": "h", "queues": "x y", "since": str(engine.now)}
    assert kept[engine.key("QUEUES")].value == ["x", "y"]
    assert engine.raw.zscore(engine.key("SESSIONS"), "w") == engine.now + 10_000


def test_opening_a_session_twice_is_as_once(engine: Engine) -> None:
    engine.worker("w")
    with engine.unchanged():
        engine.worker("w")


@reaches("open_session", "schema")
def test_a_namespace_of_another_layout_is_not_touched(engine: Engine) -> None:
    engine.raw.hset(engine.key("META"), "schema", "0")
    assert engine.call(calls.open_session(engine.scope, "s", {"host": "h"})) == ["schema", "0"]


@reaches("close_session", "ok")
def test_a_session_that_closes_leaves_nothing_behind_and_burns_no_attempt(engine: Engine) -> None:
    engine.worker("w")
    engine.open("s")
    engine.hold("w", "held", "a")
    engine.hold("s", "other", "b")
    engine.ask("w", "waiting", "b")
    engine.ask("s", "next", "a")
    engine.submit(job("j", "c"), job("k"))
    [given, _] = engine.claim("w", 3)
    engine.beat("w", [(given.ident, given.fence)])
    assert engine.call(calls.close_session(engine.scope, "w")) == ["ok", 0]
    assert [engine.state(one) for one in ("held", "waiting", "next", "j", "k")] == [
        "released",
        "cancelled",
        "held",
        "ready",
        "ready",
    ]
    assert (engine.field("j", "attempts"), engine.field("j", "crashes")) == ("0", None)
    assert engine.raw.zscore(engine.key("SESSIONS"), "w") is None
    with engine.unchanged():
        assert engine.call(calls.close_session(engine.scope, "w")) == ["ok", 0]


def test_a_large_session_closes_in_bounded_steps(engine: Engine) -> None:
    engine.open("s")
    for n in range(70):
        engine.hold("s", f"r{n}", f"a{n}")
    assert engine.call(calls.close_session(engine.scope, "s")) == ["ok", 22]
    assert engine.call(calls.close_session(engine.scope, "s")) == ["ok", 0]


def test_a_session_for_whose_locks_others_wait_closes_in_smaller_steps(engine: Engine) -> None:
    engine.open("s")
    engine.open("heir")
    for n in range(30):
        engine.hold("s", f"r{n}", f"a{n} b{n}")
        engine.ask("heir", f"ha{n}", f"a{n}")
        engine.ask("heir", f"hb{n}", f"b{n}")
    # Twelve leave two lines each in which somebody waits, and he has it at once.
    for left in (18, 6, 0):
        assert engine.call(calls.close_session(engine.scope, "s")) == ["ok", left]
        assert len(engine.raw.smembers(engine.key("OWNS", "heir"))) == 60
        held = sum(engine.state(f"h{one}{n}") == "held" for one in "ab" for n in range(30))
        assert held == 2 * (30 - left)


def test_what_is_left_of_a_session_that_closes_does_not_lapse_meanwhile(engine: Engine) -> None:
    engine.worker("w")
    engine.submit(*(job(f"j{n}") for n in range(100)))
    jobs = engine.claim("w", 64) + engine.claim("w", 36)
    engine.beat("w", [(one.ident, one.fence) for one in jobs])
    for left in (52, 4, 0):
        engine.advance(6)
        assert engine.call(calls.close_session(engine.scope, "w")) == ["ok", left]
        assert engine.sweep() == 0
    assert {(engine.state(one.ident), engine.field(one.ident, "crashes")) for one in jobs} == {("ready", None)}


def test_a_session_that_lapsed_is_not_revived_by_closing_it(engine: Engine) -> None:
    engine.open("s")
    for n in range(70):
        engine.hold("s", f"r{n}", f"a{n}")
    engine.advance(11)
    assert engine.call(calls.close_session(engine.scope, "s")) == ["ok", 22]
    assert engine.raw.zscore(engine.key("SESSIONS"), "s") < engine.now
    assert engine.sweep() == 1
    assert engine.raw.zscore(engine.key("SESSIONS"), "s") is None


def test_a_session_that_closes_in_parts_is_not_rung_for_what_it_hands_back(engine: Engine) -> None:
    engine.worker("w")
    engine.submit(*(job(f"j{n}") for n in range(60)))
    engine.claim("w", 61)
    engine.worker("other")
    engine.claim("other")
    assert engine.call(calls.close_session(engine.scope, "w")) == ["ok", 12]
    assert engine.inbox("w") == []
    assert engine.inbox("other") == ["bell default"]


def test_a_session_that_closes_is_not_rung(engine: Engine) -> None:
    engine.worker("w1")
    engine.worker("w2")
    engine.claim("w1")
    engine.claim("w2")
    engine.call(calls.close_session(engine.scope, "w1"))
    engine.put("j")
    assert engine.inbox("w2") == ["bell default"]


@reaches("reconcile", "ok")
def test_what_a_process_knows_nothing_of_is_given_up_without_blame(engine: Engine) -> None:
    engine.worker("w")
    engine.open("s")
    engine.hold("w", "held", "a")
    engine.hold("s", "other", "b")
    engine.ask("w", "waiting", "b")
    engine.put("j", "c")
    engine.claim("w")
    fence = engine.hold("w", "kept", "d")
    strays = ["held", "waiting", "j", "other", "nothing"]
    reply = engine.call(calls.reconcile(engine.scope, "w", strays, [("kept", str(fence))]))
    assert reply == ["ok", ["kept"], []]
    assert [engine.state(one) for one in ("held", "waiting", "j")] == ["released", "cancelled", "ready"]
    assert engine.field("j", "crashes") is None
    assert engine.state("other") == "held", "what is another session's is left alone"


def test_what_a_process_wrongly_believes_to_hold_is_named(engine: Engine) -> None:
    engine.worker("w")
    engine.open("s")
    old = engine.hold("w", "r", "a")
    engine.release("r", old)
    mine, theirs = engine.hold("w", "mine", "b"), engine.hold("s", "theirs", "c")
    believed = [("r", old), ("never", 7), ("theirs", theirs), ("mine", mine + 1), ("mine", mine)]
    reply = engine.call(calls.reconcile(engine.scope, "w", [], [(ident, str(fence)) for ident, fence in believed]))
    assert reply == ["ok", ["mine"], ["r", "never", "theirs", "mine"]]


@reaches("reconcile", "session_lost")
def test_a_lapsed_session_agrees_on_nothing(engine: Engine) -> None:
    assert engine.call(calls.reconcile(engine.scope, "w", ["r"])) == ["session_lost"]


def test_a_beat_is_always_written_and_another_call_when_the_last_is_a_tenth_of_the_ttl_old(engine: Engine) -> None:
    engine.worker("w")
    began = engine.now
    until = lambda: engine.raw.zscore(engine.key("SESSIONS"), "w") - began  # noqa: E731
    engine.advance(0.9)
    engine.ask("w", "x", "a")
    assert until() == 10_000
    engine.beat("w", [])
    assert until() == 10_900
    engine.advance(1.0)
    engine.ask("w", "y", "a")
    assert until() == 11_900


def test_a_claim_renews_no_session_for_it_may_be_older_than_the_last_sign_of_life(engine: Engine) -> None:
    engine.worker("w")
    until = engine.raw.zscore(engine.key("SESSIONS"), "w")
    engine.submit(job("j"))
    engine.advance(5)
    assert engine.claim("w", 1)
    assert engine.raw.zscore(engine.key("SESSIONS"), "w") == until


def test_a_heartbeat_is_answered_whatever_stands_where_the_changed_settings_are(engine: Engine) -> None:
    engine.worker("w")
    assert engine.beat("w")[-1] == "0"
    for value in ("zz", "1e400", "-1", "9" * 40, ""):
        engine.raw.hset(engine.key("CONFIG"), ":version", value)
        assert engine.beat("w")[-1] == "0", value
    engine.raw.hset(engine.key("CONFIG"), ":version", "7")
    assert engine.beat("w")[-1] == "7"
    engine.raw.delete(engine.key("CONFIG"))
    engine.raw.set(engine.key("CONFIG"), "x")
    assert engine.beat("w")[-1] == "0"
    engine.raw.delete(engine.key("CONFIG"))


def test_a_stray_that_was_begun_counts_as_a_crash(engine: Engine) -> None:
    engine.worker("w")
    engine.submit(job("j"), job("k"))
    begun, _ = engine.claim("w", 2)
    engine.beat("w", [(begun.ident, begun.fence)])
    engine.call(calls.reconcile(engine.scope, "w", ["j", "k"]))
    assert [engine.state(one) for one in ("j", "k")] == ["ready", "ready"]
    assert [engine.field(one, "crashes") for one in ("j", "k")] == ["1", None]
