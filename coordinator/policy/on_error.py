"""What a handler's rules say about an exception: retry, give up, or snooze.

Of the classes that have a rule the most specific one of the exception wins, in the order of Python's own method
resolution. Of an exception group each exception inside counts by its own rule, else by that of the groups around it.
If they disagree: one that is to be given up ends the job, for it would come again; else one that is to be retried, or
that has no rule, makes it a failed attempt; it is snoozed, for the longest time, only if all are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from coordinator.errors import InvalidInput
from coordinator.model.names import milliseconds, one_of
from coordinator.policy.outcome import Snooze

RETRY: Literal["retry"] = "retry"
GIVE_UP: Literal["give up"] = "give up"
Action = Literal["retry", "give up"] | Snooze
Rules = Mapping[type[BaseException], Action]
NO_RULES: Rules = {}
# Of a larger group the others do not count.
MOST_LOOKED_INTO = 1000


@dataclass(frozen=True, slots=True)
class Ruled:
    """What is to happen, and the name of the exception whose rule says so."""

    action: Action
    of: str


def checked(given: object) -> Rules:
    """Rules as a handler is given them. Raises InvalidInput."""
    if given is None:
        return NO_RULES
    if not isinstance(given, Mapping):
        raise InvalidInput("on_error", given, "must map classes of exceptions to what to do")
    for kind, action in given.items():
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise InvalidInput("on_error", kind, "must be a class of exceptions")
        if isinstance(action, Snooze):
            milliseconds(action.delay, "Snooze.delay")
        else:
            one_of(action, "on_error", (RETRY, GIVE_UP))
    return dict(given)


def find(rules: Rules, error: BaseException) -> Ruled | None:
    """What the rules say of an exception; None if they say nothing, and it is retried as the policy has it."""
    if not rules:
        return None
    found = _inside(rules, error)
    decided = [one for one in found if one is not None]
    for wanted in (GIVE_UP, RETRY):
        for one in decided:
            if one.action == wanted:
                return one
    return max(decided, key=_pause) if len(decided) == len(found) else None


def _pause(ruled: Ruled) -> float:
    return ruled.action.delay if isinstance(ruled.action, Snooze) else 0.0


def _inside(rules: Rules, error: BaseException) -> list[Ruled | None]:
    """One entry for each exception that is no group."""
    found: list[Ruled | None] = []
    open_ones: list[tuple[BaseException, Ruled | None]] = [(error, None)]
    while open_ones and len(found) < MOST_LOOKED_INTO:
        one, around = open_ones.pop()
        own = _of_class(rules, type(one)) or around
        if isinstance(one, BaseExceptionGroup):
            open_ones.extend((inner, own) for inner in one.exceptions)
        else:
            found.append(own)
    return found


def _of_class(rules: Rules, kind: type[BaseException]) -> Ruled | None:
    for one in kind.__mro__:
        if one in rules:
            return Ruled(rules[one], one.__name__)
    return None
