"""The sweep, and the heartbeat that runs it: what dead sessions held and what ran out of time comes back."""

import pytest

from coordinator.wire import calls
from tests.scripts.reach import reaches
from tests.support.engine import HOUR, Engine, job


@reaches("sweep", "ok")
def test_an_empty_namespace_has_nothing_to_sweep(engine: Engine) -> None:
    assert engine.sweep() == 0


def test_a_dead_session_loses_what_it_holds_and_leaves_all_lines(engine: Engine) -> None:
    engine.open("dead")
    engine.open("s")
    engine.hold("dead", "held", "a")
    engine.hold("s", "other", "b")
    engine.ask("dead", "waiting", "b")
    engine.ask("s", "next", "a")
    engine.keep_alive(10, "s")
    engine.sweep_all()
    assert [engine.state(one) for one in ("held", "waiting", "next")] == ["lost", "cancelled", "held"]
    assert engine.raw.exists(*(engine.key(name, "dead") for name in ("SESSION", "OWNS", "INBOX"))) == 0


def test_a_session_lives_until_the_last_millisecond(engine: Engine) -> None:
    engine.open("s")
    engine.hold("s", "r", "a")
    engine.advance(9.999)
    engine.sweep()
    assert engine.state("r") == "held"
    engine.advance(0.001)
    engine.sweep()
    assert engine.state("r") == "lost"


def test_a_running_job_of_a_dead_worker_goes_back_to_its_place_and_dies_at_the_third(engine: Engine) -> None:
    engine.put("j", "a")
    for crash in range(1, 4):
        engine.worker(f"w{crash}")
        [given] = engine.claim(f"w{crash}")
        engine.beat(f"w{crash}", [("j", given.fence)])
        engine.put(f"later{crash}", "a")
        engine.advance(10)
        engine.sweep_all()
        if crash < 3:
            assert (engine.state("j"), engine.field("j", "crashes")) == ("ready", str(crash))
            assert engine.line("a")[0] == "j"
    assert (engine.state("j"), engine.field("j", "why")) == ("dead", "session lost, 3 times")
    assert engine.payload("j") == b"payload"
    assert engine.state("later1") == "ready"


def test_what_had_not_begun_is_not_what_its_worker_died_of(engine: Engine) -> None:
    engine.put("j", "a")
    for death in range(1, 6):
        engine.worker(f"w{death}")
        [given] = engine.claim(f"w{death}")
        assert given.unsure == ("1" if death > 1 else "")
        engine.advance(10)
        engine.sweep_all()
    assert (engine.state("j"), engine.field("j", "crashes"), engine.field("j", "attempts")) == ("ready", "0", None)
    assert (engine.field("j", "deliveries"), engine.line("a")) == ("5", ["j"])


def test_what_takes_its_worker_down_at_once_is_dead_at_the_third_all_the_same(engine: Engine) -> None:
    engine.put("j")
    for death in range(1, 4):
        engine.worker(f"w{death}")
        [given] = engine.claim(f"w{death}")
        if given.unsure:
            call = calls.note_progress(engine.scope, "j", given.fence, "")
            assert [engine.call(call), engine.call(call)] == [["ok"], ["ok"]]
        engine.advance(10)
        engine.sweep_all()
    assert (engine.state("j"), engine.field("j", "why")) == ("dead", "session lost, 3 times")
    assert engine.field("j", "attempts") == "2"


def test_a_job_on_offer_is_known_not_to_have_begun(engine: Engine) -> None:
    engine.worker("w")
    engine.put("j")
    [given] = engine.claim("w")
    engine.call(calls.spare(engine.scope, "w", calls.Offer(1, False, 0, 0, [("j", given.fence)])))
    engine.advance(10)
    engine.sweep_all()
    assert (engine.state("j"), engine.field("j", "unsure")) == ("ready", None)


def test_a_cancelled_job_of_a_dead_worker_does_not_run_again(engine: Engine) -> None:
    engine.worker("w")
    engine.put("j", "a")
    engine.claim("w")
    engine.cancel("j")
    engine.advance(10)
    engine.sweep_all()
    assert (engine.state("j"), engine.field("j", "why")) == ("cancelled", "because")


def test_a_wait_that_ran_out_ends_the_request_and_its_owner_is_told(engine: Engine) -> None:
    engine.open("s")
    engine.hold("s", "r", "a")
    engine.ask("s", "late", "a", wait_ms=2000)
    engine.put("j", "a", wait_ms=3000)
    engine.keep_alive(2, "s")
    engine.sweep_all()
    assert (engine.state("late"), engine.state("j")) == ("expired", "waiting")
    assert engine.inbox("s") == ["ended late expired"]
    engine.advance(1)
    engine.sweep_all()
    assert (engine.state("j"), engine.field("j", "why")) == ("expired", "wait ran out")


