"""Adaptive timeouts: what the fleet knows of them, how they are chosen, and what is learnt from how things end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

from coordinator.errors import Corrupt, WaitCancelled, WaitTimeout
from coordinator.keys import decode, encode
from coordinator.model.histogram import LAST, Histogram
from coordinator.model.lease import Grant
from coordinator.model.measures import Meter
from coordinator.model.names import whole
from coordinator.model.need import Need
from coordinator.ops import locks
from coordinator.ops.asking import LockOptions
from coordinator.ops.locks import Asked
from coordinator.ops.submission import OPTION_NAMES, Submission
from coordinator.policy.adaptive import HOLD, LOCK, OTHER, QUEUE, Seen
from coordinator.policy.timeout import ADAPTIVE, Learnt
from coordinator.wire import calls, replies
from coordinator.wire.calls import LockAsk, Scope
from coordinator.wire.replies import Raw, number, part, text
from coordinator.wire.step import Forget, Operation

MOST_LISTED = 100
# Of a lock on many resources so many are asked about and learnt of.
MOST_NEEDS = 8


@dataclass(frozen=True, slots=True)
class TimeoutView:
    """One adaptive timeout of the fleet. Durations are seconds; times are epoch seconds by the server's clock.

    `kind` is its type, `name` the resource, queue or handler; empty for all that are counted together because there are
    too many. `strategy` is empty while nobody uses it: what is seen is counted all the same. `moved_at` is None until
    it first moves.
    """

    kind: str
    name: str
    base: float
    current: float
    strategy: str
    version: int
    moved_at: float | None
    seen_at: float
    seen: Seen

    @property
    def key(self) -> str:
        """The name it is counted under."""
        return key_of(self.kind, self.name) if self.name else f"{self.kind}/{OTHER}"


@dataclass(frozen=True, slots=True)
class Heard:
    """How one timeout stands, as a report is answered: `name` is what it is counted under, `seen` None if nothing
    was seen since."""

    name: str
    current: float
    version: int
    total: int
    seen: Seen | None


class Book(Protocol):
    """What this process knows of timeouts: the driver's learner."""

    def knows(self, key: str) -> bool:
        """Whether the fleet's timeout is known here."""

    def note(self, key: str, view: TimeoutView | None) -> None:
        """Take what the fleet knows; None for nothing."""

    def seconds(self, key: str) -> float:
        """The timeout in force; its base where nothing is known."""

    def least(self, key: str) -> float:
        """What the timeout in force does not shrink below, in seconds."""

    def now(self) -> float:
        """The clock that latencies are measured by."""

    def took(self, key: str, seconds: float) -> None:
        """Something succeeded after so many seconds."""

    def ran_out(self, key: str, limit: float) -> None:
        """Something was cut off at its limit."""


# The same few come again and again, and to encode a name takes ten times as long as to look it up.
@lru_cache(maxsize=4096)
def key_of(kind: str, name: str) -> str:
    """The name a timeout is counted under: `operation/deploy.apply`."""
    return f"{kind}/{encode(name)}"


def look(scope: Scope, names: Iterable[str] = (), most: int = MOST_LISTED) -> Operation[list[TimeoutView]]:
    """The timeouts of the fleet, those seen last first; of some names (as `key_of` makes them) or of all."""
    whole(most, "most", 1, MOST_LISTED)
    raw = yield calls.timeouts(scope, most, names)
    replies.expect(raw, "ok")
    return [_view(one) for one in raw[2:]]


def ask(scope: Scope, book: Book, names: Iterable[str]) -> Operation[None]:
    """Ask the fleet about timeouts that this process knows nothing of yet. Of what is not counted apart the figures of
    all others are taken; what nobody has seen is not asked about again."""
    unknown = [one for one in names if not book.knows(one)]
    if not unknown:
        return
    others = sorted({f"{one.partition('/')[0]}/{OTHER}" for one in unknown})
    views = yield from look(scope, [*unknown, *others])
    found = {view.key: view for view in views}
    for one in unknown:
        book.note(one, found.get(one) or found.get(f"{one.partition('/')[0]}/{OTHER}"))


def lock_options(scope: Scope, book: Book, options: LockOptions, needs: Sequence[Need]) -> Operation[LockOptions]:
    """The options with how long to wait: the longest of the timeouts of the resources, and of their least ones."""
    names = lock_keys(needs)
    yield from ask(scope, book, names)
    return replace(options, wait=Learnt(max(map(book.seconds, names)), max(map(book.least, names))))


def undecided(jobs: Iterable[object]) -> bool:
    """Whether how long one of the jobs may wait is for the fleet to say."""
    return any(isinstance(one, Submission) and one.options.wait_timeout == ADAPTIVE for one in jobs)


def decided(scope: Scope, book: Book, jobs: Sequence[Submission]) -> Operation[list[Submission]]:
    """The jobs with how long they may wait in their queues."""
    queues = {one.options.queue: key_of(QUEUE, one.options.queue) for one in jobs if undecided([one])}
    yield from ask(scope, book, queues.values())
    return [_decided(one, book, queues[one.options.queue]) if undecided([one]) else one for one in jobs]


