"""Where a request stands, and how long it will probably wait, by how long such holds took in the last 24 hours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from zlib import crc32

from coordinator.model.histogram import Histogram
from coordinator.model.lease import Expected, Explanation, NeedView, Person, Position
from coordinator.ops import inspect, timing
from coordinator.policy.adaptive import HOLD, OPERATION, OTHER
from coordinator.policy.forecast import Hold, Standing, Turn, forecast
from coordinator.wire.calls import Scope
from coordinator.wire.step import Operation

# Lines that are looked at: those in which the request stands furthest back.
MOST_LINES = 8

History = Mapping[str, Histogram]


def position(scope: Scope, ident: str) -> Operation[Position]:
    """Where a request stands, whom it waits for, and how long that will probably take. Raises NotFound."""
    found = yield from inspect.explain(scope, ident)
    waiting = [one for one in found.needs if one.place is not None]
    if not waiting:
        return Position(ident, found.state, found.queue_place, found.queue_length or 0)
    worst = max(waiting, key=lambda one: one.place or 0)
    blockers = {one.ident: one for need in waiting for one in (*need.holders, *need.ahead)}
    expected = yield from expect(scope, found)
    frozen = tuple(dict.fromkeys(one.frozen for one in waiting if one.frozen is not None))
    return Position(ident, found.state, worst.place, worst.line_length, tuple(blockers.values()), expected, frozen)


def expect(scope: Scope, found: Explanation) -> Operation[Expected | None]:
    """How long a request that stands in line will probably wait; None if it does not, or of one of its lines nothing is
    known."""
    waiting = sorted((one for one in found.needs if one.place is not None), key=lambda one: -(one.place or 0))
    lines = waiting[:MOST_LINES]
    if not lines:
        return None
    names = dict.fromkeys(name for line in lines for name in _names(line))
    views = yield from timing.look(scope, list(names)[: timing.MOST_LISTED])
    history = {one.key: one.seen.latencies for one in views}
    return forecast(_standing(line, history, found.at) for line in lines)


def _names(line: NeedView) -> Iterable[str]:
    """Under what the holds that matter to a line are counted."""
    yield timing.key_of(HOLD, line.need.resource)
    yield f"{HOLD}/{OTHER}"
    for one in (*line.holders, *line.ahead):
        if one.kind == "job" and one.name:
            yield timing.key_of(OPERATION, one.name)


def _standing(line: NeedView, history: History, at: float) -> Standing:
    usual = history.get(timing.key_of(HOLD, line.need.resource)) or history.get(f"{HOLD}/{OTHER}") or Histogram()
    unnamed = [one for crowd in line.unnamed for one in [crowd] * crowd.many]
    before = [
        *(_turn(one, line, history, usual) for one in line.ahead),
        *(Turn(usual, _shares(one.mode), max(1, one.permits), at) for at, one in enumerate(unnamed)),
    ]
    return Standing(
        holds=[Hold(_turn(one, line, history, usual), *_times(one, at)) for one in line.holders],
        before=before,
        more=max(0, (line.place or 0) - len(before)),
        usual=usual,
        capacity=line.capacity,
        frozen=max(0.0, line.frozen.until - at) if line.frozen else 0.0,
        shared=_shares(line.need.mode),
        permits=line.need.permits,
    )


def _turn(one: Person, line: NeedView, history: History, usual: Histogram) -> Turn:
    # Who is above or below goes together with nobody but those who share it, however many permits there are.
    permits = line.capacity if one.resource else max(1, one.permits)
    return Turn(_known(one, history, usual), _shares(one.mode), permits, crc32(one.ident.encode()))


def _shares(mode: str) -> bool:
    return mode == "shared"


def _known(one: Person, history: History, usual: Histogram) -> Histogram:
    """How long this one holds: a job by what runs of its handler take, all else by what is usual there."""
    runs = history.get(timing.key_of(OPERATION, one.name)) if one.kind == "job" and one.name else None
    return runs or usual


def _times(one: Person, at: float) -> tuple[float, float]:
    """For how long somebody has held, and in how many seconds that ends at the latest."""
    elapsed = at - one.since if one.since is not None else 0.0
    return elapsed, one.until - at if one.until is not None else float("inf")
