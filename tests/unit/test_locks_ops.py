"""The waiting for locks, fed by hand: no Redis, no thread, no clock."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from coordinator.drivers.messages import Postman
from coordinator.errors import (
    LeaseLost,
    LineFull,
    ProtocolError,
    SessionLost,
    StoreUnavailable,
    UnknownOutcome,
    WaitCancelled,
    WaitTimeout,
)
from coordinator.model.lease import Grant
from coordinator.ops import locks
from coordinator.policy.trust import trusted_until
from coordinator.wire.calls import LockAsk, Scope
from coordinator.wire.step import Abandon, Call, Expect, Forget, Hear, Now, Session, Wait
from tests.support.engine import TERMS
from tests.unit.hand import Hand

SCOPE = Scope.of("n", TERMS)
ASKED = LockAsk("r", 1, "x1:a", trying=False, wait_ms=5000, hold_ms=60_000)
TRYING = LockAsk("r", 1, "x1:a", trying=True, wait_ms=None, hold_ms=60_000)
GRANTED = [b"granted", b"r", b"77", b"60000"]
WAITING = [b"waiting", b"r"]
OUTAGE = StoreUnavailable("away")


def asked(operation: Hand, answer: object, now: float = 100.0) -> None:
    """One look at the server."""
    operation.expects(Session(), ("s", now))
    operation.expects("request", answer)


def in_line(seconds: float | None = 5.0) -> Hand:
    """An operation that stands in line since 100.0 and is about to wait."""
    hand = Hand(locks.acquire(SCOPE, ASKED, seconds))
    hand.expects(Expect("r"))
    asked(hand, WAITING)
    hand.expects(Now(), 100.0)
    return hand


def test_a_free_lock_is_one_call_and_trusted_from_when_it_was_sent() -> None:
    hand = Hand(locks.acquire(SCOPE, ASKED, 5))
    hand.expects(Expect("r"))
    asked(hand, GRANTED, 100.0)
    assert hand.returns() == Grant("r", 77, trusted_until(100, 60), "s")


def test_a_try_that_fails_keeps_no_messages() -> None:
    hand = Hand(locks.acquire(SCOPE, TRYING, None))
    hand.expects(Expect("r"))
    asked(hand, [b"busy", b"a"])
    hand.expects(Forget("r"))
    assert hand.returns() is None


def test_the_message_of_a_grant_is_enough_and_its_lease_counted_from_the_request() -> None:
    hand = in_line()
    hand.expects(Wait("r", 5.0), ("granted", "r", "77", "60000"))
    hand.expects(Session(), ("s", 120.0))
    assert hand.returns() == Grant("r", 77, trusted_until(100, 60), "s")


@pytest.mark.parametrize(
    ("now", "session", "words"),
    [
        (130.0, "s", ("granted", "r", "77", "60000")),
        (120.0, "s2", ("granted", "r", "77", "60000")),
        (None, "", ("granted", "r")),
    ],
    ids=["much of the lease may be gone", "another session", "not all of it"],
)
def test_a_message_that_cannot_be_trusted_is_confirmed(now: float | None, session: str, words: Any) -> None:
    hand = in_line()
    hand.expects(Wait("r", 5.0), words)
    if session:
        hand.expects(Session(), (session, now))
    asked(hand, [b"granted", b"r", b"77", b"50000"], 132.0)
    assert hand.returns() == Grant("r", 77, trusted_until(132, 50), "s")


def test_after_lost_messages_the_truth_is_looked_at_and_the_rest_of_the_wait_goes_on() -> None:
    hand = in_line()
    hand.expects(Wait("r", 5.0), ("resync",))
    asked(hand, WAITING, 102.0)
    hand.expects(Expect("r"))
    hand.expects(Now(), 102.0)
    hand.expects(Wait("r", 3.0), ("resync",))
    asked(hand, GRANTED, 104.0)
    assert hand.returns().fence == 77


@pytest.mark.parametrize("words", [("resync",), ("granted", "r", "77", "60000")], ids=" ".join)
def test_who_could_not_look_finds_a_message_to_look_again_when_waiting_anew(words: tuple[str, ...]) -> None:
    kept: list[tuple[str, ...]] = []
    postman = Postman(lambda *_lost: None)
    postman.keep("r", SimpleNamespace(put=kept.append), False)
    hand = Hand(locks.await_grant(SCOPE, ASKED, 5.0))
    hand.expects(Now(), 100.0)
    hand.expects(Wait("r", 5.0), words)
    asked(hand, OUTAGE)
    heard = hand.expects(Hear)
    assert isinstance(heard, Hear)
    postman.hand_out(heard.message)
    hand.raises(StoreUnavailable)
    assert len(kept) == 1, "a message that is for nobody would be none"
    again = Hand(locks.await_grant(SCOPE, ASKED, 5.0))
    again.expects(Now(), 101.0)
    again.expects(Wait("r", 5.0), kept[0])
    asked(again, GRANTED, 102.0)
    assert again.returns().fence == 77


def test_a_wait_that_runs_out_leaves_the_lines() -> None:
    hand = in_line()
    hand.expects(Wait("r", 5.0), None)
    call = hand.expects("cancel", [b"ok", b"expired"])
    assert isinstance(call, Call)
    assert call.args[1:3] == ("r", "expire")
    while not hand.over:
        hand.expects(Forget("r"))
    assert hand.raises(WaitTimeout).ident == "r"


def test_a_grant_at_the_very_last_moment_is_taken() -> None:
    hand = in_line()
    hand.expects(Wait("r", 5.0), None)
    hand.expects("cancel", [b"held", b"77", b"60000"])
    asked(hand, GRANTED, 105.0)
    assert hand.returns().fence == 77


def test_a_wait_without_end_waits_without_end() -> None:
    hand = in_line(None)
    hand.expects(Wait("r", None), ("resync",))
    asked(hand, WAITING)
    hand.expects(Expect("r"))
    hand.expects(Now(), 10**6)
    hand.expects(Wait("r", None), ("ended", "r", "cancelled"))
    hand.expects(Forget("r"))
    hand.raises(WaitCancelled)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), GeneratorExit("task")])
def test_an_interrupted_wait_withdraws_its_request(interruption: BaseException) -> None:
    hand = in_line()
    hand.expects(Wait, interruption)
    hand.expects(Forget("r"))
    call = hand.expects("cancel", [b"ok", b"cancelled"])
    assert isinstance(call, Call)
    assert call.args[1:3] == ("r", "cancel")
    hand.raises(type(interruption))


def test_an_interrupted_wait_gives_back_what_was_granted_meanwhile() -> None:
    hand = in_line()
    hand.expects(Wait, KeyboardInterrupt())
    hand.expects(Forget("r"))
    hand.expects("cancel", [b"held", b"77", b"60000"])
    call = hand.expects("release", [b"ok"])
    assert isinstance(call, Call)
    assert call.args[1:] == ("r", 77)
    hand.raises(KeyboardInterrupt)


def test_an_interruption_of_the_first_call_withdraws_too() -> None:
    hand = Hand(locks.acquire(SCOPE, ASKED, 5))
    hand.expects(Expect("r"))
    asked(hand, KeyboardInterrupt())
    hand.expects(Forget("r"))
    hand.expects("cancel", [b"ok", b"cancelled"])
    hand.raises(KeyboardInterrupt)


@pytest.mark.parametrize("answered", ["cancel", "release"])
def test_an_interruption_of_the_withdrawal_leaves_it_to_the_driver(answered: str) -> None:
    hand = in_line()
    hand.expects(Wait, asyncio.CancelledError())
    hand.expects(Forget("r"))
    if answered == "release":
        hand.expects("cancel", [b"held", b"77", b"60000"])
    hand.expects(answered, asyncio.CancelledError())
    hand.expects(Abandon("r"))
    hand.raises(asyncio.CancelledError)


def test_a_request_that_may_still_be_on_its_way_is_withdrawn_once_more() -> None:
    hand = Hand(locks.acquire(SCOPE, ASKED, 5))
    hand.expects(Expect("r"))
    asked(hand, asyncio.CancelledError())
    hand.expects(Forget("r"))
    hand.expects("cancel", [b"gone"])
    hand.expects(Abandon("r"))
    hand.raises(asyncio.CancelledError)


@pytest.mark.parametrize("error", [OUTAGE, UnknownOutcome("the connection broke")])
def test_who_met_an_outage_does_not_wait_as_long_again_for_what_is_to_be_taken_back(error: BaseException) -> None:
    hand = Hand(locks.acquire(SCOPE, ASKED, 5))
    hand.expects(Expect("r"))
    asked(hand, error)
    hand.expects(Forget("r"))
    hand.expects(Abandon("r"))
    hand.raises(type(error))


def test_what_cannot_be_withdrawn_now_is_withdrawn_later() -> None:
    hand = in_line()
    hand.expects(Wait, KeyboardInterrupt())
    hand.expects(Forget("r"))
    hand.expects("cancel", OUTAGE)
    hand.expects(Abandon("r"))
    hand.raises(KeyboardInterrupt)


@pytest.mark.parametrize("error", [OUTAGE, KeyboardInterrupt()])
def test_a_wait_that_runs_out_while_the_store_is_away_leaves_nothing_behind(error: BaseException) -> None:
    """Without the cleanup the request would be granted to nobody, for as long as the process lives."""
    hand = in_line()
    hand.expects(Wait, None)
    hand.expects("cancel", error)
    hand.expects(Forget("r"))
    if error is not OUTAGE:
        hand.expects("cancel", OUTAGE)
    hand.expects(Abandon("r"))
    hand.raises(type(error))


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (("session_lost",), WaitCancelled),
        (("session_lost", "s"), WaitCancelled),
        (("ended", "r", "cancelled"), WaitCancelled),
        (("ended", "r", "lost"), WaitCancelled),
        (("ended", "r", "expired"), WaitTimeout),
    ],
)
def test_a_request_that_ends_otherwise_ends_the_wait(words: tuple[str, ...], kind: type[Exception]) -> None:
    hand = in_line()
    hand.expects(Wait, words)
    hand.expects(Forget("r"))
    hand.raises(kind)


def test_a_session_before_that_is_told_late_to_be_lost_ends_no_wait() -> None:
    hand = in_line()
    hand.expects(Wait("r", 5.0), ("session_lost", "before"))
    asked(hand, WAITING, 101.0)
    hand.expects(Expect("r"))
    hand.expects(Now(), 101.0)
    hand.expects(Wait("r", 4.0), ("granted", "r", "77", "60000"))
    hand.expects(Session(), ("s", 102.0))
    assert hand.returns().fence == 77


@pytest.mark.parametrize(
    ("record", "looks"), [([b"final", b"cancelled"], True), ([b"pending"], True), ([b"gone"], False)]
)
def test_what_was_forgotten_is_looked_at_and_never_asked_for_anew(record: list[bytes], looks: bool) -> None:
    hand = Hand(locks.await_grant(SCOPE, ASKED, 5.0))
    hand.expects(Now(), 100.0)
    hand.expects(Wait("r", 5.0), ("forgotten",))
    hand.expects("watch", record)
    if looks:
        asked(hand, [b"ended", b"r", b"cancelled", b""])
        hand.expects(Hear)
    assert hand.raises(WaitCancelled).state == ("cancelled" if looks else "over")


def test_a_lapsed_session_is_replaced_and_the_call_repeated() -> None:
    hand = Hand(locks.acquire(SCOPE, ASKED, 5))
    hand.expects(Expect("r"))
    asked(hand, [b"session_lost"])
    hand.expects(Session(lost="s"), ("s2", 101.0))
    call = hand.expects("request", GRANTED)
    assert isinstance(call, Call)
    assert call.args[1] == "s2"
    assert hand.returns() == Grant("r", 77, trusted_until(101, 60), "s2")


def test_a_server_that_lapses_every_session_is_not_asked_for_ever() -> None:
    hand = Hand(locks.ask(SCOPE, ASKED))
    hand.expects(Expect("r"))
    asked(hand, [b"session_lost"])
    for n in range(locks.SESSION_TRIES):
        hand.expects(Session, (f"s{n}", 101.0))
        if n < locks.SESSION_TRIES - 1:
            hand.expects("request", [b"session_lost"])
    hand.expects(Forget("r"))
    hand.expects("cancel", [b"gone"])
    hand.raises(SessionLost)


def test_a_refusal_is_raised_and_nothing_kept() -> None:
    hand = Hand(locks.acquire(SCOPE, ASKED, 5))
    hand.expects(Expect("r"))
    asked(hand, [b"line_full", b"a%20b", 7])
    hand.expects(Forget("r"))
    hand.expects("cancel", [b"gone"])
    assert hand.raises(LineFull).resource == "a b"


def test_an_answer_nobody_knows_is_our_fault() -> None:
    hand = Hand(locks.acquire(SCOPE, ASKED, 5))
    hand.expects(Expect("r"))
    asked(hand, [b"nonsense"])
    hand.expects(Forget("r"))
    hand.expects("cancel", [b"gone"])
    hand.raises(ProtocolError)


@pytest.mark.parametrize(("reply", "why"), [([b"lost", b"lost"], "lost"), ([b"gone"], "its record has expired")])
def test_releasing_what_is_no_longer_ours_says_so(reply: list[bytes], why: str) -> None:
    hand = Hand(locks.release(SCOPE, "r", 77))
    hand.expects("release", reply)
    hand.expects(Forget("r"))
    assert hand.raises(LeaseLost).why == why
    hand = Hand(locks.extend(SCOPE, "r", 77, 1000))
    hand.expects(Now(), 5.0)
    hand.expects("extend", reply)
    assert hand.raises(LeaseLost).why == why


def test_an_extended_lease_is_trusted_from_when_it_was_sent() -> None:
    hand = Hand(locks.extend(SCOPE, "r", 77, 10_000))
    hand.expects(Now(), 5.0)
    hand.expects("extend", [b"ok", b"10000"])
    assert hand.returns() == pytest.approx(14.0)


def test_releasing_forgets_the_messages() -> None:
    hand = Hand(locks.release(SCOPE, "r", 77))
    hand.expects("release", [b"ok"])
    hand.expects(Forget("r"))
    assert hand.returns() is None


@pytest.mark.parametrize("error", [OUTAGE, UnknownOutcome("sent"), KeyboardInterrupt()], ids=repr)
def test_what_could_not_be_released_is_given_back_later(error: BaseException) -> None:
    hand = Hand(locks.release(SCOPE, "r", 77))
    hand.expects("release", error)
    hand.expects(Forget("r"))
    hand.expects(Abandon("r"))
    hand.raises(type(error))
