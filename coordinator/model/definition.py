"""What a resource is defined with: how many may have it, in which order it is granted, and within which limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from coordinator.errors import InvalidInput
from coordinator.model.names import milliseconds, one_of, whole
from coordinator.model.need import MAX_PERMITS

BY_PRIORITY = "priority"
MODES = (BY_PRIORITY, "oldest_first", "newest_first", "newest_ready_first", "unordered")
MAX_LINE = 10**7
LEAST_HOLD = 0.05
_NOT_OF_SUBTREES = ("capacity", "mode")


class Terms(TypedDict, total=False):
    """What can be defined of a resource, each alone; None is what holds where nothing is defined."""

    capacity: int | None
    mode: str | None
    max_line: int | None
    max_hold: float | None
    lock_delay: float | None


@dataclass(frozen=True, slots=True)
class Definition:
    """How a resource is granted. Times are seconds; None: as the settings of the namespace say.

    `capacity`: permits. `mode`: the order of its line. `max_line`: waiters. `max_hold`: how long one grant lasts at
    most. `lock_delay`: for how long nobody is granted it after a crash of a holder; `delayed_until`: until when that is
    so now (epoch seconds). `reordering`: its line is being put into the order of another mode.
    """

    capacity: int = 1
    mode: str = BY_PRIORITY
    max_line: int | None = None
    max_hold: float | None = None
    lock_delay: float | None = None
    delayed_until: float | None = None
    reordering: bool = False

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> Definition:
        """From the fields that Redis has of it; those that cannot be read count as not defined."""
        known = {name: int(value) for name, value in fields.items() if value.isdecimal()}
        mode = fields.get("mode", BY_PRIORITY)
        delayed = fields.get("delayed", "").partition(" ")[0]
        return cls(
            capacity=known.get("capacity", 1),
            mode=mode if mode in MODES else BY_PRIORITY,
            max_line=known.get("max_line"),
            max_hold=_seconds(known.get("max_hold")),
            lock_delay=_seconds(known.get("lock_delay")),
            delayed_until=int(delayed) / 1000 if delayed.isdecimal() else None,
            reordering="turn" in fields,
        )


def words(terms: Mapping[str, Any], subtree: bool = False) -> dict[str, str]:
    """What is to be defined, as it stands in Redis; empty: as where nothing is defined. Raises InvalidInput.

    A subtree has no permits, and its line is by priority, as the order across the levels is.
    """
    unknown = sorted(terms.keys() - _WORDS.keys())
    if unknown or not terms:
        known = ", ".join(_WORDS)
        raise InvalidInput("define", ", ".join(unknown) or None, f"takes one or more of {known}")
    refused = [name for name in _NOT_OF_SUBTREES if subtree and name in terms]
    if refused:
        raise InvalidInput("define", ", ".join(refused), "cannot be defined of a subtree")
    return {name: "" if value is None else _WORDS[name](value) for name, value in terms.items()}


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000


def _mode(value: object) -> str:
    mode = one_of(value, "mode", MODES)
    return "" if mode == BY_PRIORITY else mode


_WORDS: dict[str, Callable[[Any], str]] = {
    "capacity": lambda value: str(whole(value, "capacity", 1, MAX_PERMITS)),
    "mode": _mode,
    "max_line": lambda value: str(whole(value, "max_line", 1, MAX_LINE)),
    "max_hold": lambda value: str(milliseconds(value, "max_hold", least=LEAST_HOLD)),
    "lock_delay": lambda value: str(milliseconds(value, "lock_delay") or ""),
}