def test_the_wait_of_a_delayed_job_counts_from_when_it_is_due_and_ends_with_its_start(engine: Engine) -> None:
    engine.worker("w")
    engine.put("j", delay_ms=3000, wait_ms=1000)
    engine.keep_alive(3.5, "w")
    engine.sweep()
    engine.claim("w")
    engine.keep_alive(5, "w")
    engine.sweep_all()
    assert engine.state("j") == "running"


def test_a_run_timeout_is_a_crash(engine: Engine) -> None:
    engine.worker("w")
    engine.put("j", run_ms=2000)
    [given] = engine.claim("w")
    engine.beat("w", [("j", given.fence)])
    engine.keep_alive(11.9, "w")  # the run time, and a session's time for the worker to report it itself
    engine.sweep_all()
    assert engine.state("j") == "running"
    engine.keep_alive(0.1, "w")
    engine.sweep_all()
    assert (engine.state("j"), engine.field("j", "crashes"), engine.field("j", "why")) == ("ready", "1", "run timeout")
    assert engine.inbox("w") == [f"lost j {given.fence}"]


@pytest.mark.parametrize("stage", ["scheduled", "waiting", "ready", "running"])
def test_the_deadline_of_the_whole_job_ends_it_wherever_it_is(engine: Engine, stage: str) -> None:
    engine.worker("w")
    engine.hold("w", "r", "a")
    engine.put(
        "j", "a" if stage == "waiting" else "", end_ms=2000, **({"delay_ms": 9000} if stage == "scheduled" else {})
    )
    if stage == "running":
        engine.claim("w")
    assert engine.state("j") == stage
    engine.keep_alive(2, "w")
    engine.sweep_all()
    assert (engine.state("j"), engine.field("j", "why")) == ("expired", "deadline")


def test_a_delayed_retry_does_not_outlive_the_deadline(engine: Engine) -> None:
    engine.worker("w")
    engine.put("j", end_ms=2000)
    engine.report("w", engine.claim("w")[0], "retry", 60_000)
    engine.advance(2)
    engine.sweep_all()
    assert engine.state("j") == "expired"


def test_a_lease_ends_at_its_longest_hold_and_the_holder_is_told(engine: Engine) -> None:
    engine.open("s")
    fence = engine.hold("s", "r", "a", hold_ms=3000)
    engine.ask("s", "next", "a")
    engine.keep_alive(3, "s")
    engine.sweep_all()
    assert (engine.state("r"), engine.state("next")) == ("lost", "held")
    assert f"lost r {fence}" in engine.inbox("s")


def test_a_job_holds_its_resources_no_longer_than_the_longest_hold(engine: Engine) -> None:
    engine.worker("w")
    engine.submit(job("j", "a"), job("free"))
    engine.call(calls.claim(engine.scope, "w", calls.Claim(1, 2, 2000, ("default",))))
    engine.keep_alive(2, "w")
    engine.sweep_all()
    assert (engine.state("j"), engine.state("free")) == ("ready", "running")


def test_a_delayed_job_queues_when_it_is_due_behind_those_who_came_meanwhile(engine: Engine) -> None:
    engine.worker("w")
    engine.claim("w")
    engine.put("delayed", "a", delay_ms=2000)
    engine.advance(1)
    engine.put("meanwhile", "a")
    assert engine.inbox("w") == ["bell default"]
    engine.advance(0.999)
    engine.sweep()
    assert engine.state("delayed") == "scheduled"
    engine.advance(0.001)
    engine.sweep()
    assert engine.line("a") == ["meanwhile", "delayed"]


def test_dead_jobs_are_purged_with_their_payload_after_their_time(engine: Engine) -> None:
    engine.worker("w")
    engine.put("j")
    engine.report("w", engine.claim("w")[0], "failed")
    engine.advance(engine.terms.dead_ms / 1000 - 0.001)
    engine.sweep_all()
    assert engine.payload("j")
    engine.advance(0.001)
    engine.raw.delete(engine.key("REQ", "j"))  # its own time to live, which is real time
    engine.sweep_all()
    assert not engine.payload("j")
    assert engine.raw.zcard(engine.key("DEAD")) == 0


def test_a_bell_that_rang_a_worker_in_vain_is_rung_again_for_another(engine: Engine) -> None:
    engine.worker("w1")
    engine.claim("w1")
    engine.put("j")
    assert engine.inbox("w1") == ["bell default"]  # and it never comes
    engine.worker("w2")
    engine.raw.zadd(engine.key("IDLE", "default"), {"w2": engine.now})
    engine.sweep()
    assert engine.inbox("w2") == ["bell default"]


