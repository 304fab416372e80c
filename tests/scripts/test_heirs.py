"""Nothing is taken from a holder for somebody who has lapsed, be it that no sweep has seen that yet."""

from __future__ import annotations

import pytest

from coordinator.wire import calls
from coordinator.wire.calls import Deed
from tests.support.engine import Engine

DEED = Deed("ann", "because", "c1")


def take(engine: Engine, verb: str, fence: int) -> list[object]:
    """From `r`, for `heir`."""
    if verb == "hand_over":
        return engine.call(calls.hand_over(engine.scope, "r", fence, "heir", DEED))
    return engine.call(calls.transfer(engine.scope, "r", "", "heir", DEED, verb))


@pytest.mark.parametrize("verb", ["transfer", "steal", "hand_over"])
@pytest.mark.parametrize("how", ["session", "wait"])
def test_whoever_has_lapsed_is_no_heir_and_the_holder_keeps_it(engine: Engine, verb: str, how: str) -> None:
    engine.open("s")
    engine.open("gone")
    fence = engine.hold("s", "r", "a")
    engine.ask("gone", "heir", "a", wait_ms=1000)
    if how == "session":
        engine.raw.zadd(engine.key("SESSIONS"), {"gone": 1})
    else:
        engine.advance(1.0)
    assert engine.state("heir") == "waiting", "no sweep has come by"
    with engine.unchanged():
        assert take(engine, verb, fence) == ["unfit", "lapsed"]
    assert (engine.state("r"), engine.holders("a")) == ("held", ["r"])
