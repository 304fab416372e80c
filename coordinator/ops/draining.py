"""Draining: a freeze, and the wait until those who have what it covers are done."""

from __future__ import annotations

from collections.abc import Callable

from coordinator.errors import NotDrained
from coordinator.model.names import SUBTREE, milliseconds
from coordinator.ops import freezing, inspect, looking
from coordinator.ops.freezing import EVERYTHING, Freeze
from coordinator.wire import calls, replies
from coordinator.wire.calls import Deed, Scope
from coordinator.wire.step import Expect, Forget, Now, Operation, Wait

LOOK_AGAIN = 0.2
# For how long it waits, and what it covers stays frozen, unless something else is said; seconds.
WAIT, FROZEN = 600.0, 3600.0


def _nobody(_left: int) -> None:
    return None


def drain(
    scope: Scope, pattern: str, seconds: float, wait: float, deed: Deed, tell: Callable[[int], None] = _nobody
) -> Operation[Freeze]:
    """Freeze what a pattern covers and wait, at most so many seconds, until nobody holds any of it. `tell` is told how
    many resources are still held. Raises NotDrained, InvalidInput."""
    milliseconds(wait, "wait")
    now: float = yield Now()
    ends = now + wait
    made = yield from freezing.freeze(scope, pattern, seconds, deed)
    # Nobody sends word of it: a name under which to wait is all that is needed.
    reader: str = yield Expect(deed.call_id, own=True)
    try:
        while left := (yield from held(scope, pattern)):
            tell(len(left))
            now = yield Now()
            if now >= ends:
                raise NotDrained(pattern, wait, left)
            yield Wait(deed.call_id, min(LOOK_AGAIN, ends - now), reader)
    finally:
        yield Forget(deed.call_id, reader)
    return made


def held(scope: Scope, pattern: str) -> Operation[tuple[str, ...]]:
    """The resources of a pattern that somebody holds, and the subtrees around it."""
    # All who had it may be dead, and nobody else there to see it.
    replies.expect((yield calls.sweep(scope)), "ok")
    found: set[str] = set()
    if pattern != EVERYTHING:
        line = yield from inspect.line(scope, pattern)
        found.update(one.resource or pattern for one in line.holders)
    after = "" if pattern == EVERYTHING or pattern.endswith(SUBTREE) else None
    while after is not None:
        page = yield from looking.holders(scope, pattern, after)
        found.update(one.name for one in page.resources if one.held)
        after = page.after or None
    return tuple(sorted(found))
