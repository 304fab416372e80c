"""Fences as the helpers take and compare them."""

from __future__ import annotations

from typing import Protocol

from coordinator.errors import InvalidInput, StaleFence

# Larger ones are not whole numbers in Lua and JavaScript; ours reach that in the year 2255.
MOST = 2**53


class Holds(Protocol):
    """Anything with a fence: a lease, a leadership, a compatible lock."""

    @property
    def fence(self) -> int:
        """The fence."""


Fence = int | Holds


def number(fence: Fence) -> int:
    """The fence as a number. Raises InvalidInput."""
    given: object = fence
    found = given if isinstance(given, int) else getattr(given, "fence", given)
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found <= MOST:
        raise InvalidInput("fence", found, f"must be a whole number from 0 to {MOST}, or what has one: a lease")
    return found


def check(what: str, fence: int, newest: int) -> None:
    """Raises StaleFence if something was written under a newer one."""
    if newest > fence:
        raise StaleFence(what, fence, newest)
