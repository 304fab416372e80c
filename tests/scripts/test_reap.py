"""What many dead sessions, or large ones, leave is taken back in bounded steps, and nobody waits for the others."""

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


def test_the_jobs_of_a_worker_do_not_wait_for_the_locks_of_a_session_that_died_before(engine: Engine) -> None:
    engine.open("crowd")
    engine.open("heir")
    for n in range(100):
        engine.hold("crowd", f"r{n}", f"a{n}")
        engine.ask("heir", f"w{n}", f"a{n}")
    worker = engine.worker("w")
    engine.submit(*(job(f"j{n}") for n in range(20)))
    engine.claim(worker, 20)
    engine.keep_alive(10, "heir")
    engine.sweep()
    assert {engine.state(f"j{n}") for n in range(20)} == {"ready"}
    while int(engine.beat("heir")[3]) == 0:  # milliseconds until it is to come again
        pass
    assert {engine.state(f"w{n}") for n in range(100)} == {"held"}
    assert {engine.state(f"r{n}") for n in range(100)} == {"lost"}
