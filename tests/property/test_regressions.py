"""What comparing the engine with its model has found, one story each."""

from __future__ import annotations

from unittest.mock import ANY

import pytest

from coordinator.keys import key
from coordinator.wire import calls
from coordinator.wire.calls import Report, Word
from tests.property.driver import Driver
from tests.property.machine import TERMS

pytestmark = pytest.mark.no_redis


@pytest.mark.parametrize("outcome", ["retry", "snooze", "released"])
def test_a_job_that_was_cancelled_while_it_ran_does_not_run_again(driver: Driver, outcome: str) -> None:
    driver.submit(("j", {}))
    fence = driver.claim("s1")["j"]
    assert driver.cancel("j") == "told"
    assert driver.settle("s1", Report("j", fence, outcome, 0)) == [["ok", ""]]
    assert driver.state("j") == "cancelled"


@pytest.mark.parametrize(("outcome", "started", "attempts"), [("snooze", False, "1"), ("released", True, "1")])
def test_a_job_that_was_cancelled_counts_the_attempt_that_was_begun(
    driver: Driver, outcome: str, started: bool, attempts: str
) -> None:
    driver.submit(("j", {}))
    fence = driver.claim("s1")["j"]
    if started:
        driver.engine.call(calls.beat(driver.scope, "s1", 1000, [("j", fence)]))
    driver.cancel("j")
    driver.settle("s1", Report("j", fence, outcome, 0))
    assert driver.state("j") == "cancelled"
    assert driver.engine.read([("HGET", key(driver.namespace, "REQ", "j"), "attempts")]) == [attempts.encode()]


def test_a_job_that_was_cancelled_does_not_run_again_when_its_worker_dies(driver: Driver) -> None:
    driver.submit(("j", {}))
    driver.claim("s1")
    driver.cancel("j")
    driver.advance(11)
    driver.sweep()
    assert driver.state("j") == "cancelled"


def test_a_job_past_its_deadline_expires_however_it_is_taken_back(driver: Driver) -> None:
    driver.submit(("j", {"needs": "x1:a", "end_ms": 1000}))
    assert driver.claim("s1") == {"j": ANY}
    driver.advance(2, "s2")
    driver.request("s2", "r", "x1:a")  # takes back what lapsed on the resource, before any sweep
    assert driver.state("j") == "expired"


def test_offers_behind_several_newcomers_are_withdrawn(driver: Driver) -> None:
    driver.request("s1", "holder", "x1:b")
    driver.submit(("early", {"needs": "x1:a"}))
    assert driver.state("early") == "ready"
    urgent: dict[str, Word] = {"needs": "x1:a x1:b", "priority": 4}
    driver.submit(("first", dict(urgent)), ("second", dict(urgent)))
    assert driver.state("early") == "waiting"


def test_a_worker_idle_on_two_queues_is_rung_once(driver: Driver) -> None:
    """It may have only one slot; the other job is for the next idle worker."""
    driver.claim("s1", 1)
    driver.advance(0.1, "s2")
    driver.claim("s2", 1)
    driver.submit(("urgent", {"priority": 4}), queue="qb")
    driver.submit(("plain", {}), queue="qa")
    assert (driver.bells("s1"), driver.bells("s2")) == (1, 1)


def test_offers_behind_several_that_stepped_back_are_withdrawn_too(driver: Driver) -> None:
    shared: dict[str, Word] = {"needs": "s1:a s1:b"}
    driver.submit(("one", dict(shared)), ("two", dict(shared)), ("three", {"needs": "s1:b"}))
    assert driver.state("three") == "ready"
    driver.request("s1", "urgent", "x1:a", priority=4)
    assert [driver.state(ident) for ident in ("one", "two", "three")] == ["waiting"] * 3


def test_an_offer_lets_those_behind_it_on_its_other_lines_go_on(driver: Driver) -> None:
    driver.request("s1", "holder", "x1:a")
    driver.submit(("job", {"needs": "x1:a s1:b", "priority": 4}))
    assert driver.request("s2", "reader", "s1:b")[0] == "waiting"
    driver.release("holder")
    assert (driver.state("job"), driver.state("reader")) == ("ready", "held")


def test_a_repeated_reprioritisation_that_brought_the_grant_is_not_refused(driver: Driver) -> None:
    driver.request("s1", "holder", "s1:a")
    driver.request("s2", "writer", "x1:a")
    driver.request("s2", "reader", "s1:a")
    assert [driver.reprioritise("reader", 4), driver.state("reader")] == ["ok", "held"]
    assert driver.reprioritise("reader", 4) == "ok"
    assert driver.reprioritise("reader", 2) == "refused"


@pytest.mark.parametrize("on_conflict", ["reject", "join", "replace"])
def test_nothing_joins_a_job_whose_time_ran_out(driver: Driver, on_conflict: str) -> None:
    words: dict[str, Word] = {"dedup": "k", "on_conflict": on_conflict, "scope": "until_finished"}
    driver.submit(("late", {**words, "wait_ms": 1000}))
    driver.advance(2)
    assert driver.submit(("fresh", words)) == [["accepted", "fresh"]]
    assert driver.state("late") == "expired"


def test_a_claim_finds_the_best_job_behind_one_whose_time_ran_out(driver: Driver) -> None:
    driver.submit(("late", {"priority": 4, "wait_ms": 1000}), queue="qb")
    driver.submit(("urgent", {"priority": 4}), queue="qb")
    driver.submit(("plain", {}), queue="qa")
    driver.advance(2)
    assert list(driver.claim("s1", 1)) == ["urgent"]


def test_a_worker_that_leaves_after_it_was_rung_passes_the_bell_on(driver: Driver) -> None:
    driver.claim("s1", 1)
    driver.advance(0.1, "s2")
    driver.claim("s2", 1)
    driver.submit(("job", {}))
    assert (driver.bells("s1"), driver.bells("s2")) == (1, 0)
    driver.close("s1")
    assert driver.bells("s2") == 1


def test_a_key_that_is_held_for_a_time_outlives_the_retention_of_results(driver: Driver) -> None:
    """Uniqueness and how long results are kept are separate things."""
    hours = 10 * TERMS.result_ms
    words: dict[str, Word] = {"dedup": "k", "on_conflict": "join", "scope": "ttl", "ttl_ms": hours}
    driver.submit(("first", words))
    fence = driver.claim("s1")["first"]
    driver.settle("s1", Report("first", fence, "succeeded"))
    assert driver.remaining_ms("first") == pytest.approx(hours, rel=0.01)


def test_a_full_line_lets_in_who_need_not_stand_in_it(driver: Driver) -> None:
    driver.request("s1", "holder", "x1:b")
    driver.request("s1", "head", "x1:a x1:b", priority=2)
    for number in range(TERMS.max_line - 1):
        driver.request("s1", f"waiter{number}", "x1:a", priority=2)
    assert driver.request("s2", "like-them", "x1:a", priority=2)[0] == "line_full"
    assert driver.request("s2", "urgent", "x1:a", priority=3)[0] == "granted"