def _decided(job: Submission, book: Book, key: str) -> Submission:
    options = {name: getattr(job.options, name) for name in OPTION_NAMES}
    learnt = Learnt(book.seconds(key), book.least(key))
    return Submission(job.name, job.payload, **{**options, "wait_timeout": learnt})


def acquire(scope: Scope, book: Book, asked: LockAsk, needs: Sequence[Need], meter: Meter) -> Operation[Grant | None]:
    """As `locks.acquire`, for as long as is asked; how long it took is measured and learnt from."""
    seconds = 0.0 if asked.trying else None if asked.wait_ms is None else asked.wait_ms / 1000
    # Not a step of its own: this is done for every lock.
    begun = book.now()
    try:
        grant = yield from locks.acquire(scope, asked, seconds)
    except WaitTimeout:
        _ran_out(book, needs, seconds or 0.0)
        raise
    if grant is not None:
        took = book.now() - begun
        _took(book, needs, took)
        meter.count("lock.granted")
        meter.observe("lock.wait", took)
    return grant


def request(scope: Scope, book: Book, asked: LockAsk, needs: Sequence[Need]) -> Operation[Asked | None]:
    """As `locks.ask`; a lock that is granted at once is learnt from."""
    begun = book.now()
    standing = yield from locks.ask(scope, asked)
    if standing is not None and standing.grant is not None:
        _took(book, needs, book.now() - begun)
    return standing


def await_grant(
    scope: Scope, book: Book, asked: LockAsk, needs: Sequence[Need], standing: Asked, seconds: float | None
) -> Operation[Grant | None]:
    """As `locks.await_grant`. How long it took since it was asked for is learnt from if it comes in the meantime: of a
    lock that was there before anybody waited for it, nobody knows since when, nor what became of it: that is asked."""
    try:
        grant = yield from locks.await_grant(scope, asked, 0.0, session=standing.session)
        if grant is not None or seconds == 0:
            return grant
        grant = yield from locks.await_grant(scope, asked, seconds, standing)
    except WaitTimeout:
        _ran_out(book, needs, (asked.wait_ms or 0) / 1000)
        raise
    except WaitCancelled:
        yield Forget(asked.ident)
        raise
    if grant is not None:
        _took(book, needs, book.now() - standing.sent)
    return grant


def release(scope: Scope, book: Book, ident: str, fence: int, needs: Sequence[Need], since: float) -> Operation[None]:
    """As `locks.release`; how long it was held since then is counted."""
    yield from locks.release(scope, ident, fence)
    seconds = book.now() - since
    for one in needs[:MOST_NEEDS]:
        book.took(key_of(HOLD, one.resource), seconds)


def _took(book: Book, needs: Sequence[Need], seconds: float) -> None:
    for one in needs[:MOST_NEEDS]:
        book.took(key_of(LOCK, one.resource), seconds)


def _ran_out(book: Book, needs: Sequence[Need], limit: float) -> None:
    for name in lock_keys(needs):
        book.ran_out(name, limit)


def lock_keys(needs: Sequence[Need]) -> list[str]:
    """The names that the timeouts of a lock are counted under."""
    return [key_of(LOCK, one.resource) for one in needs[:MOST_NEEDS]]


def heard(raw: Raw) -> list[Heard] | None:
    """What a report was answered; None if its session is over. Raises Corrupt, ProtocolError."""
    if replies.expect(raw, "ok", "session_lost") == "session_lost":
        return None
    return [
        Heard(
            text(part(one, 0)),
            number(part(one, 1)) / 1000,
            number(part(one, 2)),
            number(part(one, 3)),
            seen_of(replies.fields(one[4])) if one[4] else None,
        )
        for one in raw[1:]
    ]


def seen_of(fields: Mapping[str, str]) -> Seen:
    """What was seen, from a hash of counts. Raises Corrupt."""
    latencies = Histogram()
    for field, count in fields.items():
        if field not in ("ok", "late"):
            place = number(field)
            if not 0 <= place <= LAST:
                raise Corrupt("a histogram has a bucket that there is not")
            latencies.add_at(place, number(count))
    return Seen(latencies, number(fields.get("ok", 0)), number(fields.get("late", 0)))


def _view(raw: Raw) -> TimeoutView:
    kind, _, name = text(part(raw, 0)).partition("/")
    fields = replies.fields(part(raw, 2))
    moved = number(fields.get("moved", 0))
    return TimeoutView(
        kind=kind,
        name="" if name == OTHER else decode(name),
        base=number(fields.get("base", 0)) / 1000,
        current=number(fields.get("now", 0)) / 1000,
        strategy=fields.get("strategy", ""),
        version=number(fields.get("version", 0)),
        moved_at=moved / 1000 if moved else None,
        seen_at=float(text(part(raw, 1))) / 1000,
        seen=seen_of(replies.fields(part(raw, 3))),
    )
