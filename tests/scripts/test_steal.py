"""Spare jobs: what a worker offers, who gets it, and that nobody begins what another has."""

from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator.policy import steal
from coordinator.policy.breaker import BreakerPolicy
from coordinator.policy.rate import RateLimit
from coordinator.wire import calls
from coordinator.wire.calls import Report
from coordinator.wire.gates import Gates
from tests.scripts.reach import reaches
from tests.support.engine import Engine, Job, dedup, job


def idents(jobs: list[Job]) -> list[str]:
    return [one.ident for one in jobs]


def victim(engine: Engine, *jobs: str, session: str = "v", **changed: Any) -> list[Job]:
    """A worker that has claimed these jobs."""
    engine.worker(session)
    engine.submit(*(job(one, **changed) for one in jobs))
    return engine.claim(session, len(jobs))


def pairs(jobs: tuple[Job, ...]) -> list[tuple[str, str]]:
    return [(one.ident, one.fence) for one in jobs]


def spare(
    engine: Engine, session: str, number: int, *jobs: Job, stuck: bool = False, claim: int = 0, before: int = 0
) -> list[Any]:
    """Offer claimed jobs; the answer."""
    return engine.call(calls.spare(engine.scope, session, calls.Offer(number, stuck, claim, before, pairs(jobs))))


def retain(engine: Engine, session: str, number: int, *jobs: Job) -> list[Any]:
    """Take offered jobs back; the answer."""
    return engine.call(calls.retain(engine.scope, session, number, pairs(jobs)))


def thefts(engine: Engine) -> list[tuple[str, str, str]]:
    found = (fields for _, fields in engine.raw.xrange(engine.key("EVENTS")) if fields[b"event"] == b"stolen")
    return [(one[b"id"].decode(), one[b"from"].decode(), one[b"to"].decode()) for one in found]


@reaches("spare", "ok")
def test_an_idle_worker_takes_the_tail_with_new_fences_and_no_attempt_is_burnt(engine: Engine) -> None:
    had = victim(engine, "j1", "j2", "j3")
    engine.worker("t")
    assert engine.claim("t", rob=1) == []
    assert spare(engine, "v", 1, *had) == ["ok", 3]
    assert engine.inbox("t") == ["bell default"]
    taken = engine.claim("t", 2, rob=2)
    assert idents(taken) == ["j2", "j3"]  # the tail; among themselves by rank
    assert all(int(one.fence) > int(had[-1].fence) for one in taken)
    assert [(one.attempts, one.deliveries, one.stolen_from) for one in taken] == [(0, 2, "v")] * 2
    assert engine.inbox("v") == [f"lost j3 {had[2].fence}", f"lost j2 {had[1].fence}"]
    assert thefts(engine) == [("j2", "v", "t"), ("j3", "v", "t")]
    assert engine.report("v", had[2], "succeeded") == ["stale", "running"]
    assert engine.report("t", taken[1], "succeeded") == ["ok", ""]
    assert retain(engine, "v", 2, *had) == ["ok", "j1"]


def test_what_is_late_for_its_wait_is_not_handed_on(engine: Engine) -> None:
    [late] = victim(engine, "late", wait_ms=30_000)
    [early] = engine.claim("v") if engine.put("early", wait_ms=90_000) else []
    engine.worker("t")
    spare(engine, "v", 1, late, early)
    engine.keep_alive(60, "v", "t")
    assert idents(engine.claim("t", 2, rob=2)) == ["early"]
    assert engine.state("late") == "expired"


def test_a_theft_whose_reply_was_lost_answers_as_the_first_did(engine: Engine) -> None:
    had = victim(engine, "j1", "j2")
    engine.worker("t")
    spare(engine, "v", 1, *had)
    first = engine.claim("t", 1, number=7, rob=1)
    with engine.unchanged():
        assert engine.claim("t", 1, number=7, rob=1) == first


def test_what_was_left_in_front_counts(engine: Engine) -> None:
    first, *had = victim(engine, "j1", "j2", "j3")
    spare(engine, "v", 1, *had, before=1)
    spare(engine, "v", 2, first)
    scores = engine.raw.zrange(engine.key("SPARE", "default"), 0, -1, withscores=True)
    assert scores == [(b"j1", 1), (b"j2", 2), (b"j3", 3)]


def test_ready_jobs_come_first_and_whoever_does_not_want_to_steals_nothing(engine: Engine) -> None:
    had = victim(engine, "j1")
    engine.worker("t")
    spare(engine, "v", 1, *had)
    engine.put("new")
    assert idents(engine.claim("t", 2)) == ["new"]
    engine.put("newer")
    assert idents(engine.claim("t", 1, rob=1)) == ["newer"]
    assert idents(engine.claim("t", 2, rob=2)) == ["j1"]


