"""Breakers and limits: how they stand, and what an operator does about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from coordinator.errors import InvalidInput
from coordinator.keys import encode
from coordinator.model.names import MAX_SECONDS, label, milliseconds
from coordinator.policy.rate import PARTS
from coordinator.wire import calls, replies
from coordinator.wire.calls import Deed, Scope
from coordinator.wire.gates import shown
from coordinator.wire.replies import Raw, number, text
from coordinator.wire.step import Operation

MOST = 1000
# How many of the breakers that there are an error names.
LISTED = 20


@dataclass(frozen=True, slots=True)
class BreakerView:
    """One breaker. `state` is `closed`, `open` or `half_open`. `waiting`: jobs that wait for it; `failures`: those that
    count against it while it is closed; `passed` and `probing`: probes that succeeded, and that run; `until`: when it
    lets somebody try again; `reason`: what an operator said. Times are epoch seconds by the server's clock."""

    name: str
    state: str
    waiting: int = 0
    failures: int = 0
    passed: int = 0
    probing: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LimitView:
    """One limit of rate. `kind` is `rate` or `adaptive`. `per_second` is None, and so is `tokens`, for one that only a
    handler closes; `until`: closed until then, because somebody was told to come back later."""

    kind: str
    name: str
    waiting: int = 0
    per_second: float | None = None
    burst: float | None = None
    tokens: float | None = None
    until: float | None = None


def breakers(scope: Scope) -> Operation[list[BreakerView]]:
    """All breakers, by name."""
    at, found = yield from _gates(scope, "breaker")
    return [_breaker(at, one) for one in found]


def limits(scope: Scope) -> Operation[list[LimitView]]:
    """All limits that have numbers, or are closed."""
    views = []
    for kind in ("rate", "adaptive"):
        at, found = yield from _gates(scope, kind)
        views += [_limit(at, one) for one in found]
    return [one for one in views if one.per_second is not None or one.until is not None or one.waiting]


def open_breaker(scope: Scope, name: str, seconds: float | None, deed: Deed) -> Operation[str]:
    """Open a breaker; for ever without `seconds`. Raises InvalidInput."""
    open_ms = milliseconds(MAX_SECONDS if seconds is None else seconds, "seconds", least=0.001)
    return (yield from _set(scope, name, ("open", open_ms), deed))


def close_breaker(scope: Scope, name: str, deed: Deed) -> Operation[str]:
    """Close a breaker, or forget the failures that it has counted. Raises InvalidInput."""
    return (yield from _set(scope, name, ("close", 0), deed))


def declared(scope: Scope, name: str) -> Operation[None]:
    """Raises InvalidInput, with the names that there are, if no worker has told of a breaker of that name, and nobody
    has opened one."""
    known = [one.name for one in (yield from breakers(scope))]
    # Of more than a page of them nobody can say that it is none.
    if label(name, "name") in known or len(known) >= MOST:
        return
    near = get_close_matches(name, known, LISTED)
    listed = (near + [one for one in known if one not in near])[:LISTED]
    rest = f" and {len(known) - len(listed)} more" if len(known) > len(listed) else ""
    there = f"there are {', '.join(listed)}{rest}" if known else "no worker has told of any yet"
    raise InvalidInput(
        "name", name, f"is no breaker that is known: {there}; `undeclared` (--undeclared) takes it all the same"
    )


def _set(scope: Scope, name: str, event: tuple[str, int], deed: Deed) -> Operation[str]:
    raw = yield calls.set_breaker(scope, encode(label(name, "name")), *event, deed)
    replies.expect(raw, "ok")
    return text(raw[1])


@dataclass(frozen=True, slots=True)
class _Gate:
    gate: str
    waiting: int
    fields: Mapping[str, str]


def _gates(scope: Scope, kind: str) -> Operation[tuple[float, list[_Gate]]]:
    raw = yield calls.gates(scope, kind, MOST)
    replies.expect(raw, "ok")
    found = [_gate(one) for one in raw[2]]
    return number(raw[1]) / 1000, sorted(found, key=lambda one: one.gate)


def _gate(raw: Raw) -> _Gate:
    return _Gate(text(raw[0]), number(raw[1]), replies.fields(raw[3:]))


def _breaker(at: float, one: _Gate) -> BreakerView:
    fields = one.fields
    until, state = _seconds(fields, "until"), fields.get("state", "closed")
    if state == "open" and until is not None and until <= at:
        state, until = "half_open", None
    return BreakerView(
        shown(one.gate)[1],
        state,
        one.waiting,
        len(fields.get("failed", "").split()),
        number(fields.get("passed", 0)),
        tuple(run.rpartition(":")[0] for run in fields.get("probing", "").split()),
        _seconds(fields, "since") if state != "closed" else None,
        until,
        fields.get("why", ""),
    )


def _limit(at: float, one: _Gate) -> LimitView:
    kind, name = shown(one.gate)
    # The terms that it was used with last, else those that a worker has told.
    numbers = [int(word) for word in one.fields.get("terms", "").split(":") if word]
    rate, burst = None, None
    if numbers and kind == "rate":
        burst, rate = float(numbers[0]), numbers[1] / 1000
    elif numbers:
        rate = float(one.fields.get("pace", numbers[0] / 1000))
        burst = max(1.0, rate)
    until = _seconds(one.fields, "until")
    closed = until if until is not None and until > at else None
    return LimitView(kind, name, one.waiting, rate, burst, _tokens(at, one.fields, rate, burst), closed)


def _tokens(at: float, fields: Mapping[str, str], rate: float | None, burst: float | None) -> float | None:
    if rate is None or burst is None:
        return None
    if "tokens" not in fields:
        return burst
    return min(burst, number(fields["tokens"]) / PARTS + max(0.0, at - number(fields["at"]) / 1_000_000) * rate)


def _seconds(fields: Mapping[str, str], name: str) -> float | None:
    value = fields.get(name)
    return number(value) / 1000 if value else None
