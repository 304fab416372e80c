"""Barriers, step by step: whoever does not get through has left."""

import pytest

from coordinator.errors import StoreUnavailable, UnknownOutcome, WaitTimeout
from coordinator.ops import gathering
from coordinator.wire import calls
from coordinator.wire.calls import Scope
from coordinator.wire.step import Abandon, Expect, Forget, Now, Session, Wait
from tests.support.engine import TERMS
from tests.unit.hand import Hand

pytestmark = pytest.mark.no_redis

SCOPE = Scope.of("n", TERMS)
BARRIER = gathering.gathering("barrier", "phase", 2, 60)
LATER = Abandon("me", calls.gather(SCOPE, BARRIER, "leave", "", "me", ""))
AWAY = StoreUnavailable("away")


def meeting(seconds: float = 5) -> Hand:
    hand = Hand(gathering.meet(SCOPE, BARRIER, "me", seconds))
    hand.expects(Expect(BARRIER.ident, own=True), "1")
    hand.expects(Now, 0.0)
    hand.expects(Session, ("s", 100.0))
    return hand


@pytest.mark.parametrize("error", [AWAY, UnknownOutcome("sent")], ids=repr)
def test_whose_coming_met_an_outage_leaves_later(error: Exception) -> None:
    hand = meeting()
    hand.expects("gather", error)
    hand.expects(Forget(BARRIER.ident, "1"))
    hand.expects(LATER)
    hand.raises(type(error))


@pytest.mark.parametrize("leaves", [AWAY, KeyboardInterrupt()], ids=repr)
def test_who_is_interrupted_and_cannot_leave_leaves_later(leaves: BaseException) -> None:
    hand = meeting()
    hand.expects("gather", [b"shut", b"0", b"1"])
    hand.expects(Now, 0.0)
    hand.expects(Wait, KeyboardInterrupt())
    hand.expects(Forget(BARRIER.ident, "1"))
    hand.expects("gather", leaves)
    hand.expects(LATER)
    hand.raises(KeyboardInterrupt)


@pytest.mark.parametrize(("said", "which"), [(b"1", 1), (b"", gathering.UNKNOWN), (b"session-1", gathering.UNKNOWN)])
def test_who_comes_is_told_which_it_is_also_as_it_leaves(said: bytes, which: int) -> None:
    hand = meeting(0)
    hand.expects("gather", [b"shut", b"0", b"1"])
    hand.expects(Now, 0.0)
    hand.expects(Forget(BARRIER.ident, "1"))
    hand.expects("gather", [b"open", b"0", said])
    assert hand.returns() == which


@pytest.mark.parametrize(("leaves", "kind"), [(AWAY, StoreUnavailable), ([b"shut", b"0", b"0"], WaitTimeout)])
def test_whose_time_ran_out_has_left_or_leaves_later(leaves: object, kind: type[Exception]) -> None:
    hand = meeting(0)
    hand.expects("gather", [b"shut", b"0", b"1"])
    hand.expects(Now, 0.0)
    hand.expects(Forget(BARRIER.ident, "1"))
    hand.expects("gather", leaves)
    if leaves is AWAY:
        hand.expects(LATER)
    hand.raises(kind)