def test_a_more_urgent_one_that_came_meanwhile_has_the_resource_first(engine: Engine) -> None:
    had = victim(engine, "j1", needs="x1:a")
    engine.worker("t")
    spare(engine, "v", 1, *had)
    engine.put("urgent", "a", priority=3)
    assert idents(engine.claim("t", 2, rob=2)) == ["urgent"]
    assert (engine.state("j1"), engine.holders("a"), engine.line("a")) == ("waiting", ["urgent"], ["j1"])


@pytest.mark.parametrize("kind", ["lock", "job"])
@pytest.mark.parametrize("order", ["offered first", "asked first"])
def test_a_job_on_offer_gives_way_to_who_is_more_urgent(engine: Engine, kind: str, order: str) -> None:
    had = victim(engine, "j1", needs="x1:a s1:b")
    engine.worker("t")
    ask = {
        "lock": lambda: engine.ask("t", "urgent", "a", priority=4),
        "job": lambda: engine.put("urgent", "a", priority=4),
    }[kind]
    if order == "offered first":
        spare(engine, "v", 1, *had)
        ask()
    else:
        ask()
        assert engine.state("urgent") == "waiting"
        spare(engine, "v", 1, *had)
    assert engine.state("urgent") == {"lock": "held", "job": "ready"}[kind]
    assert (engine.state("j1"), engine.field("j1", "attempts"), engine.line("a")[-1]) == ("waiting", None, "j1")
    assert engine.inbox("v") == [f"lost j1 {had[0].fence}"]
    assert retain(engine, "v", 2, *had) == ["ok"]
    assert engine.report("v", had[0], "succeeded") == ["stale", "waiting"]
    fence = engine.field("urgent", "fence") if kind == "lock" else engine.claim("t")[0].fence
    assert int(fence or 0) > int(had[0].fence)


def test_nobody_gives_way_where_it_would_not_help_or_is_not_due(engine: Engine) -> None:
    [begun] = victim(engine, "begun", needs="x1:a")
    [offered] = victim(engine, "offered", session="u", needs="x1:b")
    [equal] = victim(engine, "equal", session="w", needs="x1:c", priority=3)
    engine.worker("t")
    spare(engine, "u", 1, offered)
    spare(engine, "w", 1, equal)
    engine.ask("t", "both", "a b", priority=4)  # `a` is in use
    engine.ask("t", "like", "c", priority=3)
    engine.ask("t", "less", "d", priority=0)
    states = [engine.state(one) for one in ("begun", "offered", "equal", "both", "like")]
    assert states == ["running", "running", "running", "waiting", "waiting"]
    engine.report("v", begun, "succeeded")
    assert (engine.state("both"), engine.state("offered")) == ("held", "waiting")


def test_one_that_has_aged_past_the_newcomer_does_not_give_way(engine: Engine) -> None:
    [old] = victim(engine, "old", needs="x1:a", priority=0)
    engine.worker("t")
    engine.keep_alive(400, "v", "t")
    spare(engine, "v", 1, old)
    assert engine.ask("t", "newer", "a", priority=4)[0] == "waiting"
    assert engine.state("old") == "running"


def test_several_that_share_give_way_together_or_not_at_all(engine: Engine) -> None:
    had = victim(engine, "s1", "s2", needs="s1:a", priority=0)
    engine.worker("t")
    spare(engine, "v", 1, had[1])
    assert engine.ask("t", "urgent", "a", priority=4)[0] == "waiting"
    assert engine.state("s2") == "running"
    spare(engine, "v", 2, had[0])
    assert [engine.state(one) for one in ("urgent", "s1", "s2")] == ["held", "waiting", "waiting"]


def test_a_job_that_gives_way_has_its_tokens_back(engine: Engine) -> None:
    told = Gates(rate=RateLimit(1, 0.001)).to_wire("work")
    for session in ("v", "t"):
        engine.open(session, queues="default", **{"gates work": told})
    engine.put("j1", "a")
    had = engine.claim("v")
    spare(engine, "v", 1, *had)
    assert engine.ask("t", "urgent", "a", priority=4)[0] == "granted"
    engine.release("urgent", engine.field("urgent", "fence") or 0)
    assert idents(engine.claim("t")) == ["j1"]


