"""Following what becomes of resources: the events of the namespace, by what their requests need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from coordinator.errors import InvalidInput
from coordinator.keys import decode
from coordinator.model.names import SUBTREE
from coordinator.ops import freezing
from coordinator.ops.history import EVENT_ID, MOST_EVENTS, Happening, happening_of
from coordinator.policy.pattern import Pattern
from coordinator.policy.pattern import pattern as parsed
from coordinator.wire import looks, replies
from coordinator.wire.calls import Scope
from coordinator.wire.needs import from_wire
from coordinator.wire.replies import part, text
from coordinator.wire.step import Operation

GAP = "gap"
# What an event is to a resource, where that is another word than the event's own.
_WORDS: Mapping[str, str] = {
    **dict.fromkeys(("ask", "withdraw", "replay"), "waiting"),
    "offer": "offered",
    **dict.fromkeys(("grant", "claim"), "granted"),
    **dict.fromkeys(("release", "succeed", "fail", "bury", "retry", "snooze", "give_back"), "released"),
    **dict.fromkeys(("lose", "crash"), "lost"),
    "cancel": "cancelled",
    "expire": "expired",
    "freeze": "frozen",
    "thaw": "thawed",
    "define": "defined",
    **dict.fromkeys(("reorder", "reprioritise"), "moved"),
}
_OF_PATTERNS = ("freeze", "thaw")


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happened to resources. `at` is epoch seconds by the server's clock.

    `what`: `waiting`, `granted`, `released`, `lost`, `cancelled`, `expired`, `moved`, `offered`, `frozen`, `thawed`,
    `defined`, or the word of `event`; `gap`: some changes may be missing here. `ident` is where another watch can go on
    from. `subject` is the id of the request, or a resource or pattern; `resources` are those of it that are watched.
    """

    ident: str
    at: float
    what: str
    event: str
    subject: str
    resources: tuple[str, ...]
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the events, each with the needs of its request. `last` is the id of the last one looked at."""

    at: float
    last: str
    gap: bool
    happenings: tuple[tuple[Happening, str], ...]


def checked(pattern: object, after: object) -> tuple[Pattern, str]:
    """The pattern of a watch, and the event that it goes on from. Raises InvalidInput."""
    if after == "":
        return parsed(pattern), ""
    if not isinstance(after, str) or not EVENT_ID.fullmatch(after):
        raise InvalidInput("after", after, "must be the id of an event, such as 1700000000000-0")
    return parsed(pattern), after if "-" in after else f"{after}-0"


def page(scope: Scope, after: str, most: int = MOST_EVENTS) -> Operation[Page]:
    """The events after one that was seen; with none named, only from where to go on."""
    raw = yield looks.changes(scope, after, most)
    gap = replies.expect(raw, "ok", GAP) == GAP
    found = tuple((happening_of(one), text(part(one, 2))) for one in part(raw, 3))
    return Page(replies.number(raw[1]) / 1000, text(raw[2]), gap, found)


def changes(found: Page, watched: Pattern, after: str) -> Iterator[Change]:
    """What of a page is about what is watched. A gap comes first, under the id that was asked for."""
    if found.gap:
        yield Change(after, found.at, GAP, GAP, "", (), {})
    for one, needs in found.happenings:
        subject, names = _about(one, needs)
        if one.event in _OF_PATTERNS:
            if _meets(watched, subject):
                yield _change(one, subject, (subject,))
        elif covered := tuple(name for name in names if _covers(watched, name)):
            yield _change(one, subject, covered)


def _covers(watched: Pattern, name: str) -> bool:
    """Whether something that is needed is watched: of a subtree it is enough that a part is."""
    return _meets(watched, name) if name.endswith(SUBTREE) else watched.covers(name)


def _meets(watched: Pattern, other: str) -> bool:
    try:
        return watched.meets(parsed(other))
    except InvalidInput:  # no pattern of anybody's
        return False


def _about(one: Happening, needs: str) -> tuple[str, list[str]]:
    """The subject of an event for people, and the resources it is about."""
    if one.event in _OF_PATTERNS:
        return freezing.shown(one.subject), []
    if one.event == "define":
        return decode(one.subject), [decode(one.subject)]
    return one.subject, [need.resource for need in from_wire(needs)]


def _change(one: Happening, subject: str, names: tuple[str, ...]) -> Change:
    fields = {name: value for name, value in one.fields.items() if name != "needs"}
    return Change(one.ident, one.at, _WORDS.get(one.event, one.event), one.event, subject, names, fields)
