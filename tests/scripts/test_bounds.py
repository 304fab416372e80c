"""Work per call stays bounded however much a namespace holds."""

from coordinator.wire import calls
from tests.scripts.test_plain_locks import commands
from tests.support.defining import Defining
from tests.support.engine import Engine

MANY = 1000


def test_many_queues_are_swept_and_listed_some_at_a_time(engine: Engine) -> None:
    engine.raw.sadd(engine.key("QUEUES"), *(f"q{n}" for n in range(MANY)))
    engine.raw.config_resetstat()
    engine.sweep()
    assert engine.raw.info("commandstats")["cmdstat_zcard"]["calls"] <= 64
    assert len(engine.call(calls.survey(engine.scope, "", 10, ""))[3]) <= 200


def test_the_holders_of_many_permits_are_added_up_once_by_a_look(define: Defining) -> None:
    engine = define.engine
    define("a", capacity="1100")
    fence = engine.hold("s", "r1", "a")
    others = {f"x{n}": f"x 1 {fence} s {engine.now + 60_000}" for n in range(1099)}
    engine.raw.hset(engine.key("HOLDERS", "a"), mapping=others)
    engine.ask("s", "r2", "a")
    look = calls.audit_resource(engine.scope, "a", False, 0)
    assert engine.call(look) == ["ok", []]
    assert commands(engine, look)["hvals"] == 1
    engine.raw.hdel(engine.key("HOLDERS", "a"), "x0")
    assert engine.call(look) == ["ok", ["r2 waits for it although it could have it"]]
    assert commands(engine, look)["hvals"] == 2
    engine.raw.hdel(engine.key("HOLDERS", "a"), *others)
    engine.call(calls.audit_resource(engine.scope, "a", True, 0))
    assert engine.state("r2") == "held"
