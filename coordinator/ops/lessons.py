"""What the fleet has learnt of handlers: how far their timeouts are escalated, and how their retries fared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from coordinator.errors import Corrupt
from coordinator.policy.backoff import LAST_OCTAVE, Record, Tally
from coordinator.policy.escalation import MAX_LEVEL, USUAL, Escalation, EscalationPolicy
from coordinator.wire import calls, replies
from coordinator.wire.calls import Scope
from coordinator.wire.replies import number, text
from coordinator.wire.step import Operation

# One script looks at so many.
MOST_ASKED = 64
AFTER = "after:"
WORDS = 3


@dataclass(frozen=True, slots=True)
class Learnt:
    """Of one handler."""

    escalation: Escalation = field(default_factory=Escalation)
    record: Record = field(default_factory=dict)


NOTHING_LEARNT = Learnt()


def learnt(scope: Scope, names: Sequence[str], policy: EscalationPolicy = USUAL) -> Operation[dict[str, Learnt]]:
    """What is known of some handlers, which are escalated by that policy."""
    found: dict[str, Learnt] = {}
    for first in range(0, len(names), MOST_ASKED):
        asked = names[first : first + MOST_ASKED]
        raw = yield calls.handlers(scope, asked)
        replies.expect(raw, "ok")
        now = number(replies.part(raw, 1))
        for name, one in zip(asked, raw[2:], strict=True):
            found[name] = _learnt(replies.fields(one), now, policy)
    return found


def _learnt(fields: Mapping[str, str], now: int, policy: EscalationPolicy) -> Learnt:
    level = number(fields.get("level", 0))
    if not 0 <= level <= MAX_LEVEL:
        raise Corrupt("a handler is escalated to a level that there is not")
    record = {
        number(name.removeprefix(AFTER)): _tally(value, now) for name, value in fields.items() if name.startswith(AFTER)
    }
    if any(not 0 <= octave <= LAST_OCTAVE for octave in record):
        raise Corrupt("retries are counted after a delay that there is not")
    return Learnt(Escalation(level, number(fields.get("late", 0)), policy), record)


def _tally(value: str, now: int) -> Tally:
    """`3500 1000 1700000000000`: tries and successes in thousandths, and when they were last counted."""
    words = [number(one) for one in text(value).split()]
    if len(words) != WORDS:
        raise Corrupt("retries are not counted as Coordinator counts them")
    tries, successes, at = words
    return Tally(tries / 1000, min(successes, tries) / 1000).after((now - at) / 1000)
