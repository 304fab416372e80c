"""Lines that fill up: who is still let in, and when that ends."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator.policy import shed
from coordinator.policy.shed import Shedding
from tests.scripts.reach import reaches
from tests.support.engine import Engine, job

LIMIT = 10


@pytest.fixture
def held(engine: Engine) -> Engine:
    """A resource that is held, and whose line takes ten: LOW up to 8, again below 7, NORMAL up to 9, again below 8."""
    engine.rules(max_line=LIMIT, shedding=1, shed_begin=800, shed_end=700)
    engine.worker("s")
    engine.hold("s", "holder", "a")
    return engine


@reaches("request", "line_overloaded")
def test_low_is_refused_first_then_normal_and_the_limit_is_for_all(held: Engine) -> None:
    held.submit(*(job(f"j{n}", "a") for n in range(8)))
    held.keep_alive(10.001, "s")
    assert held.ask("s", "low", "a", priority=0) == ["line_overloaded", "a", 8, LIMIT, 7, 10_000, 8]
    assert held.ask("s", "n8", "a")[0] == "waiting"
    assert held.ask("s", "n9", "a") == ["line_overloaded", "a", 9, LIMIT, 8, 10_000, 9]
    assert held.ask("s", "h9", "a", priority=2)[0] == "waiting"
    assert held.ask("s", "e10", "a", priority=4) == ["line_full", "a", LIMIT]
    assert held.ask("s", "free", "b", priority=0)[0] == "granted"
    assert held.ask("s", "tries", "a", priority=0, trying=True)[0] == "busy"


@reaches("submit", "line_overloaded")
def test_a_job_that_needs_several_is_refused_by_any_of_them(held: Engine) -> None:
    held.submit(*(job(f"j{n}", "a") for n in range(8)))
    assert held.put("low", "b a", priority=0)[:2] == ["line_overloaded", "a"]
    assert held.put("later", "b a", priority=0, delay_ms=1000)[0] == "accepted"
    assert held.line("b") == []


def test_refusing_ends_further_down_than_it_begins_and_is_told(held: Engine) -> None:
    held.submit(*(job(f"j{n}", "a") for n in range(8)))
    assert held.raw.get(held.key("CROWDED", "a")) == b"1"
    held.cancel("j7")
    assert held.put("low", "a", priority=0)[0] == "line_overloaded"
    held.cancel("j6")
    assert held.put("low", "a", priority=0)[0] == "accepted"
    assert not held.raw.exists(held.key("CROWDED", "a"))
    told = [one for _, one in held.raw.xrange(held.key("EVENTS")) if one[b"event"] == b"overload"]
    assert [(one[b"kind"], one[b"level"]) for one in told] == [(b"line", b"1"), (b"line", b"0")]


def test_without_shedding_only_the_limit_counts(engine: Engine) -> None:
    engine.rules(max_line=2)
    engine.worker("s")
    engine.hold("s", "holder", "a")
    assert engine.put("j1", "a", priority=0)[0] == "accepted"
    assert engine.put("j2", "a", priority=0)[0] == "accepted"
    assert engine.put("j3", "a", priority=4)[0] == "line_full"


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.integers(-2, 4), min_size=8, max_size=30))
def test_the_scripts_decide_as_the_policy_does(held: Engine, steps: list[int]) -> None:
    """Below 0: the last that came goes."""
    resource, bands, before, there = f"r{held.now_us}", Shedding().bands(LIMIT), 0, list[str]()
    held.advance(1)
    held.hold("s", f"holder-{resource}", resource)
    for number, priority in enumerate(steps):
        if priority < 0:
            if there:
                held.cancel(there.pop())
            continue
        count, ident = len(there), f"{resource}-{number}"
        level = shed.level(before, count, bands)
        word = held.put(ident, resource, priority=priority)[0]
        refused = shed.refuses(level, priority)
        assert word == ("line_full" if count >= LIMIT else "line_overloaded" if refused else "accepted")
        if word == "accepted":
            there.append(ident)
            before = shed.level(level, count + 1, bands)
