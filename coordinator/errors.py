"""All errors of Coordinator, arranged by what a caller can do about them.

`Refused` and its children: nothing was changed; wait, shed or ask for something else. `StoreUnavailable`: nothing was
changed as far as we know; try again. `UnknownOutcome`: the call may or may not have happened; a call with the same
request id finds out. `LeaseLost`: stop the guarded work. `InvalidInput` and `ConfigError`: mend the call.
Fields carry the facts, so nobody has to parse a message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

# How much of an offending value is shown in a message.
MAX_SHOWN = 80
# And of several names.
MOST_SHOWN = 5


def shortened(value: object) -> str:
    """An offending value as a message shows it."""
    shown = repr(value)
    return shown if len(shown) <= MAX_SHOWN else f"{shown[: MAX_SHOWN - 20]}... ({len(shown)} characters)"


def some_of(names: Sequence[str]) -> str:
    """The first of several names, and how many more there are."""
    return ", ".join(names[:MOST_SHOWN]) + (f" and {len(names) - MOST_SHOWN} more" if names[MOST_SHOWN:] else "")


class CoordinatorError(Exception):
    """Root of every error that this package raises on purpose."""


E = TypeVar("E", bound=CoordinatorError)


def anew(error: E) -> E:
    """The same error, to be kept or raised again: without its traceback, which keeps alive whoever it has passed."""
    made = type(error).__new__(type(error))
    made.args = error.args
    made.__dict__.update(error.__dict__)
    return made


class InvalidInput(CoordinatorError, ValueError):
    """An argument that can never work. Nothing was sent.

    `argument` names it, `value` is what was given (shortened when shown).
    """

    def __init__(self, argument: str, value: object, problem: str) -> None:
        super().__init__(f"{argument}: {problem} (got {shortened(value)})")
        self.argument, self.value, self.problem = argument, value, problem


class ConfigError(CoordinatorError):
    """Settings that do not hold together. `problems` lists every complaint at once."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class Refused(CoordinatorError):
    """The coordinator said no, and changed nothing."""


class QueueFull(Refused):
    """The queue, or the schedule, holds as many jobs as it may, and none that is less urgent.

    `retry_after` is None: there is room for one as soon as any job of it is claimed, or due, which may be the next
    moment; how long that takes depends on the workers alone, and not on how long those have waited who are there.
    """

    retry_after: float | None = None

    def __init__(self, queue: str, limit: int, said: str = "") -> None:
        super().__init__(said or f"queue {queue!r} is full ({limit} jobs); try later or raise max_queue")
        self.queue, self.limit = queue, limit


class Overloaded(QueueFull):
    """The queue is too full for a job that is no more urgent: it was refused, or displaced from a full queue.

    `count` jobs are there, of at most `limit`; `place` of them stand before it, or would. `retry_after`: seconds until
    such jobs may be let in again (`policy.shed` has the formula). `ident`: the job, if it was in and displaced.
    """

    retry_after: float

    def __init__(self, queue: str, limit: int, count: int, place: int, retry_after: float, ident: str = "") -> None:
        what = f"job {ident} was displaced by a more urgent one" if ident else "it takes more urgent jobs only"
        said = f"queue {queue!r} is overloaded ({count} of {limit} jobs): {what}; try again in {retry_after:.1f} s"
        super().__init__(queue, limit, said)
        self.count, self.place, self.retry_after, self.ident = count, place, retry_after, ident


class LineFull(Refused):
    """The line of a resource holds as many waiters as it may, and none that is less urgent.

    `retry_after` is None: there is room for one as soon as the first is granted what it waits for, and when that is,
    its holder decides.
    """

    retry_after: float | None = None

    def __init__(self, resource: str, limit: int, said: str = "") -> None:
        super().__init__(said or f"the line of {resource!r} is full ({limit} waiters); try later or raise max_line")
        self.resource, self.limit = resource, limit


class LineOverloaded(LineFull):
    """The line of a resource is too full for a request that is no more urgent: it was refused, or displaced from a
    full line.

    `count` wait there, of at most `limit`; `place` of them stand before it, or would. `retry_after`: seconds until such
    requests may be let in again (`policy.shed` has the formula). `ident`: the request, if it was in and displaced.
    """

    retry_after: float

    def __init__(self, resource: str, limit: int, count: int, place: int, retry_after: float, ident: str = "") -> None:
        what = f"request {ident} was displaced by a more urgent one" if ident else "it takes more urgent requests only"
        said = f"the line of {resource!r} is overloaded ({count} of {limit} waiters): {what}; try again in"
        super().__init__(resource, limit, f"{said} {retry_after:.1f} s")
        self.count, self.place, self.retry_after, self.ident = count, place, retry_after, ident


