"""Less urgent holders are asked to yield, where the request says so, which costs nobody else anything."""

import pytest

from coordinator.wire import calls
from coordinator.wire.calls import Deed
from tests.support.engine import Engine

LOW, NORMAL, HIGH = range(3)


def asked(engine: Engine, session: str = "s") -> list[str]:
    """Who was asked to yield since the last look."""
    return [one for one in engine.inbox(session) if one.startswith("yield ")]


def events(engine: Engine) -> list[tuple[str, str]]:
    found = [fields for _, fields in engine.raw.xrange(engine.key("EVENTS"))]
    return [(one[b"id"].decode(), one[b"to"].decode()) for one in found if one[b"event"] == b"yield"]


@pytest.mark.parametrize(("held", "wanted", "told"), [(LOW, NORMAL, True), (NORMAL, NORMAL, False), (HIGH, LOW, False)])
def test_only_a_less_urgent_holder_is_asked(engine: Engine, held: int, wanted: int, told: bool) -> None:
    engine.open("s")
    engine.open("t")
    fence = engine.hold("s", "r", "a", priority=held)
    assert engine.ask("t", "u", "a", priority=wanted, preempt="ask") == ["waiting", "u"]
    assert asked(engine) == ([f"yield r {fence} -"] if told else [])
    assert events(engine) == ([("r", "u")] if told else [])
    assert engine.field("r", "yield") == (f"{fence} u" if told else None)
    assert (engine.state("r"), engine.state("u")) == ("held", "waiting"), "nothing is taken from anybody"
    engine.release("r", fence)
    assert engine.state("u") == "held"


def test_who_does_not_ask_for_it_costs_nothing(engine: Engine) -> None:
    engine.open("s")
    engine.hold("s", "r", "a", priority=LOW)

    def looks() -> int:
        return int(engine.raw.info("commandstats").get("cmdstat_hrandfield", {"calls": 0})["calls"])

    before = looks()
    engine.ask("s", "plain", "a", priority=HIGH)
    engine.call(calls.reprioritise(engine.scope, "plain", HIGH + 1))
    assert (asked(engine), engine.raw.exists(engine.key("PREEMPTS")), looks()) == ([], 0, before)
    engine.ask("s", "asks", "a", priority=HIGH, preempt="ask")
    assert looks() == before + 1


def test_those_who_share_with_it_or_whose_permits_it_does_not_take_are_left_alone(engine: Engine) -> None:
    engine.open("s")
    engine.call(calls.define(engine.scope, "c", Deed("op", "test", "c"), {"capacity": 4}))
    engine.hold("s", "old", "x2:c", priority=LOW)
    young = engine.hold("s", "young", "x2:c", priority=LOW)
    engine.ask("s", "u", "x2:c", priority=HIGH, preempt="ask")
    assert asked(engine) == [f"yield young {young} -"]
    engine.hold("s", "reader", "s1:a", priority=LOW)
    engine.ask("s", "writer", "x1:a", priority=NORMAL)
    engine.ask("s", "second", "s1:a", priority=LOW + 1, preempt="ask")
    assert asked(engine) == []


def test_a_request_that_becomes_more_urgent_asks_then(engine: Engine) -> None:
    engine.open("s")
    fence = engine.hold("s", "r", "a", priority=NORMAL)
    engine.ask("s", "u", "a", priority=NORMAL, preempt="ask")
    engine.call(calls.reprioritise(engine.scope, "u", HIGH))
    assert asked(engine) == [f"yield r {fence} -"]


def test_a_request_that_ages_asks_and_sweeps_ask_again_until_it_waits_no_longer(engine: Engine) -> None:
    engine.open("s")
    fence = engine.hold("s", "r", "a", priority=NORMAL)
    engine.ask("s", "u", "a", priority=NORMAL, preempt="ask")
    engine.keep_alive(59, "s")
    engine.sweep_all()
    assert asked(engine) == []
    for _ in range(2):
        engine.keep_alive(6, "s")
        engine.sweep_all()
        assert asked(engine) == [f"yield r {fence} -"], "a message may have been lost"
    assert events(engine) == [("r", "u")]
    engine.cancel("u")
    engine.keep_alive(6, "s")
    engine.sweep_all()
    assert (asked(engine), engine.raw.exists(engine.key("PREEMPTS"))) == ([], 0)


def test_nobody_is_asked_to_yield_for_one_who_is_kept_from_it_by_a_freeze_until_it_is_thawed(engine: Engine) -> None:
    engine.open("s")
    fence = engine.hold("s", "r", "p/a", priority=LOW)
    engine.call(calls.freeze(engine.scope, "p/**", 60_000, Deed("op", "test", "c")))
    engine.ask("s", "u", "p/a", priority=HIGH, preempt="ask")
    engine.keep_alive(6, "s")
    engine.sweep_all()
    assert asked(engine) == []
    engine.call(calls.thaw(engine.scope, "p/**", Deed("op", "test", "d")))
    engine.keep_alive(1.1, "s")
    engine.sweep_all()
    assert asked(engine) == [f"yield r {fence} -"]


@pytest.mark.parametrize("kind", ["lock", "job"])
def test_a_running_job_is_told_its_time_of_grace(engine: Engine, kind: str) -> None:
    engine.worker("w")
    engine.put("j", "a", priority=LOW)
    [given] = engine.claim("w")
    engine.inbox("w")
    if kind == "lock":
        engine.ask("w", "u", "a", priority=HIGH, preempt="cancel 5000")
    else:
        engine.put("u", "a", priority=HIGH, preempt="cancel 5000")
    assert asked(engine, "w") == [f"yield j {given.fence} 5000"]
    engine.report("w", given, "released")
    assert (engine.state("j"), int(engine.field("j", "attempts") or 0)) == ("waiting", 0)
    assert engine.state("u") == ("held" if kind == "lock" else "ready")


@pytest.mark.parametrize(("held", "wanted"), [("x/y", "x/**"), ("x/**", "x/y"), ("x/y/**", "x/**")])
def test_holders_above_and_below_are_asked_too(engine: Engine, held: str, wanted: str) -> None:
    engine.open("s")
    fence = engine.hold("s", "r", held, priority=LOW)
    engine.hold("s", "other", "z", priority=LOW)
    engine.ask("s", "u", wanted, priority=HIGH, preempt="ask")
    assert asked(engine) == [f"yield r {fence} -"]
    engine.release("r", fence)
    assert engine.state("u") == "held"
