"""Who is to have what is taken from somebody or handed on: a request by its id, or the one of an owner."""

from __future__ import annotations

from collections.abc import Sequence

from coordinator.errors import MOST_SHOWN, InvalidInput
from coordinator.model.names import SUBTREE, in_subtree, request_id
from coordinator.model.states import State
from coordinator.ops import inspect, looking, operator
from coordinator.ops.looking import Possession
from coordinator.wire.calls import Deed, Scope
from coordinator.wire.step import Operation

WAITS = (State.WAITING, State.READY)


def transfer(scope: Scope, ident: str, to: str, to_owner: str, deed: Deed) -> Operation[str]:
    """As `operator.transfer`, to a request or to an owner."""
    heir = yield from chosen(scope, ident, to, to_owner)
    return (yield from operator.transfer(scope, ident, heir, deed))


def hand_over(scope: Scope, ident: str, fence: int, to: str, to_owner: str, deed: Deed) -> Operation[str]:
    """As `operator.hand_over`, to a request or to an owner."""
    heir = yield from chosen(scope, ident, to, to_owner)
    return (yield from operator.hand_over(scope, ident, fence, heir, deed))


def chosen(scope: Scope, ident: str, to: str, to_owner: str) -> Operation[str]:
    """The id of the request that is meant: `to`, or that of the owner which waits for what the one with `ident` has.

    Raises InvalidInput unless exactly one is named, and unless the owner has exactly one; NotFound.
    """
    if bool(to) == bool(to_owner):
        raise InvalidInput("to", to, "give either the id of a request that waits, or whose it is")
    if not to_owner:
        return to
    found = yield from _fitting(scope, ident, to_owner)
    if not found:
        raise InvalidInput("to_owner", to_owner, "must have a request that waits for what is handed on, and has none")
    if len(found) > 1:
        some = ", ".join(found[:MOST_SHOWN])
        raise InvalidInput(
            "to_owner", to_owner, f"has several requests that wait for that: name one by its id ({some})"
        )
    return found[0]


def _fitting(scope: Scope, ident: str, owner: str) -> Operation[list[str]]:
    taken = yield from inspect.explain(scope, request_id(ident))
    resources = [one.need.resource for one in taken.needs]
    found: list[str] = []
    after: str | None = ""
    while after is not None and len(found) <= 1:
        page = yield from looking.held_by(scope, owner, after)
        found += [one.request.ident for one in page.requests if _fits(one, resources)]
        after = page.after or None
    return found


def _fits(one: Possession, resources: Sequence[str]) -> bool:
    who = one.request
    # A job is nobody's to keep alive.
    if who.state not in WAITS or (who.kind == "lock" and not who.live):
        return False
    return any(_meet(need.resource, other) for need in one.needs for other in resources)


def _meet(one: str, other: str) -> bool:
    """Whether they are the same, or one is a subtree that the other lies in."""
    return one == other or any(b.endswith(SUBTREE) and in_subtree(a, b) for a, b in ((one, other), (other, one)))
