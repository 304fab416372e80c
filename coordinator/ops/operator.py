"""What an operator does to the requests of others: take away, hand over, move in line; and the record of it all."""

from __future__ import annotations

from coordinator.errors import Frozen, IllegalTransition, InvalidInput, LeaseLost, NotFound
from coordinator.keys import decode
from coordinator.model.lease import Explanation, Grant
from coordinator.model.names import one_of, request_id, text
from coordinator.model.states import State
from coordinator.ops import inspect, locks
from coordinator.ops.history import MOST_EVENTS, Happening, page, readable
from coordinator.policy.robbing import to_be_robbed
from coordinator.wire import calls, replies
from coordinator.wire.calls import Deed, LockAsk, Scope
from coordinator.wire.step import Forget, Operation

PLACES = ("front", "back", "before")
MAX_BY = 128
UNGIVEN = "no reason given"
# How many holders one look shows; and how many looks in a row may lead to nothing, because a holder or the request was
# gone by the time of the transfer.
HOLDERS_PER_LOOK = 200
MAX_ROUNDS = 64
# How long a steal that is not to wait may stand in line while it takes what it needs.
AT_ONCE_MS = 10_000
_COMMON = "it waits for nothing of that"
_HOW_UNFIT = {
    "waiting": _COMMON,
    "ready": _COMMON,
    "lapsed": "its process is gone, or its time is over",
}


def deed(by: str, reason: str | None, call_id: str) -> Deed:
    """Who does it and why. None gives no reason; a blank one is refused. Raises InvalidInput."""
    return reasoned(by, UNGIVEN if reason is None else reason, call_id)


def reasoned(by: str, reason: str, call_id: str) -> Deed:
    """The same for what takes from others or keeps them waiting: they will read why. Raises InvalidInput."""
    if not text(reason, "reason").strip():
        raise InvalidInput("reason", reason, "must say why: it goes on record, and whoever is concerned reads it")
    return Deed(text(by, "by", MAX_BY), reason, call_id)


def force(scope: Scope, ident: str, deed: Deed) -> Operation[str]:
    """Take a held lock or a running job away from its holder. Returns its state then. Raises IllegalTransition."""
    raw = yield calls.force(scope, request_id(ident), "", deed)
    if replies.expect(raw, "ok", "refused", ident=ident) == "refused":
        raise IllegalTransition(replies.text(raw[1]), "release")
    return replies.text(raw[1])


def transfer(scope: Scope, ident: str, to: str, deed: Deed) -> Operation[str]:
    """Take a held lock or a running job away for another request that waits. Returns the state of that one then.

    Raises IllegalTransition if the one holds nothing, InvalidInput if the other does not wait, has lapsed, or needs
    nothing in common, Frozen, NotFound.
    """
    return (yield from _transfer(scope, ident, to, deed, "transfer"))


def _transfer(scope: Scope, ident: str, to: str, deed: Deed, verb: str) -> Operation[str]:
    raw = yield calls.transfer(scope, request_id(ident), "", request_id(to), deed, verb)
    word = replies.expect(raw, "ok", "refused", "unfit", "barred", ident=ident)
    if word == "refused":
        raise IllegalTransition(replies.text(raw[1]), verb)
    return _heir(raw, word, to)


def steal(scope: Scope, asked: LockAsk, seconds: float, deed: Deed) -> Operation[Grant | None]:
    """Have a lock that others hold: stand in line, however full, and be transferred what those hold who are in the way,
    the least urgent first, until it is granted. After 0 `seconds` it does not wait for what is left then. Raises as
    `locks.acquire`."""
    asked = asked._replace(trying=False, stealing=True, wait_ms=AT_ONCE_MS if asked.trying else asked.wait_ms)
    return locks.acquire(scope, asked, seconds, lambda: _clear_the_way(scope, asked.ident, deed))


def _clear_the_way(scope: Scope, ident: str, deed: Deed) -> Operation[None]:
    in_vain, in_front = 0, False
    while in_vain < MAX_ROUNDS:
        found = yield from _with_all_holders(scope, ident)
        holders = to_be_robbed(found)
        if found[0].state != State.WAITING or (in_front and not holders):
            return  # what is left to wait for is nothing that somebody holds: it is frozen, say
        in_vain += 1
        try:
            if not holders:
                yield from reorder(scope, ident, "front", "", deed)
                in_front = True
            for holder in holders:
                if (yield from _transfer(scope, holder, ident, deed, "steal")) == State.HELD:
                    return
                in_vain = 0
        except (IllegalTransition, InvalidInput, NotFound):
            continue  # one of the two has what it wants by now, or is gone


def _with_all_holders(scope: Scope, ident: str) -> Operation[list[Explanation]]:
    """Looks at a request that show, one after the other, all who hold what it needs."""
    looks: list[Explanation] = []
    while not looks or any(
        sum(not one.resource for one in need.holders) == HOLDERS_PER_LOOK for need in looks[-1].needs
    ):
        looks.append((yield from inspect.explain(scope, ident, HOLDERS_PER_LOOK, len(looks) * HOLDERS_PER_LOOK)))
    return looks


def hand_over(scope: Scope, ident: str, fence: int, to: str, deed: Deed) -> Operation[str]:
    """Give a held lock to another request that waits. Returns the state of that one then.

    Raises LeaseLost, InvalidInput, Frozen, NotFound.
    """
    raw = yield calls.hand_over(scope, ident, fence, request_id(to), deed)
    word = replies.expect(raw, "ok", "lost", "unfit", "barred", ident=ident)
    if word not in ("unfit", "barred"):
        yield Forget(ident)
    if word == "lost":
        raise LeaseLost(ident, replies.text(raw[1]))
    return _heir(raw, word, to)


def reorder(scope: Scope, ident: str, place: str, before: str, deed: Deed) -> Operation[str]:
    """Give a request that waits another place in its lines or its queue. Returns its state then.

    Raises IllegalTransition if it does not wait, InvalidInput if there is no room, NotFound if either is not there.
    """
    other = request_id(before) if one_of(place, "place", PLACES) == "before" else ""
    if other == ident:
        raise InvalidInput("before", before, "must be another request than the one that is to move")
    raw = yield calls.reorder(scope, request_id(ident), place, other, deed)
    if other and replies.text(raw[0]) == "gone" and replies.text(raw[1]) == other:
        found = yield from inspect.explain(scope, other)
        raise InvalidInput("before", other, f"must be a request that waits: it is {found.state}")
    word = replies.expect(raw, "ok", "refused", "crowded", ident=replies.text(raw[1]) if len(raw) > 1 else ident)
    if word == "refused":
        raise IllegalTransition(replies.text(raw[1]), "reorder")
    if word == "crowded":
        raise InvalidInput(
            "before", before, "has somebody directly before it; move it behind that one, or to the front"
        )
    return replies.text(raw[1])


def audit(scope: Scope, after: str = "", most: int = MOST_EVENTS) -> Operation[tuple[Happening, ...]]:
    """What persons did: the newest, or those after the one with the id `after`; the oldest first. Raises
    InvalidInput."""
    found = yield from page(calls.audit, scope, after, most)
    return tuple(readable(one) for one in found)


def _heir(raw: replies.Raw, word: str, to: str) -> str:
    state = replies.text(raw[1])
    if word == "ok":
        return state
    if word == "barred":
        raise Frozen(decode(state), replies.text(raw[3]))
    how = _HOW_UNFIT.get(state) or f"it is {state or 'gone'}"
    raise InvalidInput("to", to, f"must be a request that waits for what is handed on: {how}")
