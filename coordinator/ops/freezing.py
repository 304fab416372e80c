"""Freezes: resources that are granted to nobody for a time, with a reason; everybody keeps their place in line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from coordinator.errors import IllegalTransition, InvalidInput, NotFrozen
from coordinator.keys import decode
from coordinator.model.names import SUBTREE, milliseconds, request_id, resource_name
from coordinator.wire import calls, replies
from coordinator.wire.calls import Deed, Scope
from coordinator.wire.needs import node
from coordinator.wire.replies import Raw, number, text
from coordinator.wire.step import Operation

EVERYTHING = "**"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LEAST_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Freeze:
    """What is not granted. `until` and `since` are epoch seconds by the server's clock."""

    pattern: str
    until: float
    since: float | None = None
    by: str = ""
    reason: str = ""


def to_wire(pattern: str) -> str:
    """A pattern as it stands in keys: a resource, `path/**` for it and all below it, `**` for all. Raises
    InvalidInput."""
    if pattern == EVERYTHING:
        return pattern
    below = str(pattern).endswith(SUBTREE)
    if "*" in str(pattern).removesuffix(SUBTREE):
        raise InvalidInput("pattern", pattern, "must be a resource, `path/**` for it and all below it, or `**` for all")
    resource_name(str(pattern).removesuffix(SUBTREE) if below else pattern, "pattern")
    return node(pattern)


def shown(pattern: str) -> str:
    """The pattern that `to_wire` was given."""
    if pattern == EVERYTHING:
        return pattern
    return decode(pattern)


def freeze(scope: Scope, pattern: str, seconds: float, deed: Deed) -> Operation[Freeze]:
    """Stop granting what the pattern covers for so many seconds. Raises InvalidInput, also where there are too many."""
    ms = milliseconds(seconds, "seconds", least=LEAST_SECONDS)
    raw = yield calls.freeze(scope, to_wire(pattern), ms, deed)
    replies.expect(raw, "ok", "too_many")
    return _frozen(raw, pattern, deed)


def freeze_until(scope: Scope, pattern: str, until: object, deed: Deed) -> Operation[Freeze]:
    """Stop granting what the pattern covers until a moment, by the server's clock. Raises InvalidInput, also where
    that is over."""
    if not isinstance(until, datetime) or until.utcoffset() is None:
        raise InvalidInput("until", until, "must be a datetime with a time zone, as datetime.now(UTC) has one")
    ms = (until - EPOCH) // timedelta(milliseconds=1)
    raw = yield calls.freeze(scope, to_wire(pattern), "", deed, ms)
    if replies.expect(raw, "ok", "too_many", "amiss") == "amiss":
        now = EPOCH + timedelta(milliseconds=number(raw[1]))
        raise InvalidInput("until", until.isoformat(), f"must be later than now, at most ten years; it is {now:%FT%TZ}")
    return _frozen(raw, pattern, deed)


def for_or_until(
    scope: Scope, pattern: str, seconds: float | None, until: datetime | None, deed: Deed
) -> Operation[Freeze]:
    """The one or the other. Raises InvalidInput, also if neither is given, or both are."""
    if seconds is not None and until is None:
        return freeze(scope, pattern, seconds, deed)
    if until is not None and seconds is None:
        return freeze_until(scope, pattern, until, deed)
    raise InvalidInput("until", until, "give either for how many seconds, or until when")


def _frozen(raw: Raw, pattern: str, deed: Deed) -> Freeze:
    if text(raw[0]) == "too_many":
        raise InvalidInput("pattern", pattern, f"is one too many: at most {number(raw[1])} are frozen; thaw one first")
    return Freeze(pattern, number(raw[1]) / 1000, by=deed.by, reason=deed.reason)


def thaw(scope: Scope, pattern: str, deed: Deed) -> Operation[None]:
    """End a freeze. Raises NotFrozen, InvalidInput."""
    known = to_wire(pattern)
    frozen = [one.pattern for one in (yield from freezes(scope))]
    if pattern not in frozen:
        raise NotFrozen(pattern, frozen)
    raw = yield calls.thaw(scope, known, deed)
    # Not frozen: it has ended since, or this is a repeated call.
    replies.expect(raw, "ok", "not_frozen")


def freezes(scope: Scope) -> Operation[list[Freeze]]:
    """What is frozen, by pattern."""
    raw = yield calls.freezes(scope)
    replies.expect(raw, "ok")
    return sorted((_freeze(one) for one in raw[2]), key=lambda one: one.pattern)


def let_pass(scope: Scope, ident: str, deed: Deed) -> Operation[str]:
    """Let a request that waits have what is frozen, as the first in all its lines. Returns its state then.

    Raises IllegalTransition if it does not wait, NotFound.
    """
    raw = yield calls.let_pass(scope, request_id(ident), deed)
    if replies.expect(raw, "ok", "refused", ident=ident) == "refused":
        raise IllegalTransition(text(raw[1]), "let pass")
    return text(raw[1])


def _freeze(raw: Raw) -> Freeze:
    pattern, until, since, by, reason = (text(word) for word in raw)
    return Freeze(shown(pattern), int(until) / 1000, int(since) / 1000, by, reason)
