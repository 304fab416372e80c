"""Which thread, or which task, got what by an object that several may enter at a time, and each more than once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Container
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from coordinator.errors import InvalidInput

# Which of several is meant.
OLDEST, LATEST = 0, -1


class Held(Protocol):
    """A lease."""

    @property
    def held(self) -> bool: ...


L = TypeVar("L", bound=Held)


class Entry(NamedTuple, Generic[L]):
    """A lease, and the thread or the task that got it."""

    who: object
    lease: L


class Entered(Generic[L]):
    """All that was entered and not left, the latest last.

    Takes no lock, for a process may be forked at any moment: each step is one of a list.
    """

    def __init__(self) -> None:
        self._all: list[Entry[L]] = []

    def __len__(self) -> int:
        return len(self._all)

    def add(self, who: object, lease: L) -> None:
        """Somebody has entered."""
        self._all.append(Entry(who, lease))

    def has(self, who: object) -> bool:
        """Whether somebody has entered and not left."""
        return any(one.who is who for one in list(self._all))

    def latest(self, who: object) -> L | None:
        """What somebody has got last, or else anybody."""
        found = list(self._all)
        mine = [one for one in found if one.who is who] or found
        return mine[-1].lease if mine else None

    def take(self, who: object, own: int = LATEST, others: int = OLDEST) -> Entry[L] | None:
        """What somebody gives back: of what they have got themselves, held or lost, the one that `own` says. Who has
        nothing gives back what another has: of those that are held, or else were lost, the one that `others` says."""
        while True:
            found = list(self._all)
            mine = [one for one in found if one.who is who]
            rest = [one for one in found if one.lease.held] or found
            if not found:
                return None
            chosen = mine[own] if mine else rest[others]
            # Where another thread was quicker, there is something else to choose from.
            with contextlib.suppress(ValueError):
                self._all.remove(chosen)
                return chosen

    def leave(self, who: object, gone: Callable[[Any], bool]) -> L | None:
        """What somebody leaves: the latest that they have entered themselves, held or lost. Under `asyncio.wait_for`,
        another task may enter than the one that leaves: who has entered nothing leaves what was lost by those that are
        `gone`, or the latest that they have entered, or the only one there is. None if nothing is left. Raises
        InvalidInput where it would be that of somebody who is still there."""
        while True:
            found = list(self._all)
            mine = [one for one in found if one.who is who]
            orphans = [one for one in found if gone(one.who)]
            lost = [one for one in orphans if not one.lease.held]
            fit = mine[-1:] or lost[-1:] or orphans[-1:] or (found if len(found) == 1 else [])
            if not found:
                return None
            if not fit:
                raise InvalidInput("who", who, "has not entered the lock, and those who have are still there")
            # As in `take`.
            with contextlib.suppress(ValueError):
                self._all.remove(fit[0])
                return fit[0].lease

    def put_back(self, entry: Entry[L]) -> None:
        """It could not be given back."""
        self._all.insert(0, entry)

    def forget_lost(self, who: object, alive: Callable[[], Container[object]]) -> None:
        """Who acquires again what was lost may never give it back: that must not pile up. What was lost is forgotten of
        those that are not `alive`, and of `who` all but the last, which is what hears of it."""
        lost = [one for one in list(self._all) if not one.lease.held]
        mine = [one for one in lost if one.who is who]
        living = alive() if lost else ()
        for one in lost:
            if one in mine[:-1] or one.who not in living:
                with contextlib.suppress(ValueError):
                    self._all.remove(one)
