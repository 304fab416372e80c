"""Waits that the fleet has learnt are shorter where it is crowded, as the policy says; what a caller chose is not."""

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator.policy import shed
from coordinator.wire import calls
from coordinator.wire.calls import JobAsk
from tests.support.engine import Engine, job

LIMIT = 10
FEW = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
BEGINS = st.sampled_from((1, 5, 7, 8, 10))
WAITS = st.tuples(st.integers(1, 10**9), st.integers(1, 10**9)).map(lambda two: (max(two), min(two)))
LEARNT = {"wait_ms": 1000, "learnt": 1000, "least_ms": 300}


@pytest.fixture
def soft(engine: Engine) -> Engine:
    """Queues and lines of ten that begin to refuse at eight, and a session that holds `a`."""
    limits(engine, 8)
    engine.worker("s")
    engine.hold("s", "holder", "a")
    return engine


def limits(engine: Engine, begins: int) -> None:
    """The soft limit of queues and lines."""
    engine.rules(max_queue=LIMIT, max_line=LIMIT, shedding=1, shed_begin=begins * 100, shed_end=10)


def urgent(ident: str, needs: str = "", **words: int) -> JobAsk:
    """A job that shedding lets in."""
    return job(ident, needs, priority=3, **words)


def waits(engine: Engine, ident: str) -> int:
    """How many ms a request that came just now may wait."""
    return int(engine.field(ident, "wait_by") or 0) - engine.now


def expected(learnt: int, least: int, count: int, begins: int) -> int:
    return math.floor(shed.shrunk(learnt, least, shed.fill(count, begins, LIMIT)))


@FEW
@given(begins=BEGINS, wait=WAITS)
def test_the_script_shrinks_waits_in_a_queue_as_the_policy_does(
    soft: Engine, begins: int, wait: tuple[int, int]
) -> None:
    limits(soft, begins)
    soft.advance(1)
    queue, (learnt, least) = f"q{soft.now_us}", wait
    words = {"wait_ms": learnt, "learnt": learnt, "least_ms": least}
    soft.submit(*(urgent(f"{queue}-{n}", **words)._replace(queue=queue) for n in range(LIMIT)))
    for n in range(LIMIT):
        assert waits(soft, f"{queue}-{n}") == expected(learnt, least, n, begins)
        assert soft.field(f"{queue}-{n}", "learnt") == str(learnt)


@FEW
@given(begins=BEGINS, there=st.integers(0, LIMIT - 1), wait=WAITS)
def test_the_script_shrinks_waits_in_a_line_as_the_policy_does(
    soft: Engine, begins: int, there: int, wait: tuple[int, int]
) -> None:
    limits(soft, begins)
    soft.advance(1)
    soft.beat("s")
    name, (learnt, least) = f"r{soft.now_us}", wait
    soft.hold("s", f"{name}-holder", name)
    soft.submit(*(urgent(f"{name}-{n}", name)._replace(queue=name) for n in range(there)))
    left = expected(learnt, least, there, begins)
    told = ["waiting", f"{name}-lock", *([] if left == learnt else [str(left)])]
    for _ in ("first", "asked again it is told the same"):
        words = {"priority": 3, "wait_ms": learnt, "adaptive": True, "least_ms": least}
        assert soft.ask("s", f"{name}-lock", name, **words) == told
    assert waits(soft, f"{name}-lock") == left
    assert soft.field(f"{name}-lock", "learnt") == str(learnt)


def test_the_record_says_what_a_wait_was_shrunk_from_and_why(soft: Engine) -> None:
    soft.submit(*(urgent(f"j{n}", **LEARNT) for n in range(LIMIT)))
    soft.submit(*(urgent(f"d{n}", delay_ms=500, **LEARNT) for n in range(LIMIT)))
    shrunk = [soft.field(f"j{n}", "shrunk") for n in range(LIMIT)]
    assert shrunk == [None] * 9 + ["750 queue 9 10"]
    assert (soft.field("d9", "shrunk"), waits(soft, "d9")) == (None, 1500), "how full it will be then nobody knows"


def test_one_that_displaces_another_has_half_of_what_was_learnt(soft: Engine) -> None:
    soft.submit(job("n", priority=1), *(urgent(f"j{n}") for n in range(9)))
    soft.put("h", priority=4, **LEARNT)
    assert (soft.state("n"), soft.field("h", "shrunk")) == ("shed", "500 queue 10 10")


def test_of_several_the_fullest_counts(soft: Engine) -> None:
    soft.submit(*(urgent(f"j{n}", "a")._replace(queue="other") for n in range(9)))
    soft.submit(urgent("both", "b a", **LEARNT))
    assert soft.field("both", "shrunk") == "750 line 9 10"


def test_what_a_caller_chose_and_what_is_granted_stay_as_they_are(soft: Engine) -> None:
    soft.submit(*(urgent(f"j{n}", "a", wait_ms=1000) for n in range(9)))
    assert waits(soft, "j8") == 1000
    assert soft.ask("s", "mine", "a", priority=3, wait_ms=1000) == ["waiting", "mine"]
    assert (waits(soft, "mine"), soft.field("mine", "shrunk")) == (1000, None)
    soft.hold("s", "free", "b", wait_ms=1000, adaptive=True, least_ms=300)
    assert soft.field("free", "shrunk") is None


def test_without_shedding_nothing_shrinks(engine: Engine) -> None:
    engine.rules(max_queue=2, max_line=2)
    engine.submit(*(urgent(f"j{n}", "a", **LEARNT) for n in range(2)))
    assert [waits(engine, f"j{n}") for n in range(2)] == [1000, 1000]


@pytest.mark.parametrize("there", [3, 8])
def test_up_to_the_soft_limit_it_takes_no_command_more(soft: Engine, there: int) -> None:
    soft.submit(*(urgent(f"j{n}", "a") for n in range(there)))

    def commands(ident: str, **words: int) -> dict[str, int]:
        soft.raw.config_resetstat()
        soft.submit(urgent(ident, "a", wait_ms=1000, learnt=1000, **words))
        found = {name: one["calls"] for name, one in soft.raw.info("commandstats").items()}
        soft.cancel(ident)
        soft.raw.delete(soft.key("REQ", ident))
        return found

    commands("warm")
    assert commands("plain") == commands("told", least_ms=300)


def test_what_is_replayed_waits_without_end_and_says_so(soft: Engine) -> None:
    soft.submit(*(urgent(f"j{n}") for n in range(9)), job("late", priority=4, **LEARNT))
    [given] = soft.claim("s")
    assert (given.ident, soft.field("late", "shrunk")) == ("late", "750 queue 9 10")
    soft.report("s", given, "failed")
    soft.call(calls.replay(soft.scope, "late", "c"))
    assert [soft.field("late", one) for one in ("wait_by", "learnt", "shrunk")] == [None] * 3
