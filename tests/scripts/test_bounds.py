"""Work per call stays bounded however much a namespace holds."""

from coordinator.wire import calls
from tests.support.engine import Engine

MANY = 1000


def test_many_queues_are_swept_and_listed_some_at_a_time(engine: Engine) -> None:
    engine.raw.sadd(engine.key("QUEUES"), *(f"q{n}" for n in range(MANY)))
    engine.raw.config_resetstat()
    engine.sweep()
    assert engine.raw.info("commandstats")["cmdstat_zcard"]["calls"] <= 64
    assert len(engine.call(calls.survey(engine.scope, "", 10, ""))[3]) <= 200