def test_what_a_job_holds_goes_with_it(engine: Engine) -> None:
    had = victim(engine, "j1", needs="x1:a")
    engine.worker("t")
    spare(engine, "v", 1, *had)
    (taken,) = engine.claim("t", 1, rob=1)
    held = engine.raw.hget(engine.key("HOLDERS", "a"), "j1").decode().split()
    assert held[2:4] == [taken.fence, "t"]


@pytest.mark.parametrize("stuck", [True, False])
def test_a_worker_is_not_rung_for_its_own_jobs_and_one_that_is_stuck_for_none(engine: Engine, stuck: bool) -> None:
    had = victim(engine, "j1")
    engine.claim("v", 1)
    engine.worker("t")
    engine.claim("t", 1)
    spare(engine, "v", 1, *had, stuck=stuck)
    assert (engine.inbox("v"), engine.inbox("t")) == ([], ["bell default"])
    engine.put("j2")
    assert engine.inbox("v") == ([] if stuck else ["bell default"])


def test_what_was_taken_back_is_nobody_elses(engine: Engine) -> None:
    had = victim(engine, "j1", "j2")
    engine.worker("t")
    spare(engine, "v", 1, *had)
    assert retain(engine, "v", 2, *had) == ["ok", "j1", "j2"]
    with engine.unchanged():
        assert retain(engine, "v", 2, *had) == ["ok", "j1", "j2"]
    assert engine.claim("t", 2, rob=2) == []


@reaches("spare", "overtaken")
@reaches("retain", "ok")
def test_an_offer_that_comes_after_its_end_is_refused(engine: Engine) -> None:
    had = victim(engine, "j1")
    retain(engine, "v", 2, *had)
    assert spare(engine, "v", 1, *had) == ["overtaken"]


def test_only_what_is_ones_own_and_has_not_begun_can_be_offered(engine: Engine) -> None:
    begun, other, old = victim(engine, "j1", "j2", "j3")
    engine.beat("v", [("j1", begun.fence)])
    engine.report("v", old, "released")
    assert spare(engine, "v", 1, begun, old, replace(other, fence="1")) == ["ok", 0]
    engine.worker("x")
    assert spare(engine, "x", 1, other) == ["ok", 0]


def test_a_claim_that_its_worker_has_not_seen_is_offered_by_its_number(engine: Engine) -> None:
    engine.worker("v")
    engine.worker("t")
    engine.submit(job("j1"), job("j2"))
    engine.claim("v", 2, number=5)
    assert spare(engine, "v", 1, claim=5) == ["ok", 2]
    assert idents(engine.claim("t", 1, rob=1)) == ["j2"]
    assert idents(engine.claim("v", 2, number=5)) == ["j1"]


def test_a_claim_on_its_way_to_a_worker_that_is_stuck_brings_nothing(engine: Engine) -> None:
    engine.worker("v")
    engine.claim("v", 1, number=4)
    assert spare(engine, "v", 1, claim=5, stuck=True) == ["ok", 0]
    engine.put("j1")
    assert engine.claim("v", 1, number=5) == []
    assert idents(engine.claim("v", 1, number=6)) == ["j1"]


@reaches("spare", "session_lost")
@reaches("retain", "session_lost")
def test_a_lapsed_session_offers_and_retains_nothing(engine: Engine) -> None:
    had = victim(engine, "j1")
    engine.advance(60)
    assert spare(engine, "v", 1, *had) == ["session_lost"]
    assert retain(engine, "v", 1, *had) == ["session_lost"]


def test_a_spare_job_that_is_cancelled_ends_at_once(engine: Engine) -> None:
    had = victim(engine, "j1", needs="x1:a")
    spare(engine, "v", 1, *had)
    assert engine.cancel("j1") == ["ok", "cancelled"]
    assert (engine.inbox("v"), engine.holders("a")) == ([f"lost j1 {had[0].fence}"], [])
    assert engine.cancel("j1") == ["ok", "cancelled"]
    assert retain(engine, "v", 2, *had) == ["ok"]


def test_a_wish_to_cancel_that_came_before_the_offer_is_granted_by_the_thief(engine: Engine) -> None:
    had = victim(engine, "j1")
    engine.worker("t")
    assert engine.cancel("j1") == ["told"]
    spare(engine, "v", 1, *had)
    assert engine.claim("t", 1, rob=1) == []
    assert engine.state("j1") == "cancelled"


def test_of_a_dead_victim_everything_is_taken_back(engine: Engine) -> None:
    had = victim(engine, "j1", "j2")
    spare(engine, "v", 1, *had)
    engine.advance(60)
    engine.sweep_all()
    engine.worker("t")
    assert idents(engine.claim("t", 2)) == ["j1", "j2"]
    assert engine.raw.exists(engine.key("SPARE", "default")) == 0


