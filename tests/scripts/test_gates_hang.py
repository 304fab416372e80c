"""A probe that hangs does not keep a half-open breaker from trying anybody else."""

import pytest

from coordinator.policy.breaker import BreakerPolicy
from tests.scripts.test_gates import breaker, put, run, trip, worker
from tests.support.engine import Engine


@pytest.mark.parametrize("open_for", [0.5, 30])
def test_a_probe_that_hangs_gives_its_place_to_the_next_and_its_outcome_counts(engine: Engine, open_for: float) -> None:
    worker(engine, policy=BreakerPolicy(failures=3, successes=2, open_for=open_for))
    trip(engine)
    put(engine, "hangs", "next", "third")
    engine.keep_alive(open_for, "w")
    (hangs,) = engine.claim("w", 3)
    engine.keep_alive(open_for - 0.001, "w")
    assert engine.claim("w", 3) == []
    engine.keep_alive(0.001, "w")
    engine.sweep()  # what its clock has it do: nobody claims, for nothing is on offer
    assert engine.state("next") == "ready"
    (next_one,) = engine.claim("w", 3)
    assert next_one.ident == "next"
    assert engine.claim("w", 3) == []
    engine.report("w", hangs, "succeeded")
    assert breaker(engine)["passed"] == "1"
    engine.report("w", next_one, "succeeded")
    assert breaker(engine)["state"] == "closed"
    assert run(engine, "succeeded", 3) == ["third"]


def test_a_probe_that_hung_and_fails_opens_the_breaker_again(engine: Engine) -> None:
    worker(engine)
    trip(engine)
    put(engine, "hangs", "next")
    engine.keep_alive(30, "w")
    (hangs,) = engine.claim("w", 2)
    engine.keep_alive(30, "w")
    (next_one,) = engine.claim("w", 2)
    engine.report("w", hangs, "failed")
    assert breaker(engine)["state"] == "open"
    engine.report("w", next_one, "succeeded")
    assert breaker(engine)["state"] == "open"
