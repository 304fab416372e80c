"""Runs that end when the breaker that they began under has opened and closed again."""

from coordinator.wire.calls import Report
from tests.scripts.test_gates import breaker, put, run, trip, worker
from tests.support.engine import Engine


def test_runs_that_began_before_it_opened_do_not_count_after_it_has_closed(engine: Engine) -> None:
    worker(engine)
    put(engine, "a", "b", "c")
    old = engine.claim("w", 3)
    engine.advance(1)
    trip(engine)
    engine.keep_alive(30, "w")
    put(engine, "d", "e")
    assert run(engine, "succeeded") + run(engine, "succeeded") == ["d", "e"]
    engine.settle("w", *(Report(one.ident, one.fence, "failed") for one in old))
    assert breaker(engine)["state"] == "closed"
    put(engine, "f", "g", "h")
    assert run(engine, "failed", 3) == ["f", "g", "h"]
    assert breaker(engine)["state"] == "open"
