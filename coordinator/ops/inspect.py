"""Looking inside: one request, one resource, the whole namespace. Nothing here changes anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from coordinator.keys import decode, encode
from coordinator.model.codec import metadata_of
from coordinator.model.definition import BY_PRIORITY, Definition
from coordinator.model.lease import Crowd, Explanation, FrozenView, GateView, NeedView, Person, ShareView
from coordinator.model.names import Priority, request_id, resource_or_subtree, whole
from coordinator.model.names import text as free_text
from coordinator.model.need import Need
from coordinator.model.states import State
from coordinator.ops import freezing
from coordinator.wire import calls, replies
from coordinator.wire.calls import Scope
from coordinator.wire.gates import shown
from coordinator.wire.needs import INTERNAL, node
from coordinator.wire.replies import Raw, number, text
from coordinator.wire.step import Operation

MOST_NAMED = 20
PAGE = 100
MOST_PER_PAGE = 100
# The longest mark (where the next page begins) that is taken: an encoded name is up to three times as long as a name.
LONGEST_MARK = 4096
# No name of a resource has this character, so a mark is never taken for a name.
MARK = "*"
PLAIN = Definition()
MODES = {"x": "exclusive", "s": "shared"}
# The words of a holder's value, for a request that holds nothing.
NOTHING = ("", "0", "", "", "")


@dataclass(frozen=True, slots=True)
class ResourceView:
    """A resource that is held or waited for. `holders` are request ids with what each holds."""

    name: str
    capacity: int
    line_length: int
    holders: Mapping[str, str]
    defined: Definition = PLAIN


@dataclass(frozen=True, slots=True)
class LineView:
    """One resource with its holders and the head of its line. `at` is epoch seconds by the server's clock."""

    name: str
    at: float
    capacity: int
    line_length: int
    holders: tuple[Person, ...]
    waiters: tuple[Person, ...]
    defined: Definition = PLAIN


@dataclass(frozen=True, slots=True)
class QueueView:
    """A queue: jobs that can run, jobs that wait for resources, workers with free slots."""

    name: str
    ready: int
    waiting: int
    idle_workers: int


@dataclass(frozen=True, slots=True)
class SessionView:
    """A process: when it lapses unless it beats (epoch seconds), how much hangs on it, what it says of itself."""

    ident: str
    expires: float
    holdings: int
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Survey:
    """A namespace at one moment; of the resources one page. `more`: there may be others, `after` the last of this page.

    Pages follow each other by handing `after` to the next survey. It is a mark and not a name: the names of resources
    that only the engine knows are shown changed.
    """

    at: float
    resources: tuple[ResourceView, ...]
    queues: tuple[QueueView, ...]
    sessions: tuple[SessionView, ...]
    counters: Mapping[str, int]
    scheduled: int
    dead: int
    more: bool
    after: str = ""


def explain(scope: Scope, ident: str, holders: int = MOST_NAMED, past: int = 0) -> Operation[Explanation]:
    """Everything about one request, with so many `holders` of each need, without the first `past`. Raises NotFound."""
    raw = yield calls.explain(scope, request_id(ident), MOST_NAMED, holders, past)
    replies.expect(raw, "ok", ident=ident)
    fields, note = replies.fields(raw[2]), replies.fields(raw[3])
    place = raw[5] or (None, None, None, None)
    return Explanation(
        ident=ident,
        kind=fields.get("kind", ""),
        state=State(fields["state"]),
        priority=Priority.of(number(fields.get("priority", 1))),
        at=number(raw[1]) / 1000,
        asked=number(fields.get("stamp", 0)) / 1_000_000,
        owner=note.get("owner", ""),
        reason=note.get("reason", ""),
        metadata=metadata_of(note.get("metadata", "")),
        fields=fields,
        needs=tuple(_need_view(one) for one in raw[4]),
        queue_place=None if place[0] is None else number(place[0]),
        queue_length=None if place[1] is None else number(place[1]),
        idle_workers=None if place[2] is None else number(place[2]),
        due=float(text(raw[6])) / 1000 if text(raw[6]) else None,
        gate=_gate_view(fields, raw[7]) if raw[7] else None,
        share=_share_view(place[4:]) if place[4:] else None,
        on_offer=None if place[3] is None else number(place[3]),
    )


def _share_view(words: Raw) -> ShareView:
    weights = text(words[0]).split()[1].split(":")
    standing = number(words[1]) if text(words[1]) else None
    return ShareView(tuple(number(one) for one in weights), standing, number(words[2]))


def line(scope: Scope, resource: str, most: int = MOST_NAMED) -> Operation[LineView]:
    """One resource or subtree with its holders and the head of its line; also who holds a subtree around it, or
    something in it. Raises InvalidInput."""
    raw = yield calls.line(scope, node(resource_or_subtree(resource)), most)
    replies.expect(raw, "ok")
    at, capacity, length = (number(one) for one in raw[1:4])
    holders = (*persons_of(raw[4]), *_elsewhere((_shown(text(one[0])), persons_of(one[1])) for one in raw[6]))
    defined = Definition.of(replies.fields(raw[7]))
    return LineView(resource, at / 1000, capacity, length, holders, persons_of(raw[5]), defined)


