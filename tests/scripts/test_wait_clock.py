"""How long a job waits for its start: the clock rests while a worker has it, and goes on if it comes back unbegun."""

from collections.abc import Callable

import pytest

from coordinator.wire import calls
from coordinator.wire.calls import Deed
from tests.support.engine import Engine, Job

Way = Callable[[Engine, Job], object]


def dies(engine: Engine, _: Job) -> None:
    engine.keep_alive(11, "other")
    engine.sweep_all()


WAYS: dict[str, Way] = {
    "given back": lambda engine, given: engine.report("w", given, "released"),
    "closed": lambda engine, _: engine.call(calls.close_session(engine.scope, "w")),
    "died": dies,
    "forced": lambda engine, given: engine.call(
        calls.force(engine.scope, given.ident, "", Deed("op", "so it must be", "c1"))
    ),
}


@pytest.fixture
def given(engine: Engine) -> Job:
    """A job that waits 30 s for its start, claimed by the session `w` after 5 s."""
    engine.worker("w")
    engine.worker("other")
    engine.put("j", wait_ms=30_000)
    engine.keep_alive(5, "w", "other")
    [job] = engine.claim("w")
    return job


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("needs", ["", "a"])
def test_what_comes_back_unbegun_waits_no_longer_than_it_was_to(engine: Engine, way: str, needs: str) -> None:
    engine.worker("w")
    engine.worker("other")
    engine.put("j", needs, wait_ms=30_000)
    [job] = engine.claim("w")
    WAYS[way](engine, job)
    assert engine.state("j") == "ready"
    engine.keep_alive(29 if way != "died" else 18, "other")
    engine.sweep_all()
    assert engine.state("j") == "ready"
    engine.keep_alive(2, "other")
    engine.sweep_all()
    assert (engine.state("j"), engine.field("j", "why")) == ("expired", "wait ran out")


def test_the_clock_rests_while_a_worker_has_it(engine: Engine, given: Job) -> None:
    engine.keep_alive(60, "w")
    engine.sweep_all()
    assert engine.state("j") == "running"
    assert engine.report("w", given, "succeeded") == ["ok", ""]


@pytest.mark.parametrize("way", WAYS)
def test_what_had_begun_waits_without_an_end(engine: Engine, given: Job, way: str) -> None:
    engine.beat("w", [("j", given.fence)])
    WAYS[way](engine, given)
    engine.keep_alive(60, "other")
    engine.sweep_all()
    assert engine.state("j") == "ready"


@pytest.mark.parametrize("outcome", ["retry", "snooze"])
def test_a_report_of_a_run_says_that_it_began(engine: Engine, given: Job, outcome: str) -> None:
    engine.report("w", given, outcome, 1000)
    engine.keep_alive(60, "other")
    engine.sweep_all()
    assert engine.state("j") == "ready"


def test_a_retry_at_once_that_is_then_given_back_had_begun(engine: Engine, given: Job) -> None:
    _, fence = engine.report("w", given, "retry")
    assert engine.settle("w", calls.Report("j", fence, "released")) == [["ok", ""]]
    engine.keep_alive(60, "other")
    engine.sweep_all()
    assert engine.state("j") == "ready"


def test_what_comes_back_too_late_is_given_to_nobody(engine: Engine, given: Job) -> None:
    engine.keep_alive(60, "w", "other")
    engine.report("w", given, "released")
    assert engine.claim("other") == []
    assert engine.state("j") == "expired"
