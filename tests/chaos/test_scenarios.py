"""The short form of every scenario in which processes and networks fail."""

from __future__ import annotations

import pytest

from chaos.scenario import Scenario
from chaos.scenarios import SCENARIOS
from tests.chaos.claims import assert_claim

MINE = (
    "kill-storm",
    "failpoints",
    "lock-storm",
    "replies",
    "deaths",
    "wake-ups",
    "sigterm",
    "forks",
    "network",
)


@pytest.mark.no_redis  # each starts its own
@pytest.mark.timeout(180)
@pytest.mark.parametrize("scenario", [SCENARIOS[name] for name in MINE], ids=lambda one: one.name)
def test_the_claim_holds(scenario: Scenario) -> None:
    assert_claim(scenario)