def survey(scope: Scope, after: str = "", most: int = PAGE, prefix: str = "") -> Operation[Survey]:
    """The namespace, with one page of its resources in order of name, only those that begin with `prefix`.

    `after` is `Survey.after` of the page before, or the name of a resource.
    """
    whole(most, "most", 1, MOST_PER_PAGE)
    after, prefix = free_text(after, "after", LONGEST_MARK), free_text(prefix, "prefix")
    mark = after.removeprefix(MARK) if after.startswith(MARK) else encode(after)
    raw = yield calls.survey(scope, mark, most, encode(prefix))
    replies.expect(raw, "ok")
    return Survey(
        at=number(raw[1]) / 1000,
        resources=tuple(
            ResourceView(
                _shown(text(one[0])),
                number(one[1]),
                number(one[2]),
                replies.fields(one[3]),
                Definition.of(replies.fields(one[4])),
            )
            for one in raw[2]
        ),
        queues=tuple(
            sorted(
                (QueueView(text(one[0]), *(number(count) for count in one[1:4])) for one in raw[3]),
                key=lambda queue: queue.name,
            )
        ),
        sessions=tuple(
            SessionView(text(one[0]), float(text(one[1])) / 1000, number(one[2]), replies.fields(one[3]))
            for one in raw[4]
        ),
        counters={name: int(count) for name, count in sorted(replies.fields(raw[5]).items())},
        scheduled=number(raw[6]),
        dead=number(raw[7]),
        more=len(raw[2]) == most,
        after=MARK + text(raw[2][-1][0]) if raw[2] else "",
    )


def _gate_view(request: Mapping[str, str], raw: Raw) -> GateView:
    kind, name = shown(request.get("gate", ""))
    fields = replies.fields(raw[3:])
    until = fields.get("until") or text(raw[2])
    return GateView(
        kind=kind,
        name=name,
        place=number(raw[0]) if text(raw[0]) else None,
        waiting=number(raw[1]),
        since=number(request["gated"]) / 1000 if "gated" in request else None,
        until=float(until) / 1000 if until else None,
        fields=fields,
    )


def _need_view(raw: Raw) -> NeedView:
    resource, mode, permits, capacity, place, length, holders, ahead, frozen, around, order, crowd = raw
    others = [(_shown(text(one[0])), persons_of(one[1]), persons_of(one[2])) for one in around]
    return NeedView(
        need=need_of(resource, mode, permits),
        capacity=number(capacity),
        place=number(place) if text(place) else None,
        line_length=number(length),
        holders=(*persons_of(holders), *_elsewhere((name, have) for name, have, _ in others)),
        ahead=(*persons_of(ahead), *_elsewhere((name, want) for name, _, want in others)),
        frozen=_frozen_view(frozen) if frozen else None,
        order=text(order) or BY_PRIORITY,
        unnamed=tuple(_crowd(word) for word in text(crowd).split()),
    )


def need_of(resource: Raw, mode: Raw, permits: Raw) -> Need:
    """A need as a reply has it, for people."""
    return Need(_shown(text(resource)), "shared" if text(mode) == "s" else "exclusive", number(permits))


def _crowd(word: str) -> Crowd:
    """`s1*80`; of a request whose record is gone only the count is known."""
    what, _, count = word.partition("*")
    return Crowd(MODES.get(what[:1], ""), int(what[1:] or 0), int(count))


def _elsewhere(around: Iterable[tuple[str, tuple[Person, ...]]]) -> Iterator[Person]:
    for name, persons in around:
        yield from (replace(one, resource=name) for one in persons)


def _frozen_view(raw: Raw) -> FrozenView:
    pattern, until, by, reason = (text(word) for word in raw)
    return FrozenView(freezing.shown(pattern), int(until) / 1000, by, reason)


def _shown(name: str) -> str:
    """The name of a resource for people. One that only the engine names (the serial order of a dedup key) is shown by
    its key."""
    return f"dedup key {decode(name.partition('/')[2])}" if name.startswith(INTERNAL) else decode(name)


def persons_of(raw: Raw) -> tuple[Person, ...]:
    """The persons of a reply."""
    return tuple(_person([text(word) for word in one]) for one in raw)


def _person(words: list[str]) -> Person:
    ident, kind, state, priority, since, session, live, owner, reason, queue, name, holding = words
    # `x 1 <fence> <session> <expires ms>`; `x 1` of somebody who waits, or nothing.
    held = holding.split()
    mode, permits, fence, _, until = (*held, *NOTHING[len(held) :])
    return Person(
        ident=ident,
        kind=kind,
        state=state,
        priority=Priority.of(int(priority or 1)),
        since=int(since) / 1000 if since else None,
        session=session,
        live=live == "live",
        owner=owner,
        reason=reason,
        queue=queue,
        name=name,
        mode=MODES.get(mode, ""),
        permits=int(permits),
        until=int(until) / 1000 if until else None,
        fence=int(fence) if fence else None,
    )
