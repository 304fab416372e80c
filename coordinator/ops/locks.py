"""Asking for locks, waiting for them, giving them back.

The uncontended way is one call. Otherwise the request stands in line on the server and this side waits for a
message. A message is only a hint, so whenever one may have been lost the request is sent again: it carries its id, and
answers as it stands now.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from coordinator.errors import (
    CoordinatorError,
    Deadlock,
    LeaseLost,
    LineOverloaded,
    NotFound,
    SessionLost,
    StoreUnavailable,
    Unconfirmed,
    UnknownOutcome,
    WaitCancelled,
    WaitTimeout,
)
from coordinator.model.lease import Grant
from coordinator.model.states import State
from coordinator.policy.trust import trusted_until
from coordinator.wire import calls
from coordinator.wire.calls import LockAsk, Scope
from coordinator.wire.needs import from_wire
from coordinator.wire.replies import Raw, expect, line_overloaded, number, text
from coordinator.wire.step import Abandon, Call, Expect, Forget, Hear, Now, Operation, Session, Stream, Wait

# A process whose session lapsed opens another and asks again; where they lapse at once, more tries are no use.
SESSION_TRIES = 3
# How the reason begins for which a request was ended that stood in a circle of waits.
TANGLED = "deadlock: "
# The store did not serve a call in all the time that calls are repeated for.
AWAY = (StoreUnavailable, UnknownOutcome)
# What a request may end with that is waited for: that stays so.
ENDED = (WaitCancelled, WaitTimeout, Deadlock, LineOverloaded, Unconfirmed)
# Why nobody waits in a forked child for what its parent has asked for.
OF_PARENT = "it was asked for by the process that this one was forked from"
ANSWERS = ("granted", "waiting", "busy", "ended", "deadlock")


class Asked(NamedTuple):
    """The first answer to a lock request: granted, or in line (`grant` None), asked by `session` at `sent`.
    `shrunk_ms`: how long it may wait, if that is not as long as it asked to."""

    grant: Grant | None
    session: str = ""
    sent: float = 0.0
    shrunk_ms: int | None = None

    def taken(self, asked: LockAsk) -> LockAsk:
        """The request as it stands in line."""
        return asked if self.shrunk_ms is None else asked._replace(wait_ms=self.shrunk_ms)


class Answer(NamedTuple):
    """What a script answered, under which session, and when it was asked."""

    raw: Raw
    session: str
    sent: float


def with_session(make: Callable[[str], Call], *wanted: str, ident: str = "") -> Operation[Answer]:
    """A call that needs a live session; a lapsed one is replaced. Raises SessionLost if that is in vain."""
    session, sent = yield Session()
    for _ in range(SESSION_TRIES):
        raw: Raw = yield make(session)
        try:
            expect(raw, *wanted, ident=ident)
        except SessionLost:
            session, sent = yield Session(lost=session)
            continue
        return Answer(raw, session, sent)
    raise SessionLost("the server gives up the sessions of this process at once; is its clock stepping?")


def ask(scope: Scope, asked: LockAsk) -> Operation[Asked | None]:
    """Ask once. None: not free, and not to wait (`trying`). Messages about it are kept from here on."""
    yield Expect(asked.ident)
    try:
        outcome = yield from _look(scope, asked)
    except BaseException as error:
        refused = isinstance(error, CoordinatorError) and not isinstance(error, UnknownOutcome)
        yield from _withdraw(scope, asked.ident, error, on_its_way=not refused)
        raise
    if outcome is None:
        yield Forget(asked.ident)
    return outcome


def acquire(
    scope: Scope, asked: LockAsk, seconds: float | None, in_line: Callable[[], Operation[None]] | None = None
) -> Operation[Grant | None]:
    """Ask and wait. None only when `trying`. Raises WaitTimeout after `seconds`, or fewer where a learnt
    wait was shrunk, having left the lines. `in_line` is carried out once the request stands in line."""
    outcome = yield from ask(scope, asked)
    if outcome is None or outcome.grant is not None:
        return None if outcome is None else outcome.grant
    if outcome.shrunk_ms is not None:
        asked, seconds = outcome.taken(asked), outcome.shrunk_ms / 1000
    try:
        if in_line is not None:
            yield from in_line()
        grant = yield from await_grant(scope, asked, seconds, outcome)
        # Inside the `try` as well: if the store is away just now, the request must not stay to be granted to nobody.
        return grant or (yield from give_up(scope, asked, seconds or 0.0))
    except (WaitCancelled, WaitTimeout):
        yield Forget(asked.ident)
        raise
    except BaseException as error:
        yield from _withdraw(scope, asked.ident, error)
        raise


def await_grant(
    scope: Scope, asked: LockAsk, seconds: float | None, standing: Asked | None = None, session: str = ""
) -> Operation[Grant | None]:
    """Wait for a request that stands in line for a `session`; None after `seconds`. Raises WaitCancelled when it ends
    otherwise. With `standing`, the first answer, whose session counts, the message of the grant may be enough."""
    session = session if standing is None else standing.session
    now: float = yield Now()
    ends = None if seconds is None else now + seconds
    while True:
        words = yield Wait(asked.ident, None if ends is None else max(0.0, ends - now))
        if words is None:
            return None
        _goes_on(asked, words, session)
        if words[0] == "forgotten":
            yield from _not_gone(scope, asked)
        try:
            grant = yield from _heard(scope, asked, words, standing)
        except BaseException:
            # Whoever waits for this again is to look again, and not for another message: there may be none.
            yield Hear(f"granted {asked.ident}")
            raise
        if grant is not None:
            return grant
        # It is not over, whatever was said of it.
        yield Expect(asked.ident)
        now = yield Now()


def _heard(scope: Scope, asked: LockAsk, words: Sequence[str], standing: Asked | None) -> Operation[Grant | None]:
    """Granted, or we do not know: the server says how much is left of the lease, counted from that call."""
    if words[0] == "granted" and standing is not None and scope.told and not asked.replicated:
        told = yield from _told(asked, words, standing)
        if told is not None:
            return told
    outcome = yield from _look(scope, asked)
    return None if outcome is None else outcome.grant


def _goes_on(asked: LockAsk, words: Sequence[str], session: str) -> None:
    """Raises WaitCancelled for a message by which the request is over. The loss of the session before may be told late:
    to whoever found it lost, asked under another one and stands in line."""
    if words[0] == "session_lost" and (not session or tuple(words[1:]) in ((), (session,))):
        raise WaitCancelled(asked.ident, "cancelled", "session lost")
    if words[0] == "ended":
        raise _ended(asked, words[2], words[3:])


def _not_gone(scope: Scope, asked: LockAsk) -> Operation[None]:
    """Raises WaitCancelled for a request that was over so long ago that its record has expired: to look at it by asking
    again would put it in line anew."""
    raw = yield calls.watch(scope, asked.ident, "")
    try:
        expect(raw, "final", "pending", ident=asked.ident)
    except NotFound:
        raise WaitCancelled(asked.ident, "over", "its record has expired") from None


def _told(asked: LockAsk, words: Sequence[str], standing: Asked) -> Operation[Grant | None]:
    """The grant as its message tells of it, which saves asking for it; None if that is not enough to trust it.

    When it was granted is not known here, only that this was after the request was sent, so the lease is counted from
    then. The message may be old: the session it was granted to must still be ours.
    """
    if len(words) != 4:  # noqa: PLR2004
        return None
    session, now = yield Session()
    ends = trusted_until(standing.sent, number(words[3]) / 1000)
    fresh = ends - now >= number(words[3]) / 2000
    return Grant(asked.ident, number(words[2]), ends, session) if fresh and session == standing.session else None


def ran_out(asked: LockAsk, seconds: float | None) -> WaitTimeout:
    """The error for a wait of so many seconds that was in vain; None as for 0."""
    resources = [need.resource for need in from_wire(asked.needs)]
    return WaitTimeout(asked.ident, seconds or 0.0, "lock request", resources)


def give_up(scope: Scope, asked: LockAsk, seconds: float) -> Operation[Grant]:
    """Leave the lines after a wait of so many `seconds` that ran out. A grant that came at that very moment is taken.
    Raises WaitTimeout."""
    raw = yield calls.cancel(scope, asked.ident, "expire", "wait ran out")
    if expect(raw, "ok", "held", "ended", "gone") == "held":
        outcome = yield from _look(scope, asked)
        if outcome is not None and outcome.grant is not None:
            return outcome.grant
    yield Forget(asked.ident)
    raise ran_out(asked, seconds)


def release(scope: Scope, ident: str, fence: int) -> Operation[None]:
    """Give a lock back. Raises LeaseLost if it was no longer ours. If the store is away, it is abandoned."""
    try:
        raw = yield calls.release(scope, ident, fence)
    except BaseException:
        # Hardly anybody would ask again, and our session would hold it for as long as this process lives.
        yield from abandon(ident)
        raise
    yield Forget(ident)
    _ours(raw, ident)
    # Where the next holder is in this process, it need not wait for its inbox.
    for message in raw[1:]:
        yield Hear(message)


def abandon(ident: str) -> Operation[None]:
    """Have a lock given back in the background as soon as the store answers."""
    yield Forget(ident)
    yield Abandon(ident)


def extend(scope: Scope, ident: str, fence: int, lease_ms: int) -> Operation[float]:
    """Move the end of the lease. Returns until when it may be trusted. Raises LeaseLost."""
    sent: float = yield Now()
    raw = yield calls.extend(scope, ident, fence, lease_ms)
    _ours(raw, ident)
    return trusted_until(sent, number(raw[1]) / 1000)


def _ours(raw: Raw, ident: str) -> None:
    word = expect(raw, "ok", "lost", "gone")
    if word != "ok":
        raise LeaseLost(ident, text(raw[1]) if word == "lost" else "its record has expired")


def _look(scope: Scope, asked: LockAsk) -> Operation[Asked | None]:
    raw, session, sent = yield from with_session(
        lambda session: calls.request(scope, session, asked), *ANSWERS, ident=asked.ident
    )
    if asked.replicated and text(raw[0]) == "granted":
        raw = yield from _confirmed(scope, asked, calls.request(scope, session, asked))
    word = text(raw[0])
    if word == "granted":
        return Asked(Grant(asked.ident, number(raw[2]), trusted_until(sent, number(raw[3]) / 1000), session))
    if word == "deadlock":
        raise Deadlock(asked.ident, tuple(text(raw[1]).split(",")))
    if word == "ended":
        state, why = text(raw[2]), text(raw[3])
        says_more = why.startswith(TANGLED) or state == State.SHED
        raise _ended(asked, state, why.removeprefix(TANGLED).split(" ") if says_more else ())
    return Asked(None, session, sent, number(raw[2]) if raw[2:] else None) if word == "waiting" else None


def _confirmed(scope: Scope, asked: LockAsk, call: Call) -> Operation[Raw]:
    """The answer once more, which replicas have; a grant that they do not is given back."""
    try:
        raws: list[Raw] = yield Stream([call], confirmed=True)
        expect(raws[0], *ANSWERS, ident=asked.ident)
    except BaseException as error:
        yield from _withdraw(scope, asked.ident, error)
        raise
    return raws[0]


def _ended(asked: LockAsk, state: str, more: Sequence[str]) -> CoordinatorError:
    """What a request that ended without a grant means for its waiter. The server may see the wait run out first. `more`
    is the line that it was displaced from, behind its figures, or the circle of waits in which it had to give way."""
    if state == State.SHED:
        *figures, resource = more
        return line_overloaded(resource, figures, asked.ident)
    if more:
        return Deadlock(asked.ident, tuple(more[0].split(",")))
    if state == State.EXPIRED:
        return ran_out(asked, (asked.wait_ms or 0) / 1000)
    return WaitCancelled(asked.ident, state, "")


def _withdraw(scope: Scope, ident: str, why: BaseException, *, on_its_way: bool = False) -> Operation[None]:
    """Clean up behind an interrupted wait. If that is interrupted in turn or the store does not answer either, the
    driver goes on trying: a request left behind would be granted to nobody. So it does when the request may still be
    `on_its_way`, on a connection that this call has overtaken, and at once when the store was not there for as long as
    calls are repeated: nobody is to wait for it as long again."""
    try:
        yield Forget(ident)
        if type(why) in AWAY:
            yield Abandon(ident)
            return
        was_there = yield from withdraw(scope, ident)
    except BaseException as error:
        yield Abandon(ident)
        if not isinstance(error, CoordinatorError):
            raise
    else:
        if on_its_way and not was_there:
            yield Abandon(ident)


def withdraw(scope: Scope, ident: str, undo: Call | None = None) -> Operation[bool]:
    """Take a lock request back whatever has become of it: leave the lines, or release what was granted meanwhile; or
    whatever else `undo` takes back. False: there was none."""
    if undo is not None:
        yield undo
        return True
    raw = yield calls.cancel(scope, ident, "cancel", "the caller was interrupted")
    word = expect(raw, "ok", "held", "ended", "gone", "told")
    if word == "held":
        yield calls.release(scope, ident, number(raw[1]))
    return word != "gone"
