"""Claiming: which jobs a worker gets, that none is handed out twice, and who is woken for the rest."""

import pytest

from coordinator.wire import calls
from coordinator.wire.calls import Deed
from tests.scripts.reach import reaches
from tests.support.engine import Engine, Job, job


def idents(jobs: list[Job]) -> list[str]:
    return [one.ident for one in jobs]


@reaches("claim", "ok")
def test_a_batch_comes_by_priority_and_then_by_arrival(engine: Engine) -> None:
    engine.worker("w")
    engine.submit(job("n1"), job("h", priority=2), job("l", priority=0), job("n2"))
    assert idents(engine.claim("w", 3)) == ["h", "n1", "n2"]
    assert idents(engine.claim("w", 3)) == ["l"]


@reaches("claim", "more")
def test_a_worker_with_slots_to_spare_is_idle_unless_there_are_others(engine: Engine) -> None:
    engine.worker("w", "x", "y")

    def claim(number: int, roomy: bool = True) -> list[object]:
        ask = calls.Claim(number, 1, 1000, ("x", "y"), roomy)
        reply = engine.call(calls.claim(engine.scope, "w", ask))
        return [reply[0], *(one[0] for one in reply[1:]), *engine.raw.zrange(engine.key("IDLE", "x"), 0, -1)]

    engine.submit(job("j1", queue="x"), job("j2", queue="y"), job("j3", queue="x"))
    assert claim(1) == ["more", "j1"]
    assert claim(2) == ["more", "j2"]
    assert claim(3) == ["ok", "j3", b"w"]
    with engine.unchanged():
        assert claim(3)[:2] == ["more", "j3"], "whoever asks again looks again"
    engine.put("j4", queue="x")
    assert claim(4, roomy=False) == ["ok", "j4"], "who has no slot to spare is not rung"


def test_one_that_waits_for_a_resource_is_no_other(engine: Engine) -> None:
    engine.worker("w")
    engine.submit(job("j1", "a"), job("j2", "a"))
    ask = calls.Claim(1, 1, 1000, ("default",), True)
    assert engine.call(calls.claim(engine.scope, "w", ask))[0] == "ok"


def test_several_queues_are_merged_by_rank(engine: Engine) -> None:
    engine.worker("w", "x", "y")
    engine.submit(*(job(f"j{n}", queue="xy"[n % 2], priority=(n == 3) + 1) for n in range(4)))
    assert idents(engine.claim("w", 3, "x", "y")) == ["j3", "j0", "j1"]
    assert idents(engine.claim("w", 3, "y")) == []


def test_a_repeated_claim_hands_out_the_same_batch(engine: Engine) -> None:
    engine.worker("w")
    engine.submit(job("j1", "a"), job("j2"), job("j3"))
    first = engine.claim("w", 2, number=7)
    with engine.unchanged():
        assert engine.claim("w", 2, number=7) == first
    assert idents(engine.claim("w", 2, number=8)) == ["j3"]


def test_a_claim_that_was_overtaken_is_given_nothing(engine: Engine) -> None:
    engine.worker("w")
    engine.submit(job("j1"), job("j2"), job("j3"))
    engine.claim("w", 1, number=7)
    engine.claim("w", 1, number=10)
    with engine.unchanged():
        assert engine.claim("w", 1, number=9) == []
    assert idents(engine.claim("w", 1, number=11)) == ["j3"]


def test_a_repeated_claim_leaves_out_what_was_settled_or_taken_back(engine: Engine) -> None:
    engine.worker("w")
    engine.submit(job("j1"), job("j2"), job("j3"))
    batch = engine.claim("w", 3, number=7)
    engine.report("w", batch[0], "succeeded")
    engine.call(calls.force(engine.scope, "j2", "", Deed("op", "test", "c1")))
    assert idents(engine.claim("w", 3, number=7)) == ["j3"]


@reaches("claim", "session_lost")
def test_a_lapsed_session_claims_nothing(engine: Engine) -> None:
    engine.worker("w")
    engine.put("j")
    engine.advance(10)
    assert engine.call(calls.claim(engine.scope, "w", calls.Claim(1, 1, 1000, ("default",)))) == ["session_lost"]
    assert engine.state("j") == "ready"


def test_a_claim_takes_all_resources_of_a_job_with_one_fence(engine: Engine) -> None:
    engine.worker("w")
    engine.put("j", "a s1:b")
    [given] = engine.claim("w")
    assert (engine.holders("a"), engine.holders("b"), engine.line("a")) == (["j"], ["j"], [])
    assert given.fence == engine.field("j", "fence")


def test_a_more_urgent_job_displaces_a_candidate_that_nobody_claimed(engine: Engine) -> None:
    engine.worker("w")
    engine.put("low", "a b", priority=0)
    engine.put("high", "b c", priority=2)
    assert (engine.state("low"), engine.state("high")) == ("waiting", "ready")
    assert idents(engine.claim("w", 2)) == ["high"]