class MemoryFull(Refused):
    """The server's memory is too full for something new that is no more urgent.

    `used` bytes are taken, of a `limit` for what is new; below `until` such requests are let in again, which is worth
    a try after `retry_after` seconds. What is there can be finished, given back and cancelled.
    """

    def __init__(self, used: int, limit: int, until: int, retry_after: float) -> None:
        super().__init__(
            f"the server's memory is too full for what is new ({used} of {limit} bytes, let in below {until}); "
            f"try again in {retry_after:.1f} s"
        )
        self.used, self.limit, self.until, self.retry_after = used, limit, until, retry_after


class BreakerOpen(Refused):
    """The `breaker` of the job's handler is open, and is to refuse (`on_open="refuse"`).

    `retry_after`: seconds until it lets jobs in again, to try out whether what failed is well.
    """

    def __init__(self, breaker: str, retry_after: float) -> None:
        super().__init__(f"breaker {breaker!r} is open: try again in {retry_after:.1f} s")
        self.breaker, self.retry_after = breaker, retry_after


class OverCapacity(Refused):
    """A need for more permits than the resource has, which could never be granted."""

    def __init__(self, resource: str, capacity: int) -> None:
        permits = f"{capacity} permit" + "s" * (capacity != 1)
        super().__init__(f"{resource!r} has only {permits}; ask for fewer or define a larger capacity")
        self.resource, self.capacity = resource, capacity


class PayloadTooLarge(Refused):
    """A payload or result above the limit."""

    def __init__(self, what: str, size: int, limit: int) -> None:
        super().__init__(
            f"{what} of {size} bytes is above the limit of {limit}; store it elsewhere and pass a reference"
        )
        self.what, self.size, self.limit = what, size, limit


class Duplicate(Refused):
    """A submission whose dedup key is taken, with `on_conflict="reject"`. `existing` is the id that is there."""

    def __init__(self, existing: str, state: str) -> None:
        super().__init__(f"a job with this dedup key is there already: {existing} ({state})")
        self.existing, self.state = existing, state


class TooSimilar(Refused):
    """A submission whose text is nearly that of an earlier job, with `on_similar="reject"`."""

    def __init__(self, existing: str, state: str, similarity: float) -> None:
        super().__init__(f"a job with nearly the same text is there already: {existing} ({state}, {similarity:.2f})")
        self.existing, self.state, self.similarity = existing, state, similarity


class IdConflict(Refused):
    """A request id that is taken by a different request."""

    def __init__(self, ident: str) -> None:
        super().__init__(f"request id {ident} belongs to a different request")
        self.ident = ident


class Deadlock(Refused):
    """A lock asked for while another is held, where everybody in a circle would wait for the next. Let go of what is
    held, and begin anew. `cycle` has the ids of the requests in the circle."""

    def __init__(self, ident: str, cycle: tuple[str, ...]) -> None:
        circle = " -> ".join([*cycle, *cycle[:1]])
        super().__init__(f"{ident} would wait for itself: {circle}; release what is held, and begin anew")
        self.ident, self.cycle = ident, cycle


class UpgradeRefused(Deadlock):
    """What an owner holds already was asked for again, but otherwise: exclusive where it shares, with other permits, or
    along with something else. It would wait for itself."""

    def __init__(self, ident: str, resource: str) -> None:
        Refused.__init__(
            self,
            f"{resource} is held already by the same owner, under {ident}, and what is asked for is not the same; "
            "release it first, or acquire at once all that is needed",
        )
        self.ident, self.cycle, self.resource = ident, (ident,), resource


class IllegalTransition(Refused):
    """What was asked is not possible in the state the request is in."""

    def __init__(self, state: str, event: str, way_out: str = "") -> None:
        super().__init__(f"cannot {event} a request that is {state}" + (f": {way_out}" if way_out else ""))
        self.state, self.event = state, event


class Frozen(Refused):
    """Somebody is to be given what others hold, and a freeze or a `lock_delay` keeps something that it needs from
    everybody. Nobody has lost anything."""

    def __init__(self, resource: str, why: str) -> None:
        super().__init__(f"nobody is granted {resource!r} now ({why}): thaw it, or let the request pass")
        self.resource, self.why = resource, why


class BatchRefused(Refused):
    """Some jobs of a batch were refused. `tickets` has the accepted ones in place (None for a refused one), `errors`
    the reason by index."""

    def __init__(self, tickets: Sequence[Any], errors: Mapping[int, CoordinatorError]) -> None:
        first = next(iter(errors.items()))
        super().__init__(f"{len(errors)} of {len(tickets)} jobs were refused, first number {first[0]}: {first[1]}")
        self.tickets, self.errors = tuple(tickets), dict(errors)


class NotFound(CoordinatorError):
    """No request with this id: never there, or ended longer ago than its record is kept."""

    def __init__(self, ident: str) -> None:
        super().__init__(f"no request {ident!r}: it never existed, or it ended and its record has expired")
        self.ident = ident


class NotFrozen(NotFound):
    """Nothing is frozen under this pattern: it never was, it was thawed, or its time is over."""

    def __init__(self, pattern: str, frozen: Sequence[str] = ()) -> None:
        super().__init__(pattern)
        known = f"frozen are {', '.join(map(repr, frozen))}" if frozen else "nothing is frozen"
        self.args = (f"no freeze {pattern!r}: {known}",)


