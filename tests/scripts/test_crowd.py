"""Lines that fill up: who is still let in, and when that ends."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator.policy import shed
from coordinator.policy.shed import Shedding
from coordinator.wire import calls
from tests.scripts.reach import reaches
from tests.support.engine import Engine, job

LIMIT = 10


@pytest.fixture
def held(engine: Engine) -> Engine:
    """A resource that is held, and whose line takes ten: LOW up to 8, again below 7, NORMAL up to 9, again below 8."""
    engine.rules(max_line=LIMIT, max_queue=10**6, shedding=1, shed_begin=800, shed_end=700)
    engine.worker("s")
    engine.hold("s", "holder", "a")
    return engine


@reaches("request", "line_overloaded")
def test_low_is_refused_first_then_normal_and_at_the_limit_the_last_of_them_goes(held: Engine) -> None:
    held.submit(*(job(f"j{n}", "a") for n in range(8)))
    held.keep_alive(10.001, "s")
    assert held.ask("s", "low", "a", priority=0) == ["line_overloaded", "a", 8, LIMIT, 7, 10_000, 8]
    assert held.ask("s", "n8", "a")[0] == "waiting"
    assert held.ask("s", "n9", "a") == ["line_overloaded", "a", 9, LIMIT, 8, 10_000, 9]
    assert held.ask("s", "h9", "a", priority=2)[0] == "waiting"
    assert held.ask("s", "h10", "a", priority=2)[0] == "waiting"
    assert (held.state("n8"), held.inbox("s")) == ("shed", [f"ended n8 shed 10 {LIMIT} 8 10000 9 a"])
    assert held.ask("s", "n8", "a") == ["ended", "n8", "shed", f"10 {LIMIT} 8 10000 9 a"]
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
    ranks: dict[str, tuple[int, int]] = {}
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
        lesser = [one for one in there if ranks[one][0] < priority]
        full = count >= LIMIT and not lesser
        assert word == ("line_overloaded" if refused else "line_full" if full else "accepted")
        if word == "accepted" and count >= LIMIT:
            last = min(lesser, key=lambda one: (ranks[one][0], -ranks[one][1]))
            there.remove(last)
            assert (held.state(last), held.field(last, "by")) == ("shed", ident)
        if word == "accepted":
            there.append(ident)
            ranks[ident] = (priority, number)
            before = shed.level(level, count + 1, bands)
        assert sorted(held.line(resource)) == sorted(there)


def fill(engine: Engine, resource: str, *priorities: int) -> None:
    """A full line, in which the last are the least urgent."""
    engine.hold("s", f"holder-{resource}", resource)
    for number, priority in enumerate(priorities):
        assert engine.put(f"{resource}{number}", resource, priority=priority)[0] == "accepted"


def test_who_is_pushed_out_leaves_all_its_lines_and_its_queue(held: Engine) -> None:
    fill(held, "b", 2, 2, 2, 2, 2, 2, 2, 2, 2)
    held.hold("s", "holder-c", "c")
    held.ask("s", "both", "b c", priority=2)
    assert held.ask("s", "urgent", "b", priority=4)[0] == "waiting"
    assert (held.state("both"), held.line("c"), len(held.line("b"))) == ("shed", [], LIMIT)
    assert held.put("urgent2", "b", priority=3)[0] == "accepted"
    assert held.state("b8") == "shed"
    assert held.raw.zscore(held.key("WAITING", "default"), "b8") is None
    assert held.payload("b8") is None


def test_one_that_needs_several_full_lines_pushes_one_out_of_each_or_none(held: Engine) -> None:
    fill(held, "b", *[2] * LIMIT)
    fill(held, "c", *[3] * LIMIT)
    assert held.put("none", "b c", priority=3) == ["line_full", "c", LIMIT]
    assert len(held.line("b")) == len(held.line("c")) == LIMIT
    assert held.put("urgent", "b c", priority=4)[0] == "accepted"
    assert [held.state(one) for one in ("b9", "c9")] == ["shed", "shed"]
    assert held.put("later", "b", priority=0, delay_ms=10)[0] == "accepted"


def test_one_that_goes_from_its_queue_and_its_line_goes_once(held: Engine) -> None:
    held.rules(max_queue=LIMIT)
    fill(held, "b", *[2] * LIMIT)
    assert held.put("urgent", "b", priority=4)[0] == "accepted"
    assert (held.state("b9"), len(held.line("b"))) == ("shed", LIMIT)
    answers = held.submit(*(job(f"u{n}", "b", priority=4) for n in range(2)), job("high", priority=2))
    assert [one[0] for one in answers] == ["accepted", "accepted", "queue_full"]


def test_a_try_and_who_does_not_have_to_wait_push_nobody_out(held: Engine) -> None:
    fill(held, "b", *[2] * LIMIT)
    assert held.ask("s", "tries", "b", priority=4, trying=True)[0] == "busy"
    assert len(held.line("b")) == LIMIT


def test_who_waits_for_a_displaced_job_hears_of_the_line(held: Engine) -> None:
    fill(held, "b", *[2] * LIMIT)
    held.put("urgent", "b", priority=4)
    said = held.call(calls.watch(held.scope, "b9", ""))
    assert said[:3] == ["final", "shed", "displaced by a more urgent request"]
    assert said[3].split()[-2:] == ["default", "b"]
