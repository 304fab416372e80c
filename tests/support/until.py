"""Waiting in tests: for a condition, with a deadline, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LOOK = 0.005
# On a busy machine both stand still, the one that looks and what it looks at. The latter has more to do, so for each
# second that the former loses it is given so many more.
STANDS = 5


def until(condition: Callable[[], T], seconds: float = 10.0, what: str = "") -> T:
    """The first true value of `condition`; fails after `seconds`, and as many more as the machine took from us."""
    ends = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        before = time.monotonic()
        if before > ends:
            raise AssertionError(f"not within {seconds} s: {what or condition}")
        time.sleep(LOOK)
        ends += lost_since(before)


def lost_since(before: float) -> float:
    """By how much longer to wait, after a sleep of `LOOK` that began then."""
    return STANDS * max(0.0, time.monotonic() - before - 2 * LOOK)
