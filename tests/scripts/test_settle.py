"""Reports of outcomes: each counts once, under its fence, and what follows from it."""

import pytest

from coordinator.wire import calls
from coordinator.wire.calls import Claim, Deed, Report
from tests.scripts.reach import reaches
from tests.support.engine import Engine, Job, job


def running(engine: Engine, needs: str = "", **options: object) -> Job:
    """A job that `w` runs."""
    engine.worker("w")
    engine.put("j", needs, **options)
    [given] = engine.claim("w")
    return given


@reaches("settle", "ok")
@pytest.mark.parametrize("outcome", ["succeeded", "failed", "cancelled", "dead"])
def test_a_final_outcome_ends_the_job_and_frees_what_it_held(engine: Engine, outcome: str) -> None:
    given = running(engine, "a")
    engine.ask("w", "r", "a")
    assert engine.report("w", given, outcome, value="value") == ["ok", ""]
    assert (engine.state("j"), engine.holders("a")) == (outcome, ["r"])
    kept = engine.census()
    assert (engine.key("RESULT", "j") in kept) == (outcome == "succeeded")
    assert engine.field("j", "why") == (None if outcome == "succeeded" else "value")


def test_a_repeated_report_answers_as_the_first_did(engine: Engine) -> None:
    given = running(engine)
    first = engine.report("w", given, "succeeded", value="1")
    with engine.unchanged():
        assert engine.report("w", given, "succeeded", value="1") == first


@reaches("settle", "stale", "gone")
def test_a_report_under_an_older_fence_is_stale(engine: Engine) -> None:
    given = running(engine)
    engine.call(calls.force(engine.scope, "j", "", Deed("op", "test", "c1")))
    assert engine.report("w", given, "succeeded") == ["stale", "ready"]
    [newer] = engine.claim("w")
    assert engine.report("w", given, "succeeded") == ["stale", "running"]
    assert engine.settle("w", Report("never-was", "1", "succeeded")) == [["gone", ""]]
    engine.worker("other")
    assert engine.report("other", newer, "succeeded") == ["stale", "running"]


def test_a_late_report_for_a_job_that_was_buried_is_stale(engine: Engine) -> None:
    engine.rules(max_crashes=1)
    given = running(engine, run_ms=1000)
    engine.beat("w", [("j", given.fence)])
    engine.keep_alive(11.1, "w")
    engine.sweep()
    assert engine.state("j") == "dead"
    assert engine.report("w", given, "succeeded") == ["stale", "dead"]


@reaches("settle", "session_lost")
def test_a_lapsed_session_reports_nothing(engine: Engine) -> None:
    given = running(engine)
    engine.advance(10)
    report = Report(given.ident, given.fence, "succeeded")
    reply = engine.call(calls.settle(engine.scope, "w", Claim(0, 0, 0, ()), [report]))
    assert (reply, engine.state("j")) == (["session_lost"], "running")


def test_a_retry_at_once_keeps_the_resources_and_draws_a_larger_fence(engine: Engine) -> None:
    given = running(engine, "a b")
    engine.ask("w", "r", "a", priority=4)
    status, fence = engine.report("w", given, "retry", 0, "broke")
    assert status == "ok"
    assert int(fence) > int(given.fence)
    assert (engine.holders("a"), engine.state("r")) == (["j"], "waiting")
    assert [engine.field("j", name) for name in ("fence", "attempts", "why")] == [fence, "1", "broke"]
    assert engine.report("w", given, "retry", 0, "broke") == ["ok", fence]
    assert engine.settle("w", Report("j", fence, "succeeded")) == [["ok", ""]]
    assert engine.report("w", given, "retry", 0, "broke") == ["stale", "succeeded"]


def test_a_retry_at_once_has_its_whole_run_time_again(engine: Engine) -> None:
    given = running(engine, run_ms=5000)
    engine.keep_alive(14, "w")
    [[_, fence]] = engine.settle("w", Report("j", given.fence, "retry"))
    engine.keep_alive(14, "w")
    engine.sweep()
    assert (engine.state("j"), engine.field("j", "fence")) == ("running", fence)


def test_a_delayed_retry_gives_up_its_place_and_queues_again(engine: Engine) -> None:
    given = running(engine, "a")
    engine.put("next", "a")
    assert engine.report("w", given, "retry", 2000, "broke") == ["ok", ""]
    assert (engine.state("j"), engine.state("next")) == ("scheduled", "ready")
    engine.advance(1.999)
    engine.sweep()
    assert engine.state("j") == "scheduled"
    engine.advance(0.001)
    engine.sweep()
    assert engine.line("a") == ["next", "j"]


def test_a_repeated_report_never_gets_the_fence_of_a_later_claim(engine: Engine) -> None:
    """To run it again at once is what a fence in the answer means; two workers would run it under one fence."""
    given = running(engine)
    engine.report("w", given, "retry", 1000)
    engine.advance(1)
    engine.sweep()
    engine.worker("other")
    assert [one.ident for one in engine.claim("other")] == ["j"]
    assert engine.report("w", given, "retry", 1000) == ["ok", ""]