class LeaseLost(CoordinatorError):
    """The lease is over: stop the guarded work. What is written under its fence from now on must be refused."""

    def __init__(self, ident: str, why: str) -> None:
        super().__init__(f"the lease of {ident} is over: {why}")
        self.ident, self.why = ident, why


class StaleFence(CoordinatorError):
    """A write under a fence that is older than the newest one seen there: somebody else has held the lock since.
    Nothing was written. `newest` is None where it is not known."""

    def __init__(self, what: str, fence: int, newest: int | None) -> None:
        if newest is None:
            problem = (
                f"nothing was written: fence {fence} is stale, and the lock somebody else's; or there is no such row"
            )
        else:
            problem = f"fence {fence} is stale, {newest} was seen; the lock is somebody else's"
        super().__init__(f"{shortened(what)}: {problem}")
        self.what, self.fence, self.newest = what, fence, newest


class WaitTimeout(CoordinatorError, TimeoutError):
    """The wait ran out. The request has left its lines (a lock) or goes on (a job's result). `resources` are those of
    the lock, if it was one."""

    def __init__(self, ident: str, seconds: float, what: str, resources: Sequence[str] = ()) -> None:
        super().__init__(f"waited {seconds:g} s for {what} {ident}" + (f": {some_of(resources)}" if resources else ""))
        self.ident, self.seconds, self.resources = ident, seconds, tuple(resources)


class NotDrained(WaitTimeout):
    """Somebody still held some of what was drained when the wait ran out. It stays frozen. `held` has the resources,
    and the subtrees around them."""

    def __init__(self, pattern: str, seconds: float, held: Sequence[str]) -> None:
        super().__init__(pattern, seconds, "nobody to hold any of")
        self.args = (f"waited {seconds:g} s, and of {pattern!r} is still held: {some_of(held)}; it stays frozen",)
        self.pattern, self.held = pattern, tuple(held)


class WaitCancelled(CoordinatorError):
    """The request that was waited for ended without being granted. `state` says how, `why` the reason."""

    def __init__(self, ident: str, state: str, why: str) -> None:
        super().__init__(f"{ident} is {state}" + (f": {why}" if why else ""))
        self.ident, self.state, self.why = ident, state, why


class JobFailed(CoordinatorError):
    """A job whose result was asked for did not succeed. `state` says how it ended, `why` the reason."""

    def __init__(self, ident: str, state: str, why: str) -> None:
        super().__init__(f"job {ident} is {state}" + (f": {why}" if why else ""))
        self.ident, self.state, self.why = ident, state, why


class SessionLost(CoordinatorError):
    """This process was silent for longer than its session lasts; everything it held is gone."""


class ClientClosed(CoordinatorError):
    """The client was closed; connect another one."""

    def __init__(self) -> None:
        super().__init__("this client was closed")


class WrongLoop(CoordinatorError, RuntimeError):
    """An asyncio client in another event loop than the one that it was first used on. Nothing was sent. `loop` is that
    one, `closed` whether it is."""

    def __init__(self, loop: object, closed: bool) -> None:
        super().__init__(
            f"this asyncio client was first used on another event loop, {shortened(loop)}, and works on no other: "
            "connect a client in each, inside the coroutine that `asyncio.run` is given"
        )
        self.loop, self.closed = loop, closed


class StoreUnavailable(CoordinatorError):
    """Redis cannot be reached or cannot serve now. Nothing was changed; trying again is safe."""


class Unconfirmed(StoreUnavailable):
    """Too few replicas said in time that they have a grant that was to be replicated: it was given back."""


class StorageFull(StoreUnavailable):
    """Redis is out of memory or disk: it takes nothing new, but finishing work still goes through."""


class UnknownOutcome(CoordinatorError):
    """The connection broke after the call was sent, or too few replicas have it: it may or may not have happened."""


class UnsafeServer(CoordinatorError):
    """The server is set up in a way that loses or evicts data. `problems` lists what, with the way out."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class AccessDenied(CoordinatorError):
    """Redis does not let this user do that. `coordinator acl` prints what each role needs."""


class ScriptsMissing(CoordinatorError):
    """The server does not have the scripts of this version, and this user may not load them."""

    def __init__(self) -> None:
        super().__init__(
            "the server does not have the scripts of this version of Coordinator, and this user may not load them: "
            "run `coordinator load` as a user who may"
        )


class ServerStartError(CoordinatorError):
    """The embedded server could not be found or did not start."""


class Corrupt(CoordinatorError):
    """Something in Redis, or in the file of a fence, is not what this package writes there."""


class BadSignature(Corrupt):
    """Something in Redis is not signed, or not with a key of ours, or for something else: it is not to be trusted."""


class ProtocolError(CoordinatorError):
    """A reply that this version does not know: a fault of Coordinator."""
