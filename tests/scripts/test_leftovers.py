"""What one script leaves to the next, so that none is at work for long."""

import pytest

from coordinator.wire import calls
from tests.support.engine import Engine, job

WALK = 128


def crowd(engine: Engine, count: int) -> int:
    """A lock that is held, and so many who wait to share it; its fence."""
    engine.rules(max_line=1000)
    engine.open("s")
    fence = engine.hold("s", "h", "a")
    for n in range(count):
        assert engine.ask("s", f"r{n}", "s1:a")[0] == "waiting"
    engine.inbox("s")
    return fence


def test_a_release_grants_so_many_and_the_next_call_the_next(engine: Engine) -> None:
    engine.release("h", crowd(engine, 2 * WALK + 10))
    assert len(engine.holders("a")) == WALK
    assert engine.inbox("s")[-1] == "left"
    engine.release("r0", engine.field("r0", "fence") or "")
    assert len(engine.holders("a")) == 2 * WALK - 1
    assert engine.inbox("s")[-1] == "left"
    engine.beat("s")
    assert len(engine.holders("a")) == 2 * WALK + 9
    assert "left" not in engine.inbox("s")
    assert engine.raw.hget(engine.key("META"), "left") is None


def test_a_beat_goes_on_at_once_while_something_is_left(engine: Engine) -> None:
    engine.release("h", crowd(engine, 3 * WALK))
    assert engine.beat("s")[3] == -1
    assert len(engine.holders("a")) == 2 * WALK


def test_what_reads_only_leaves_the_mark(engine: Engine) -> None:
    engine.release("h", crowd(engine, WALK + 1))
    engine.call(calls.explain(engine.scope, "r0", 0))
    assert engine.raw.hget(engine.key("META"), "left") == b"1"


def test_a_refused_submission_that_takes_up_what_was_left_keeps_the_fences_growing(engine: Engine) -> None:
    engine.release("h", crowd(engine, WALK + 5))
    engine.rules(max_queue=0)
    assert engine.call(calls.submit(engine.scope, 1000, [job("j")]), writes=True)[1][1] == "queue_full"
    assert len(engine.holders("a")) == WALK + 5
    newest = max(int(engine.field(f"r{n}", "fence") or 0) for n in range(WALK + 5))
    assert int(engine.raw.hget(engine.key("META"), "tick") or 0) >= newest


def test_whoever_comes_while_a_line_is_half_walked_stands_behind_it(engine: Engine) -> None:
    engine.release("h", crowd(engine, WALK + 5))
    engine.ask("s", "exclusive", "a")
    assert engine.state("exclusive") == "waiting"
    assert len(engine.holders("a")) == WALK + 5


@pytest.mark.parametrize("holders", [10, 100])
def test_a_resource_that_many_share_takes_another_and_no_exclusive_one(engine: Engine, holders: int) -> None:
    engine.open("s")
    for n in range(holders):
        engine.hold("s", f"h{n}", "s1:a")
    assert engine.ask("s", "one more", "s1:a")[0] == "granted"
    assert engine.ask("s", "alone", "a")[0] == "waiting"
