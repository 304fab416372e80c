"""What the server measures of breakers, limits and shedding."""

from coordinator.policy.rate import AdaptiveLimit, RateLimit
from coordinator.wire import calls
from tests.scripts.test_gates import put, run, trip, worker
from tests.support.engine import Engine


def test_the_fleet_measures_what_gates_do(engine: Engine) -> None:
    worker(engine)
    worker(engine, "w", "slow", breakers=(), policy=None, rate=RateLimit(1, 1))
    worker(engine, "w", "learns", breakers=(), policy=None, rate=AdaptiveLimit(initial=5))
    fleet_says(engine)
    trip(engine)
    put(engine, "held1", "held2")
    assert run(engine, "succeeded", 2) == []
    put(engine, "s1", "s2", name="slow")
    assert run(engine, "succeeded", 2) == ["s1"]
    put(engine, "l1", name="learns")
    assert run(engine, "failed") == ["l1"]
    said = fleet_says(engine)
    assert (said["breaker.opened"], said["breaker.held_back"], said["rate.limited"]) == ("1", "2", "1")
    assert (said["breaker.state"], said["breaker.state:work"]) == ("0", "2")
    assert (said["rate.limit:slow"], said["rate.limit:learns"], said["rate.adjusted"]) == ("1", "2.5", "1")
    engine.advance(30)
    worker(engine, "again")
    assert run(engine, "succeeded", session="again") == ["held1"]
    assert run(engine, "succeeded", session="again") == ["held2"]
    said = fleet_says(engine)
    assert (said["breaker.probed"], said["breaker.closed"]) == ("2", "1")
    assert "breaker.state:work" not in said


def test_the_level_of_shedding_is_that_of_the_queue_as_it_stands(engine: Engine) -> None:
    engine.rules(max_queue=10, shedding=1, shed_begin=800, shed_end=700)
    worker(engine)
    put(engine, *(f"j{n}" for n in range(9)))
    assert fleet_says(engine)["shed.level"] == "2"
    run(engine, "succeeded", 2)
    assert fleet_says(engine)["shed.level"] == "1"
    run(engine, "succeeded", 7)
    assert fleet_says(engine)["shed.level"] == "0"


def fleet_says(engine: Engine) -> dict[str, str]:
    """What the server knows by itself, since the last time."""
    engine.advance(1)
    reply = engine.call(calls.publish(engine.scope, f"p {engine.now}", (1000, 1000, 10_000_000, 0), ["process", "p"]))
    assert reply[0] == "ok"
    found = engine.call(calls.samples(engine.scope, 60_000, 10))
    return next(
        dict(zip(words[::2], words[1::2], strict=True))
        for _, words in found[2]
        if words[words.index("process") + 1] == "fleet"
    )