def test_a_clock_left_over_for_a_request_that_ended_does_not_stop_the_sweep(engine: Engine) -> None:
    engine.open("s")
    engine.release("r", engine.hold("s", "r", "a"))
    engine.raw.zadd(engine.key("DEADLINES"), {"r": 1, "never-was": 1})
    engine.sweep_all()
    assert engine.state("r") == "released"
    assert engine.raw.zcard(engine.key("DEADLINES")) == 0


def test_a_stale_holder_is_evicted_and_its_resource_leaves_the_list(engine: Engine) -> None:
    engine.open("s")
    engine.raw.hset(engine.key("HOLDERS", "a"), "never-was", "x 1 5 nobody 99")
    engine.raw.zadd(engine.key("RESOURCES"), {"a": 0})
    engine.raw.sadd(engine.key("DIRTY"), "a")
    engine.sweep()
    assert engine.holders("a") == []


def test_a_line_left_to_the_sweep_is_looked_at_behind_those_who_cannot_go(engine: Engine) -> None:
    engine.worker("w")
    engine.hold("w", "r", "b")
    engine.put("offered", "a")
    for ident in ("one", "two"):
        engine.put(ident, "a b")
    # As a script leaves it that moved the job back and had no more promotions left.
    engine.raw.zadd(engine.key("LINE", "a"), {"offered": 2**52})
    engine.raw.hset(engine.key("REQ", "offered"), "stamp", 2**52)
    engine.raw.sadd(engine.key("DIRTY"), "a")
    engine.sweep()
    assert engine.state("offered") == "waiting"


@pytest.mark.parametrize("minutes", [1, 60])
def test_what_is_due_stays_due_when_the_clock_steps_back(engine: Engine, minutes: int) -> None:
    engine.put("j", delay_ms=1000)
    engine.sweep()
    engine.advance(-60.0 * minutes)
    engine.sweep()
    engine.advance(1.001)
    engine.sweep()
    assert engine.state("j") == "ready"


@reaches("beat", "ok")
def test_a_beat_renews_its_session_and_says_when_to_come_again(engine: Engine) -> None:
    engine.open("s")
    engine.advance(9)
    engine.hold("s", "r", "a")
    assert engine.beat("s") == ["ok", "0", 0, 1000, 1, "0"]
    engine.advance(9)
    assert engine.beat("s")[0] == "ok"


@reaches("beat", "session_lost")
def test_a_beat_does_not_revive_a_session(engine: Engine) -> None:
    engine.open("s")
    engine.advance(10)
    assert engine.beat("s") == ["session_lost"]


def test_a_beat_sweeps_for_the_namespace_once_in_each_interval(engine: Engine) -> None:
    engine.open("s")
    engine.beat("s")
    swept = engine.raw.hget(engine.key("META"), "swept")
    engine.advance(0.5)
    engine.beat("s")
    assert engine.raw.hget(engine.key("META"), "swept") == swept
    engine.advance(0.5)
    engine.beat("s")
    assert engine.raw.hget(engine.key("META"), "swept") != swept


def test_a_beat_sweeps_early_when_something_is_due_and_names_the_next_time(engine: Engine) -> None:
    engine.open("s")
    engine.beat("s")
    engine.put("j1", delay_ms=100)
    engine.put("j2", delay_ms=300)
    assert engine.beat("s")[3] == 100
    engine.advance(0.1)
    assert engine.beat("s")[3] == 0  # something was found: there may be more
    assert (engine.state("j1"), engine.beat("s")[3]) == ("ready", 200)


def test_a_beat_counts_the_mail_so_that_a_lost_message_is_noticed(engine: Engine) -> None:
    engine.open("s")
    fence = engine.hold("s", "r1", "a")
    engine.ask("s", "r2", "a")
    engine.release("r1", fence)
    assert engine.beat("s")[1:3] == ["1", 1]
    engine.inbox("s")
    assert engine.beat("s")[1:3] == ["1", 0]


def test_a_beat_notes_a_start_only_under_the_newest_fence(engine: Engine) -> None:
    engine.worker("w")
    engine.put("j")
    [given] = engine.claim("w")
    engine.beat("w", [("j", "1"), ("never-was", "1")])
    assert engine.field("j", "attempts") is None
    engine.beat("w", [("j", given.fence)])
    assert engine.field("j", "attempts") == "1"


def test_a_clock_set_back_does_not_keep_a_dead_session_alive(engine: Engine) -> None:
    engine.open("dead")
    engine.open("s")
    engine.hold("dead", "r", "a")
    engine.advance(-HOUR)
    engine.beat("s")
    engine.advance(9)
    engine.beat("s")
    engine.advance(1.001)
    engine.sweep_all()
    assert engine.state("r") == "lost"
