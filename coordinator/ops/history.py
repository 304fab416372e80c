"""What has happened: the events stream, and the jobs that failed for good. Nothing here changes anything."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from coordinator.errors import InvalidInput
from coordinator.keys import decode
from coordinator.model.names import whole
from coordinator.wire import calls, replies
from coordinator.wire.calls import Scope
from coordinator.wire.replies import Raw, number, text
from coordinator.wire.step import Call, Operation

MOST_EVENTS = 250
MOST_DEAD = 200
# What is done to resources or breakers, and not to a request.
OF_NAMES = ("define", "freeze", "thaw", "open_breaker", "close_breaker")
EVENT_ID = re.compile(r"\d+(-\d+)?")


@dataclass(frozen=True, slots=True)
class Happening:
    """One event: its id in the stream, when (epoch seconds by the server's clock), what, and to whom or what."""

    ident: str
    at: float
    event: str
    subject: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DeadJob:
    """A job that failed or is dead, and can be replayed as long as its record is kept."""

    ident: str
    state: str
    name: str
    queue: str
    ended: float | None
    attempts: int
    why: str
    owner: str
    reason: str


@dataclass(frozen=True, slots=True)
class DeadJobs:
    """Some of the dead jobs, in the order in which they ended; `total` is how many there are."""

    at: float
    total: int
    jobs: tuple[DeadJob, ...]


def events(scope: Scope, after: str = "", most: int = MOST_EVENTS) -> Operation[tuple[Happening, ...]]:
    """The newest events, or those after the one with the id `after`; always the oldest first. Raises InvalidInput."""
    return (yield from page(calls.events, scope, after, most))


def page(
    call: Callable[[Scope, str, int], Call], scope: Scope, after: str, most: int
) -> Operation[tuple[Happening, ...]]:
    """The entries of a stream that `call` reads. Raises InvalidInput."""
    if after and not EVENT_ID.fullmatch(after):
        raise InvalidInput("after", after, "must be the id of an event, such as 1700000000000-0")
    raw = yield call(scope, after, whole(most, "most", 1, MOST_EVENTS))
    replies.expect(raw, "ok")
    return tuple(happening_of(one) for one in raw[2])


def dead(scope: Scope, skip: int = 0, most: int = MOST_DEAD, until: float | None = None) -> Operation[DeadJobs]:
    """One page of the jobs that failed or are dead, those that ended first in front.

    `until` (epoch seconds) leaves out those that ended later, so that whoever replays page by page comes to an end.
    """
    until_ms = None if until is None else round(until * 1000)
    raw = yield calls.dead(scope, skip, whole(most, "most", 1, MOST_DEAD), until_ms)
    replies.expect(raw, "ok")
    return DeadJobs(number(raw[1]) / 1000, number(raw[2]), tuple(_dead_job(one) for one in raw[3]))


def happening_of(raw: Raw) -> Happening:
    """One entry of a stream of events."""
    fields = replies.fields(raw[1])
    event, subject, at = fields.pop("event", ""), fields.pop("id", ""), fields.pop("ms", "0")
    return Happening(text(raw[0]), number(at) / 1000, event, subject, fields)


def readable(one: Happening) -> Happening:
    """What a person did, with the names of resources and breakers as people know them."""
    fields = dict(one.fields)
    if "resource" in fields:
        fields["resource"] = ", ".join(decode(name) for name in fields["resource"].split(" "))
    return replace(one, subject=decode(one.subject) if one.event in OF_NAMES else one.subject, fields=fields)


def _dead_job(raw: Raw) -> DeadJob:
    ident, state, name, queue, ended, attempts, why, owner, reason = (text(word) for word in raw)
    return DeadJob(
        ident, state, name, queue, number(ended) / 1000 if ended else None, number(attempts), why, owner, reason
    )
