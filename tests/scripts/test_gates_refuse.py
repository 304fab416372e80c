"""Breakers that are to refuse: who is turned away while one is open, and who is not."""

from coordinator.policy.breaker import BreakerPolicy
from coordinator.wire import calls
from coordinator.wire.calls import Deed
from coordinator.wire.gates import Gates
from tests.scripts.reach import reaches
from tests.support.engine import Engine

REFUSES = BreakerPolicy(failures=3, on_open="refuse")


def worker(engine: Engine, session: str, name: str, **gates: object) -> None:
    """A worker whose handler has these gates."""
    engine.open(session, queues="default", **{f"gates {name}": Gates(**gates).to_wire(name)})  # type: ignore[arg-type]


@reaches("submit", "breaker_open")
def test_a_breaker_that_is_to_refuse_does_so_while_it_is_open(engine: Engine) -> None:
    worker(engine, "w", "work", breakers=("work",), policy=REFUSES)
    engine.put("waits")
    engine.call(calls.set_breaker(engine.scope, "work", "open", 30_000, Deed("me", "test", "c0")))
    engine.advance(10)
    assert engine.put("plain") == ["breaker_open", "breaker/work", 20_000]
    assert engine.put("needs", "a", priority=4) == ["breaker_open", "breaker/work", 20_000]
    assert engine.put("soon", delay_ms=19_999) == ["breaker_open", "breaker/work", 20_000]
    assert engine.put("later", delay_ms=20_000)[0] == "accepted"
    assert engine.put("another", name="other")[0] == "accepted"
    engine.put("first", dedup="k", on_conflict="join", scope="until_finished", name="other")
    assert engine.put("joins", dedup="k", on_conflict="join", scope="until_finished")[0] == "duplicate"
    assert engine.put("first", name="other", dedup="k", on_conflict="join", scope="until_finished")[0] == "accepted"
    engine.advance(20)
    assert engine.put("plain")[0] == "accepted"
    assert engine.state("waits") == "ready"


def test_a_breaker_that_one_handler_refuses_by_has_the_jobs_of_another_wait(engine: Engine) -> None:
    worker(engine, "w", "work", breakers=("work", "github"), policy=REFUSES)
    worker(engine, "v", "calm", breakers=("calm", "github"))
    engine.call(calls.set_breaker(engine.scope, "github", "open", 30_000, Deed("me", "test", "c0")))
    assert engine.put("j")[:2] == ["breaker_open", "breaker/github"]
    assert engine.put("k", name="calm")[0] == "accepted"
