"""Retries beyond a handler's budget are put off, and the figures are there to read."""

import random

import pytest

from coordinator.policy import budget
from coordinator.policy.budget import Budget
from coordinator.wire.calls import Report
from tests.support.engine import Engine, Job, job


@pytest.fixture
def fleet(engine: Engine) -> Engine:
    engine.rules(retry_share=100, retry_floor=2000, retry_window_ms=1000, max_queue=10_000)
    engine.worker("w")
    return engine


def ran(engine: Engine, ident: str, name: str = "apply") -> Job:
    """A job of a handler that `w` runs."""
    engine.submit(job(ident)._replace(name=name))
    [given] = engine.claim("w")
    return given


def due(engine: Engine, ident: str) -> int:
    """Ms until a job is due."""
    score = engine.raw.zscore(engine.key("SCHEDULED"), ident)
    assert score is not None
    return round(float(score)) - engine.now


def test_beyond_the_budget_a_retry_waits_for_its_turn(fleet: Engine) -> None:
    for n in range(4):
        fleet.report("w", ran(fleet, f"j{n}"), "retry", 100, "broke")
    assert [due(fleet, f"j{n}") for n in range(4)] == [100, 100, 500, 1000]
    assert [fleet.field(f"j{n}", "postponed") for n in (1, 2, 3)] == [None, "500 1 100 2000", "1000 2 100 2000"]
    assert fleet.raw.hget(fleet.key("STATS"), "postponed") == b"2"
    told = fleet.raw.xrevrange(fleet.key("EVENTS"), count=1)[0][1]
    assert (told[b"event"], told[b"id"], told[b"postponed"]) == (b"retry", b"j3", b"1000 2 100 2000")


def test_a_longer_pause_of_the_policy_stands(fleet: Engine) -> None:
    for n in range(3):
        fleet.report("w", ran(fleet, f"j{n}"), "retry", 700)
    assert due(fleet, "j2") == 700
    assert fleet.field("j2", "postponed") is None


def test_a_retry_at_once_that_is_put_off_lets_go_of_its_resources(fleet: Engine) -> None:
    for n in range(2):
        fleet.report("w", ran(fleet, f"j{n}"), "retry", 100)
    fleet.submit(job("k", "a")._replace(name="apply"))
    [given] = fleet.claim("w")
    assert fleet.report("w", given, "retry", 0) == ["ok", ""]
    assert (fleet.state("k"), fleet.holders("a"), due(fleet, "k")) == ("scheduled", [], 500)


def test_each_handler_has_a_budget_of_its_own(fleet: Engine) -> None:
    for n in range(4):
        fleet.report("w", ran(fleet, f"j{n}"), "retry", 100)
    fleet.report("w", ran(fleet, "k", "plan"), "retry", 100)
    assert due(fleet, "k") == 100


def test_successes_pay_also_those_of_the_same_call(fleet: Engine) -> None:
    for n in range(2):
        fleet.report("w", ran(fleet, f"j{n}"), "retry", 100)
    good = [ran(fleet, f"g{n}") for n in range(10)]
    bad = ran(fleet, "k")
    reports = [Report(one.ident, one.fence, "succeeded") for one in good]
    fleet.settle("w", *reports, Report(bad.ident, bad.fence, "retry", 100))
    assert due(fleet, "k") == 100


def test_a_report_that_is_repeated_takes_one_token(fleet: Engine) -> None:
    given = ran(fleet, "j")
    fleet.report("w", given, "retry", 100)
    with fleet.unchanged():
        fleet.report("w", given, "retry", 100)


def test_the_mark_goes_when_the_job_goes_on(fleet: Engine) -> None:
    for n in range(3):
        fleet.report("w", ran(fleet, f"j{n}"), "retry", 100)
    fleet.keep_alive(1.1, "w")
    fleet.sweep()
    for given in fleet.claim("w", 3):
        fleet.report("w", given, "succeeded")
    assert fleet.field("j2", "postponed") is None


def test_without_a_budget_nothing_is_put_off(fleet: Engine) -> None:
    fleet.rules(retry_floor=0)
    for n in range(10):
        fleet.report("w", ran(fleet, f"j{n}"), "retry", 100)
        assert due(fleet, f"j{n}") == 100


@pytest.mark.parametrize("seed", range(5))
def test_the_script_reckons_as_the_policy_does(engine: Engine, seed: int) -> None:
    chance = random.Random(seed)
    rules = Budget(chance.randint(0, 300), chance.randint(100, 9000), chance.randint(1000, 20_000))
    engine.rules(
        retry_share=rules.share,
        retry_floor=rules.floor,
        retry_window_ms=rules.window,
        max_queue=10_000,
        max_line=10_000,
    )
    engine.worker("w")
    account = budget.opened(rules, engine.now)
    for n in range(60):
        engine.keep_alive(chance.choice((0, 0, 0.01, 0.3, 4)), "w")
        given = ran(engine, f"j{n}")
        if chance.random() < 0.4:
            engine.report("w", given, "succeeded")
            account = budget.succeeded(account, 1)
            continue
        engine.report("w", given, "retry", 0 if n % 2 else 1)
        account, allowed = budget.spent(rules, account, engine.now)
        if allowed.wait > 1:
            assert due(engine, f"j{n}") == pytest.approx(allowed.wait, abs=2)
        else:
            assert engine.field(f"j{n}", "postponed") is None
            engine.cancel(f"j{n}")
            if n % 2:
                [newer] = [engine.field(f"j{n}", "fence")]
                engine.settle("w", Report(f"j{n}", str(newer), "cancelled"))
