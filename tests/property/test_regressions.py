"""What comparing the engine with its model has found, one story each."""

from __future__ import annotations

import pytest

from coordinator.wire.calls import Report
from tests.property.driver import Driver

pytestmark = pytest.mark.no_redis


@pytest.mark.parametrize("outcome", ["retry", "snooze", "released"])
def test_a_job_that_was_cancelled_while_it_ran_does_not_run_again(driver: Driver, outcome: str) -> None:
    driver.submit(("j", {}))
    fence = driver.claim("s1")["j"]
    assert driver.cancel("j") == "told"
    assert driver.settle("s1", Report("j", fence, outcome, 0)) == [["ok", ""]]
    assert driver.state("j") == "cancelled"


def test_a_job_that_was_cancelled_does_not_run_again_when_its_worker_dies(driver: Driver) -> None:
    driver.submit(("j", {}))
    driver.claim("s1")
    driver.cancel("j")
    driver.advance(11)
    driver.sweep()
    assert driver.state("j") == "cancelled"
