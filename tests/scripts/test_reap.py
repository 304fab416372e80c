"""What many dead sessions, or large ones, leave is taken back in bounded steps, and nobody waits for the others."""

from collections import Counter

from coordinator.wire import calls
from coordinator.wire.calls import LockAsk
from tests.scripts.test_plain_locks import commands
from tests.support.engine import Engine, job


def test_a_large_session_is_taken_back_in_bounded_batches(engine: Engine) -> None:
    engine.rules(max_line=200)
    engine.open("dead")
    for n in range(70):
        engine.hold("dead", f"r{n}", f"a{n}")
    engine.advance(10)
    assert engine.sweep() == 1 + 22
    assert engine.sweep() == 1
    assert engine.sweep() == 0


def test_lines_that_are_left_behind_with_waiters_count_in_the_bound(engine: Engine) -> None:
    engine.open("dead")
    engine.open("s")
    for n in range(30):
        engine.hold("dead", f"r{n}", f"a{n}")
        engine.ask("s", f"w{n}", f"a{n}")
    engine.keep_alive(10, "s")
    assert engine.sweep() == 1 + 6
    assert engine.sweep() == 1
    assert {engine.state(f"w{n}") for n in range(30)} == {"held"}


def test_who_died_last_waits_for_nobody_who_left_more_than_a_call_takes_back(engine: Engine) -> None:
    engine.open("s")
    for large in ("x", "y"):
        engine.open(large)
        for n in range(3):
            wide = " ".join(f"{large}{n}-{line}" for line in range(25))
            engine.hold(large, f"{large}{n}", wide)
            engine.ask("s", f"w{large}{n}", wide)
    engine.advance(1)
    engine.worker("dead")
    engine.put("j")
    engine.claim("dead")
    engine.keep_alive(10, "s")
    for _ in range(3):
        engine.sweep()
    assert engine.state("j") == "ready", "one sweep for each of the others, and not one for each of their locks"


def test_where_many_die_at_once_the_last_is_taken_back_as_soon_as_the_first(engine: Engine) -> None:
    dead = [engine.worker(f"dead{n}") for n in range(60)]
    engine.submit(*(job(f"j{n}") for n in range(60)))
    for one in dead:
        engine.claim(one)
    engine.advance(10)
    assert [engine.sweep() for _ in range(4)] == [24, 24, 12, 0]
    assert {engine.state(f"j{n}") for n in range(60)} == {"ready"}


def held_and_awaited(engine: Engine, holder: str, heir: str) -> None:
    """100 locks of the one, for which the other waits. Nothing is looked at meanwhile, for it would take long."""
    for n in range(100):
        for session, ident in ((holder, f"r{n}"), (heir, f"w{n}")):
            ask = LockAsk(ident, 1, f"x1:a{n}", trying=False, wait_ms=None, hold_ms=86_400_000)
            engine.sent(calls.request(engine.scope, session, ask))


def test_the_jobs_of_a_worker_do_not_wait_for_the_locks_of_a_session_that_died_before(engine: Engine) -> None:
    engine.open("crowd")
    engine.open("heir")
    held_and_awaited(engine, "crowd", "heir")
    worker = engine.worker("w")
    engine.submit(*(job(f"j{n}") for n in range(20)))
    engine.claim(worker, 20)
    engine.keep_alive(10, "heir")
    engine.sweep()
    assert {engine.state(f"j{n}") for n in range(20)} == {"ready"}
    while int(engine.beat("heir")[3]) < 0:  # it is to go on
        pass
    assert {engine.state(f"w{n}") for n in range(100)} == {"held"}
    assert {engine.state(f"r{n}") for n in range(100)} == {"lost"}


def crowd_of_locks(engine: Engine) -> None:
    """A process that dies with 100 locks for which others wait; the locks of another are over in time."""
    for session in ("crowd", "a", "b"):
        engine.open(session)
    held_and_awaited(engine, "crowd", "a")
    engine.keep_alive(10, "a", "b")


def holding(engine: Engine) -> int:
    return sum(engine.state(f"w{n}") == "held" for n in range(100))


def test_whose_sweep_leaves_something_goes_on_and_all_others_leave_it_to_that(engine: Engine) -> None:
    crowd_of_locks(engine)
    asked, had = 0, -1
    while (due := int(engine.beat("a")[3])) < 0:
        now = holding(engine)
        assert now > had, "each takes back some"
        assert int(engine.beat("b")[3]) == 200, "it is to come again only to see whether the other goes on"
        assert holding(engine) == now
        asked, had = asked + 1, now
        engine.advance(0.01)
    assert (asked, due, holding(engine)) == (4, 0, 100)
    assert engine.raw.hget(engine.key("META"), "sweeper") is None
    for session in ("a", "b", "a", "b"):
        engine.advance(0.1)
        assert int(engine.beat(session)[3]) > 0, "nothing is left for anybody to go on with"


def test_whoever_finds_that_nobody_goes_on_does_so(engine: Engine) -> None:
    crowd_of_locks(engine)
    assert int(engine.beat("a")[3]) == -1
    engine.advance(0.199)
    assert int(engine.beat("b")[3]) == 200
    engine.advance(0.001)
    assert [int(engine.beat(one)[3]) for one in "bab"] == [-1, 200, -1]
    assert engine.raw.hget(engine.key("META"), "sweeper") == b"b"
    while int(engine.beat("b")[3]) < 0:
        pass
    assert holding(engine) == 100


def test_a_beat_with_nothing_to_sweep_looks_at_the_clocks_once(engine: Engine) -> None:
    engine.open("s")
    engine.beat("s")
    engine.advance(0.5)
    # The clock and the mark; the session, renewed; the clocks of four families; messages, holdings, the configuration.
    assert commands(engine, calls.beat(engine.scope, "s", 1000)) == Counter(
        get=1, hgetall=1, zscore=1, zadd=1, zrange=4, hget=2, scard=1, llen=1, hset=1
    )
