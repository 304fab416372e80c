"""Who holds what: from a pattern of resources to their holders, and from an owner to what it holds and waits for.

Both go by ordered indexes, so what a page costs depends on what is on it, and hardly on how much else there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coordinator.errors import InvalidInput
from coordinator.keys import decode
from coordinator.model.lease import Person
from coordinator.model.names import text as free_text
from coordinator.model.names import whole
from coordinator.model.need import Need
from coordinator.ops.inspect import LONGEST_MARK, MOST_NAMED, MOST_PER_PAGE, need_of, persons_of
from coordinator.policy.pattern import pattern as parsed
from coordinator.wire import calls, looks, replies
from coordinator.wire.calls import Scope
from coordinator.wire.needs import node
from coordinator.wire.replies import Raw, number, part, text
from coordinator.wire.step import Operation, Stream


@dataclass(frozen=True, slots=True)
class HeldResource:
    """A resource that is held or waited for. `holders` are the first 20 of the `held` requests that have it;
    `line_length` is how many wait."""

    name: str
    capacity: int
    held: int
    line_length: int
    holders: tuple[Person, ...]


@dataclass(frozen=True, slots=True)
class HeldPage:
    """Some of the resources that a pattern is for, in order of their names as they stand in keys.

    `at` is epoch seconds by the server's clock; `after` is what the next page is asked for with, empty on the last. A
    page may have fewer than were asked for and yet not be the last: one call goes over a bounded part of all names.
    """

    at: float
    resources: tuple[HeldResource, ...]
    after: str = ""


@dataclass(frozen=True, slots=True)
class Possession:
    """A request of an owner that is not over: a lock that is held or waited for, or a job. `asked` is when it asked, in
    epoch seconds; `fence` is None as long as it has nothing, and `until` is when the lease of a lock ends."""

    request: Person
    asked: float
    fence: int | None
    until: float | None
    needs: tuple[Need, ...]


@dataclass(frozen=True, slots=True)
class OwnerPage:
    """Some of the `total` requests of an owner that are not over, in order of id; `after` as in a `HeldPage`."""

    at: float
    total: int
    requests: tuple[Possession, ...]
    after: str = ""


def holders(scope: Scope, pattern: str, after: str = "", most: int = MOST_PER_PAGE) -> Operation[HeldPage]:
    """A page of the resources that a pattern is for. Raises InvalidInput."""
    whole(most, "most", 1, MOST_PER_PAGE)
    mark = free_text(after, "after", LONGEST_MARK)
    raw = yield looks.holders(scope, parsed(pattern).wire, mark, most, MOST_NAMED)
    replies.expect(raw, "ok")
    found = tuple(_resource(one) for one in part(raw, 3))
    return HeldPage(number(raw[1]) / 1000, found, text(raw[2]))


def held_by(scope: Scope, owner: str, after: str = "", most: int = MOST_PER_PAGE) -> Operation[OwnerPage]:
    """A page of what an owner holds and waits for. Raises InvalidInput."""
    whole(most, "most", 1, MOST_PER_PAGE)
    if not free_text(owner, "owner"):
        raise InvalidInput("owner", owner, "must not be empty")
    raw = yield looks.held_by(scope, owner, free_text(after, "after", LONGEST_MARK), most)
    replies.expect(raw, "ok")
    found = tuple(_possession(one) for one in part(raw, 4))
    return OwnerPage(number(raw[1]) / 1000, number(raw[2]), found, text(raw[3]))


def _resource(raw: Raw) -> HeldResource:
    name, capacity, length, held, people = raw
    return HeldResource(decode(text(name)), number(capacity), number(held), number(length), persons_of(people))


def _possession(raw: Raw) -> Possession:
    who, asked, fence, until, needs = raw
    (person,) = persons_of([who])
    return Possession(
        request=person,
        asked=number(asked) / 1_000_000,
        fence=number(fence) if text(fence) else None,
        until=number(until) / 1000 if text(until) else None,
        needs=tuple(need_of(*one) for one in needs),
    )


def waiters(scope: Scope, needs: Sequence[Need]) -> Operation[tuple[Person, ...]]:
    """Who waits for some resources, each once, from the head of each line."""
    raws = yield Stream([calls.line(scope, node(one.resource), MOST_NAMED) for one in needs])
    found: dict[str, Person] = {}
    for raw in raws:
        replies.expect(raw, "ok")
        found.update((one.ident, one) for one in persons_of(part(raw, 5)) if one.ident not in found)
    return tuple(found.values())
