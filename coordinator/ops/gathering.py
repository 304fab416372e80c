"""Latches and barriers: coming, looking, and waiting until enough have come."""

from __future__ import annotations

from contextlib import suppress

from coordinator.errors import CoordinatorError, InvalidInput, StoreUnavailable, UnknownOutcome, WaitTimeout
from coordinator.keys import decode, encode
from coordinator.model.names import milliseconds, resource_name, whole
from coordinator.ops.asking import timeout
from coordinator.ops.locks import with_session
from coordinator.ops.work import LOOK_AGAIN
from coordinator.wire import calls
from coordinator.wire.calls import Gathering, Scope
from coordinator.wire.replies import Raw, expect, number, text
from coordinator.wire.step import Abandon, Call, Expect, Forget, Now, Operation, Wait

MOST_OF_A_LATCH = 10_000
# The sessions of all parties are looked at in one call.
MOST_PARTIES = 1000
KEPT = 86400.0
# The place of one that hears of its round only when the next round is over, too: more than `parties` use the barrier.
UNKNOWN = -1


def gathering(kind: str, name: str, needed: int, keep: float) -> Gathering:
    """A latch or barrier in wire units. Raises InvalidInput."""
    most, argument = (MOST_OF_A_LATCH, "count") if kind == "latch" else (MOST_PARTIES, "parties")
    whole(needed, argument, 1, most)
    return Gathering(encode(resource_name(name, "name")), kind, needed, milliseconds(keep, "keep", least=1.0))


def count_down(scope: Scope, latch: Gathering, ident: str) -> Operation[int]:
    """Come to a latch, without waiting there. Returns how many are still missing."""
    raw = yield calls.gather(scope, latch, "come", "", ident, "")
    return _missing(raw, latch)


def missing(scope: Scope, latch: Gathering) -> Operation[int]:
    """How many have still to come."""
    raw = yield calls.gather(scope, latch, "look", "", "", "")
    return _missing(raw, latch)


def await_open(scope: Scope, latch: Gathering, seconds: float | None) -> Operation[None]:
    """Wait until a latch is open. Raises WaitTimeout."""
    if (yield from _wait(scope, latch, "", timeout(seconds))) is None:
        raise WaitTimeout(decode(latch.name), seconds or 0.0, "the latch")


def meet(scope: Scope, barrier: Gathering, ident: str, seconds: float | None) -> Operation[int]:
    """Come to a barrier and wait until all have. Returns which of them it is, or UNKNOWN. Raises WaitTimeout. Whatever
    it raises, it has left, or leaves as soon as the store answers."""
    try:
        which = yield from _wait(scope, barrier, ident, timeout(seconds))
    except (StoreUnavailable, UnknownOutcome):
        yield Abandon(ident, _leaving(scope, barrier, ident))
        raise
    except CoordinatorError:
        raise
    except BaseException:
        with suppress(CoordinatorError):
            yield from _leave(scope, barrier, ident)
        raise
    if which is None:
        which = yield from _leave(scope, barrier, ident)
    if which is None:
        raise WaitTimeout(decode(barrier.name), seconds or 0.0, "the barrier")
    return which


def _wait(scope: Scope, thing: Gathering, ident: str, seconds: float | None) -> Operation[int | None]:
    """Which of those that came this one is; None if it did not open in time."""
    reader: str = yield Expect(thing.ident, own=True)
    act, came_in = "come" if ident else "look", ""
    try:
        now: float = yield Now()
        ends = None if seconds is None else now + seconds
        while True:
            # Looking and asking to be told are one call, repeated after every message: the message is only a hint.
            in_round = came_in
            answer = yield from with_session(
                lambda session: calls.gather(scope, thing, act, session, ident, in_round),  # noqa: B023
                *("open", "shut", "mismatch"),
            )
            if _status(answer.raw, thing) == "open":
                return _which(answer.raw)
            came_in = text(answer.raw[1]) if ident else ""
            now = yield Now()
            if ends is not None and now >= ends:
                return None
            yield Wait(thing.ident, LOOK_AGAIN if ends is None else min(ends - now, LOOK_AGAIN), reader)
    finally:
        yield Forget(thing.ident, reader)


def _leave(scope: Scope, barrier: Gathering, ident: str) -> Operation[int | None]:
    """Leave a barrier. Which of those that came this one is, if it had opened at that very moment."""
    call = _leaving(scope, barrier, ident)
    try:
        raw = yield call
    except BaseException:
        # Else it would count as one that has come for as long as this process lives.
        yield Abandon(ident, call)
        raise
    return _which(raw) if _status(raw, barrier) == "open" else None


def _which(raw: Raw) -> int:
    word = text(raw[2])
    return int(word) if word.isdigit() else UNKNOWN


def _leaving(scope: Scope, barrier: Gathering, ident: str) -> Call:
    return calls.gather(scope, barrier, "leave", "", ident, "")


def _missing(raw: Raw, thing: Gathering) -> int:
    return 0 if _status(raw, thing) == "open" else max(0, thing.needed - number(raw[2]))


def _status(raw: Raw, thing: Gathering) -> str:
    word = expect(raw, "open", "shut", "mismatch")
    if word == "mismatch":
        there = f"{text(raw[1])} of {number(raw[2])}"
        raise InvalidInput("name", decode(thing.name), f"is a {there}, not a {thing.kind} of {thing.needed}")
    return word