@pytest.mark.parametrize("started", [True, False])
@pytest.mark.parametrize(("outcome", "attempts"), [("retry", "1"), ("snooze", "0"), ("released", "0")])
def test_only_a_retry_counts_an_attempt(engine: Engine, outcome: str, attempts: str, started: bool) -> None:
    given = running(engine)
    if started:
        engine.beat("w", [(given.ident, given.fence)])
    engine.report("w", given, outcome, 1000)
    assert (engine.field("j", "attempts") or "0") == attempts


def test_a_released_job_goes_back_to_its_own_place(engine: Engine) -> None:
    given = running(engine, "a")
    engine.put("next", "a")
    engine.report("w", given, "released")
    assert (engine.state("j"), engine.line("a")) == ("ready", ["j", "next"])


@pytest.mark.parametrize(("outcome", "delay"), [("retry", 0), ("retry", 1000), ("snooze", 1000), ("released", 0)])
def test_a_job_that_was_told_to_stop_does_not_run_again(engine: Engine, outcome: str, delay: int) -> None:
    given = running(engine, "a")
    assert engine.cancel("j") == ["told"]
    assert engine.report("w", given, outcome, delay) == ["ok", ""]
    assert (engine.state("j"), engine.field("j", "why"), engine.holders("a")) == ("cancelled", "because", [])
    assert engine.report("w", given, outcome, delay) == ["ok", ""]


def test_a_job_that_was_told_to_stop_may_still_succeed(engine: Engine) -> None:
    given = running(engine)
    engine.cancel("j")
    engine.report("w", given, "succeeded")
    assert engine.state("j") == "succeeded"


def test_settling_and_claiming_is_one_step_and_repeats_as_one(engine: Engine) -> None:
    given = running(engine, "a")
    engine.submit(job("next", "a"), job("urgent", priority=3))
    call = calls.settle(
        engine.scope, "w", Claim(9, 2, 1000, ("default",)), [Report("j", given.fence, "succeeded", 0, b"\x00\xff")]
    )
    reply = engine.call(call)
    assert reply[1] == [["ok", ""]]
    assert [one[0] for one in reply[2]] == ["urgent", "next"]
    with engine.unchanged():
        assert engine.call(call) == reply
    assert engine.raw.get(engine.key("RESULT", "j")) == b"\x00\xff"


def test_a_result_is_kept_as_long_as_its_request(engine: Engine) -> None:
    given = running(engine, "a" * 65, metadata="{}")
    engine.report("w", given, "succeeded", value="1")
    lives = [engine.raw.pttl(engine.key(name, "j")) for name in ("REQ", "RESULT", "NEEDS", "NOTE")]
    assert all(engine.terms.result_ms - 10_000 < one <= engine.terms.result_ms for one in lives)


@pytest.mark.parametrize("outcome", ["failed", "dead"])
def test_a_job_that_failed_is_kept_longer_with_its_payload(engine: Engine, outcome: str) -> None:
    given = running(engine)
    engine.report("w", given, outcome)
    assert engine.raw.pttl(engine.key("REQ", "j")) > engine.terms.result_ms
    assert engine.payload("j") == b"payload"


def test_whoever_watches_is_told_of_the_end(engine: Engine) -> None:
    given = running(engine)
    engine.open("s")
    engine.call(calls.watch(engine.scope, "j", "s"))
    engine.report("w", given, "succeeded")
    assert engine.inbox("s") == ["ended j succeeded"]


def test_nobody_is_rung_for_a_job_that_comes_up_and_is_claimed_at_once(engine: Engine) -> None:
    given = running(engine, "a")
    engine.put("next", "a")
    engine.worker("idle")
    engine.claim("idle")
    report = Report(given.ident, given.fence, "succeeded")
    reply = engine.call(calls.settle(engine.scope, "w", Claim(2, 1, 1000, ("default",)), [report]))
    assert [one[0] for one in reply[2]] == ["next"]
    assert engine.inbox("idle") == []


def test_others_are_rung_for_a_job_that_comes_up_when_another_is_claimed(engine: Engine) -> None:
    given = running(engine, "a")
    engine.submit(job("next", "a"), job("urgent", priority=3))
    engine.worker("idle", "elsewhere", "default")
    engine.claim("idle", 1, "elsewhere")
    engine.raw.zadd(engine.key("IDLE", "default"), {"idle": 1})
    report = Report(given.ident, given.fence, "succeeded")
    reply = engine.call(calls.settle(engine.scope, "w", Claim(2, 1, 1000, ("default",)), [report]))
    assert [one[0] for one in reply[2]] == ["urgent"]
    assert engine.inbox("idle") == ["bell default"]
