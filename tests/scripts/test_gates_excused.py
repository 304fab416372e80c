"""A probe that fails because what it asks is still down costs its job no attempt; one that fails by itself does."""

from __future__ import annotations

import pytest

from coordinator.policy.breaker import MAX_EXCUSED, comes_back
from coordinator.wire.calls import Report
from tests.scripts.test_gates import POLICY, breaker, put, run, trip, worker
from tests.support.engine import Engine


def fails_as_probe(engine: Engine, name: str, outcome: str = "retry", delay_ms: int = 1000) -> None:
    """The breaker is open: the next probe is that job's, and fails."""
    engine.keep_alive(31, "w")
    engine.sweep()
    assert run(engine, outcome, 1, delay_ms) == [name]
    assert breaker(engine)["state"] == "open"


@pytest.mark.parametrize("outcome", ["retry", "failed", "failed@2"])
@pytest.mark.parametrize("noted", [False, True])
def test_an_outage_costs_a_job_no_attempt_not_even_the_last(engine: Engine, outcome: str, noted: bool) -> None:
    worker(engine)
    trip(engine)
    put(engine, "a", "b")
    engine.keep_alive(31, "w")
    [given] = engine.claim("w", 2)
    if noted:
        engine.beat("w", [(given.ident, given.fence)])
    engine.settle("w", Report(given.ident, given.fence, outcome, 1000, "down"))
    assert (engine.state("a"), engine.field("a", "attempts"), engine.field("a", "excused")) == ("scheduled", "0", "1")
    assert engine.field("a", "why") == "down"
    assert engine.raw.hget(engine.key("STATS"), "excused") == b"1"
    fails_as_probe(engine, "b")
    # It is back by now, and the next in its turn.
    engine.keep_alive(5, "w")
    fails_as_probe(engine, "a")
    assert (engine.field("a", "attempts"), engine.field("a", "excused")) == ("0", "2")
    engine.keep_alive(70, "w")
    engine.sweep()
    assert sorted(run(engine, "succeeded") + run(engine, "succeeded")) == ["a", "b"]
    assert [engine.field(one, "attempts") for one in ("a", "b")] == ["1", "1"]


def test_it_comes_back_after_another_could_be_asked(engine: Engine) -> None:
    worker(engine)
    trip(engine)
    put(engine, "a", priority=3)
    put(engine, "b")
    engine.keep_alive(30, "w")
    assert run(engine, "retry", 1, delay_ms=0) == ["a"]
    due = engine.raw.zscore(engine.key("SCHEDULED"), "a") or 0
    assert due - engine.now == comes_back(POLICY, 0.0) * 1000 == 33_750
    engine.keep_alive(30, "w")
    assert run(engine, "succeeded", 2) == ["b"]


def test_once_another_has_succeeded_the_fault_is_its_own(engine: Engine) -> None:
    worker(engine)
    trip(engine)
    put(engine, "a", "b")
    engine.keep_alive(30, "w")
    assert run(engine, "succeeded") == ["a"]
    assert run(engine, "failed", delay_ms=1000) == ["b"]
    assert (engine.state("b"), engine.field("b", "excused"), breaker(engine)["state"]) == ("failed", None, "open")


def test_one_that_may_run_once_runs_once(engine: Engine) -> None:
    worker(engine)
    trip(engine)
    put(engine, "a")
    fails_as_probe(engine, "a", "failed", delay_ms=0)
    assert engine.state("a") == "failed"


def test_one_that_always_fails_ends_though_it_is_alone(engine: Engine) -> None:
    worker(engine)
    trip(engine)
    put(engine, "a")
    engine.raw.hset(engine.key("REQ", "a"), "excused", str(MAX_EXCUSED - 1))
    fails_as_probe(engine, "a", "failed")
    assert (engine.state("a"), engine.field("a", "excused")) == ("scheduled", str(MAX_EXCUSED))
    due = engine.raw.zscore(engine.key("SCHEDULED"), "a") or 0
    assert due - engine.now == comes_back(POLICY, 1.0, MAX_EXCUSED - 1) * 1000 == 483_750
    engine.keep_alive(460, "w")
    fails_as_probe(engine, "a", "failed")
    assert engine.state("a") == "failed"


@pytest.mark.parametrize("faulty", [2, 4])
def test_jobs_that_fail_by_themselves_at_the_head_keep_no_other_from_being_asked(engine: Engine, faulty: int) -> None:
    engine.rules(aging_us=10**12)  # nobody overtakes them for having waited long
    worker(engine)
    trip(engine)
    put(engine, *[f"bug{number}" for number in range(faulty)], priority=3)
    put(engine, "good")
    for _ in range(5 * faulty):
        engine.keep_alive(28, "w")
        engine.sweep()
        assert engine.claim("w", 9) == []  # who was excused is back at the gate before the next is asked
        engine.keep_alive(3, "w")
        [given] = engine.claim("w", 1)
        good = given.ident == "good"
        engine.settle("w", Report(given.ident, given.fence, "succeeded" if good else "retry", 0 if good else 10))
        if good:
            return
    pytest.fail("it was never asked")


def test_failures_that_are_no_probes_count_as_ever(engine: Engine) -> None:
    worker(engine)
    put(engine, "a", "b", "c", "d")
    assert run(engine, "failed", 4, delay_ms=1000) == ["a", "b", "c", "d"]
    assert [engine.state(one) for one in "abcd"] == ["failed"] * 4
    assert breaker(engine)["state"] == "open"