def test_every_end_of_a_lease_ends_the_offer(engine: Engine) -> None:
    ends = ("succeeded", "failed", "retry", "snooze", "released", "cancelled", "dead")
    had = victim(engine, *ends)
    spare(engine, "v", 1, *had)
    engine.settle("v", *(Report(one.ident, one.fence, one.ident, 0, "") for one in had))
    assert engine.raw.exists(engine.key("SPARE", "default")) == 0


def test_the_sweep_rings_for_spare_jobs_and_forgets_that_there_were_any(engine: Engine) -> None:
    had = victim(engine, "j1")
    spare(engine, "v", 1, *had)
    engine.worker("t")
    engine.claim("t", 1)
    engine.sweep()
    assert engine.inbox("t") == ["bell default"]
    retain(engine, "v", 2, *had)
    assert engine.raw.hexists(engine.key("META"), "spare")
    engine.sweep()
    assert not engine.raw.hexists(engine.key("META"), "spare")


def test_a_stolen_job_leaves_no_token_behind(engine: Engine) -> None:
    told = Gates(rate=RateLimit(2, 0.001)).to_wire("work")
    for session in ("v", "t"):
        engine.open(session, queues="default", **{"gates work": told})
    engine.submit(job("j1"), job("j2"), job("j3"))
    had = engine.claim("v", 3)
    assert idents(had) == ["j1", "j2"]
    spare(engine, "v", 1, *had)
    assert idents(engine.claim("t", 2, rob=2)) == ["j1", "j2"]


def test_a_probe_that_is_stolen_is_still_one(engine: Engine) -> None:
    policy = BreakerPolicy(failures=1, successes=1, open_for=1, window=60, probes=1)
    told = Gates(breakers=("work",), policy=policy).to_wire("work")
    for session in ("v", "t"):
        engine.open(session, queues="default", **{"gates work": told})
    engine.put("bad")
    engine.report("v", engine.claim("v")[0], "failed")
    engine.submit(job("j1"), job("j2"))
    engine.claim("v", 2)
    engine.keep_alive(1.5, "v", "t")
    engine.sweep()
    had = engine.claim("v", 2)
    assert idents(had) == ["j1"]
    spare(engine, "v", 1, *had)
    (taken,) = engine.claim("t", 2, rob=2)
    assert taken.ident == "j1"
    assert engine.report("t", taken, "succeeded") == ["ok", ""]
    engine.sweep()
    assert idents(engine.claim("t", 2)) == ["j2"]


def test_a_job_that_was_replaced_meanwhile_is_not_handed_on(engine: Engine) -> None:
    had = victim(engine, "j1", **dedup("k", "rerun", "until_started"))
    engine.worker("t")
    spare(engine, "v", 1, *had)
    engine.put("j2", **dedup("k", "rerun", "until_started"))
    assert idents(engine.claim("t", 2, rob=2)) == ["j2"]
    assert engine.state("j1") == "cancelled"


@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(1, 6))
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whom_to_rob_is_as_the_policy_says(engine: Engine, loads: list[int], wanted: int) -> None:
    numbers, backlogs = next(RUNS), {}
    for worker, load in enumerate(loads):
        session = f"v{numbers}-{worker}"
        had = victim(engine, *(f"{session}-j{n}" for n in range(load)), session=session)
        backlogs[session] = idents(had)
        spare(engine, session, 1, *had)
    engine.worker("t")
    taken = engine.claim("t", wanted, rob=wanted)
    assert {(one.stolen_from, one.ident) for one in taken} == set(steal.spoils(backlogs, wanted))
    for one in engine.claim("t", 100, rob=100) + taken:
        engine.report("t", one, "succeeded")


RUNS = count()


def test_the_doctors_audit_sees_an_offer_that_is_not_what_it_says(engine: Engine) -> None:
    had = victim(engine, "j1", "j2")
    spare(engine, "v", 1, *had)
    engine.raw.zrem(engine.key("SPARE", "default"), "j1")
    engine.raw.hdel(engine.key("REQ", "j2"), "spare")

    def call(ident: str, fix: bool) -> list[Any]:
        return engine.call(calls.audit_request(engine.scope, ident, fix, 1000, ["spare:default"]))

    found = [call(one, False)[1] for one in ("j1", "j2")]
    assert found == [["is running, but is not in spare:default"], ["is running, but is in spare:default"]]
    for one in ("j1", "j2"):
        call(one, True)
        assert call(one, False)[1] == []
