"""The short form of every scenario. Safety has no slack; times have some, for a machine that has other things to do."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from chaos.run import play
from chaos.scenario import Figure, Scenario
from chaos.scenarios import SCENARIOS

SLACK, ALLOWANCE = 3, 2.0
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


def tolerable(one: Figure) -> bool:
    """Whether a target is met, or is a time and missed by a factor that a busy machine explains."""
    return one.met or (one.unit == "s" and one.most is not None and one.value <= SLACK * one.most + ALLOWANCE)


def no_progress(_what: str, _done: float, _total: float) -> None:
    return None


@pytest.mark.no_redis  # each starts its own
@pytest.mark.timeout(180)
@pytest.mark.parametrize("scenario", [SCENARIOS[name] for name in MINE], ids=lambda one: one.name)
def test_the_claim_holds(scenario: Scenario) -> None:
    result: Any = play(scenario, secrets.randbelow(10**6), long=False, keep=None, progress=no_progress)
    where = f"scripts/chaos {scenario.name} --seed {result.seed}; history in {result.kept}"
    assert not result.error, f"{result.error}; {where}"
    assert not result.verdict.problems, f"{[str(one) for one in result.verdict.problems[:5]]}; {where}"
    missed = [one for one in result.verdict.figures if not tolerable(one)]
    assert not missed, f"{missed}; {where}"