def test_a_job_that_runs_is_not_displaced(engine: Engine) -> None:
    engine.worker("w")
    engine.put("low", "a", priority=0)
    engine.claim("w")
    assert engine.ask("w", "r", "a", priority=4) == ["waiting", "r"]
    assert engine.state("low") == "running"


def test_a_claim_looks_behind_jobs_whose_wait_ran_out(engine: Engine) -> None:
    """A worker that wants one job and meets one that is over must not stand idle before the next one."""
    engine.worker("w")
    engine.submit(job("late1", wait_ms=500, priority=3), job("late2", end_ms=500, priority=3), job("good"))
    engine.advance(0.5)
    assert idents(engine.claim("w")) == ["good"]
    assert (engine.state("late1"), engine.state("late2")) == ("expired", "expired")


def test_a_claim_that_finds_only_dead_wood_rings_for_what_lies_behind(engine: Engine) -> None:
    engine.worker("w")
    engine.submit(*(job(f"late{n}", wait_ms=500, priority=3) for n in range(9)), job("good"))
    engine.advance(0.5)
    assert idents(engine.claim("w")) == []
    assert engine.inbox("w") == ["bell default"]
    assert idents(engine.claim("w")) == ["good"]


def test_an_entry_without_a_ready_job_does_not_block_its_queue(engine: Engine) -> None:
    engine.worker("w")
    engine.submit(job("j1"), job("j2"))
    engine.claim("w")
    engine.raw.zadd(engine.key("READY", "default"), {"j1": 0, "never-was": 1})
    assert idents(engine.claim("w")) == ["j2"]


@pytest.mark.parametrize("which", ["a", "b"])
def test_a_candidate_is_taken_over_from_a_holder_that_is_dead(engine: Engine, which: str) -> None:
    engine.worker("dead")
    engine.put("j1", "a b")
    engine.claim("dead")
    engine.put("j2", which)
    engine.advance(10)
    engine.worker("w")
    assert engine.claim("w", 2) == []  # nothing was offered while j1 stood there
    engine.put("j3", which)
    assert idents(engine.claim("w", 2)) == ["j1"]
    assert engine.state("j2") == "waiting"


def test_a_candidate_steps_back_for_a_job_that_returns_to_its_place(engine: Engine) -> None:
    engine.rules(max_line=200)
    engine.worker("dead")
    engine.worker("w")
    engine.put("first", "s1:a")
    engine.claim("dead")
    engine.put("second", "s1:a")
    engine.keep_alive(10, "w")
    assert idents(engine.claim("w", 1)) == ["first"]
    assert engine.state("second") == "ready"  # the sharer behind fits beside it


def test_who_gets_less_than_wanted_is_idle_and_who_gets_all_is_not(engine: Engine) -> None:
    engine.worker("w")
    idle = engine.key("IDLE", "default")
    engine.submit(job("j1"), job("j2"))
    engine.claim("w", 1)
    assert engine.raw.zcard(idle) == 0
    engine.claim("w", 2)
    assert engine.raw.zcard(idle) == 1
    engine.claim("w", 0)
    assert engine.raw.zcard(idle) == 0


def test_candidates_beyond_the_window_come_up_as_others_are_claimed(engine: Engine) -> None:
    engine.rules(max_line=300)
    engine.worker("w")
    engine.submit(*(job(f"j{n:03}", "s1:a") for n in range(100)))
    assert engine.raw.zcard(engine.key("READY", "default")) == 64
    assert len(engine.claim("w", 60)) == 60
    assert len(engine.claim("w", 60)) == 40


def test_a_started_job_counts_its_attempt_and_one_that_never_started_does_not(engine: Engine) -> None:
    engine.worker("w")
    engine.submit(job("j1"), job("j2"))
    one, two = engine.claim("w", 2)
    engine.beat("w", [(one.ident, one.fence)])
    engine.beat("w", [(one.ident, one.fence)])
    engine.report("w", one, "released")
    engine.report("w", two, "released")
    again = engine.claim("w", 2)
    assert [(job.attempts, job.deliveries) for job in again] == [(0, 2), (0, 2)]


def test_a_job_tells_how_long_it_waited_also_when_it_is_told_again(engine: Engine) -> None:
    engine.worker("w")
    engine.put("j")
    engine.put("later", delay_ms=3000)
    engine.keep_alive(2, "w")
    [given] = engine.claim("w", 1, number=1)
    assert (given.ident, given.waited_ms) == ("j", 2000)
    engine.keep_alive(2, "w")
    assert engine.claim("w", 1, number=1) == [given]
    engine.sweep()
    engine.keep_alive(3, "w")
    [given] = engine.claim("w", 1, number=2)
    assert (given.ident, given.waited_ms) == ("later", 3000), "since it was due"
