"""The short form of every scenario in which processes and networks fail."""

from __future__ import annotations

import pytest

from chaos.scenario import Scenario
from chaos.scenarios import SCENARIOS
from tests.chaos.claims import FAILED, assert_claim, kept

MINE = (
    "kill-storm",
    "failpoints",
    "lock-storm",
    "subtree-storm",
    "replies",
    "deaths",
    "wake-ups",
    "sigterm",
    "forks",
    "network",
)


@pytest.mark.scenario
@pytest.mark.no_redis  # each starts its own
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("scenario", "seed"), kept(SCENARIOS[name] for name in MINE))
def test_the_claim_holds(scenario: Scenario, seed: int | None) -> None:
    assert_claim(scenario, seed)


@pytest.mark.no_redis
def test_every_seed_that_failed_is_one_of_a_scenario_that_is_there() -> None:
    assert set(FAILED) <= set(SCENARIOS)
    assert all(reason for seeds in FAILED.values() for _, reason in seeds)
