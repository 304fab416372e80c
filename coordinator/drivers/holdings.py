"""What is held under a session, and what the server says of it before its holder knows that it has it."""

from __future__ import annotations

import math
from typing import Generic, Protocol, TypeVar

from coordinator.policy.wheel import TICK, TimingWheel

T = TypeVar("T")
# What a holding is told when another one of the same grant takes its place.
REPLACED = "another holds it in its place"
# Remembered at most; the oldest is forgotten.
MAX_EARLY = 256


class Holding(Protocol):
    """Something that is held under the session: a lock, a running job."""

    ident: str
    fence: int
    trusted_until: float

    def lose(self, why: str) -> None:
        """Called once, from a thread of the keeper, before anybody else can have it."""

    def ask_to_yield(self, grace: float | None) -> None:
        """Somebody more urgent waits for it; a job is to be handed back within `grace` seconds, if given."""


class Holdings:
    """All that is held, and when each ends that does, on the clock of `now`. Everything under one lock.

    The watch over them sleeps until `looks_at`. Most are let go before that, and it gives timers to those that are
    still there then: timers for all were a tenth of what it costs a client to take a lock and give it back.
    """

    def __init__(self, now: float) -> None:
        self.looks_at = math.inf
        self._begin(now)

    def _begin(self, now: float) -> None:
        self._all: dict[str, Holding] = {}
        # Those that came since the watch has looked.
        self._new: dict[str, Holding] = {}
        self._wheel: TimingWheel[Holding] = TimingWheel(now)
        self._timers: dict[str, int] = {}

    def add(self, holding: Holding) -> bool:
        """Watch over it, or over its new end. True: it ends before the watch looks again, which is to be woken.

        There is one of an id, and it alone hears of its end. So another of the same grant ends the first, which would
        hear of nothing. Where a later grant takes its place, whoever holds the first has been told.
        """
        ident = holding.ident
        before = self._all.get(ident)
        if before is not None:
            self.drop(ident)
            if before is not holding and before.fence == holding.fence:
                before.lose(REPLACED)
        self._all[ident] = holding
        if holding.trusted_until >= self.looks_at:
            self._new[ident] = holding
            return False
        self._set_timer(holding)
        return True

    def drop(self, ident: str) -> None:
        """No longer watch over it."""
        if self._all.pop(ident, None) is not None and self._new.pop(ident, None) is None:
            timer = self._timers.pop(ident, None)
            if timer is not None:
                self._wheel.cancel(timer)

    def get(self, ident: str, fence: int) -> Holding | None:
        """The one that was granted with just that fence."""
        found = self._all.get(ident)
        return found if found is not None and found.fence == fence else None

    def fences(self) -> dict[str, str]:
        """The fence of each."""
        return {one.ident: str(one.fence) for one in self._all.values()}

    def take_all(self, now: float) -> list[Holding]:
        """All of them; nothing is watched over any more."""
        found = list(self._all.values())
        self._begin(now)
        return found

    def over(self, now: float) -> list[Holding]:
        """Those that cannot be trusted any longer, and are not watched over any more."""
        for one in self._new.values():
            self._set_timer(one)
        self._new.clear()
        ended = self._wheel.advance(now)
        for one in ended:
            del self._all[one.ident], self._timers[one.ident]
        return ended

    def sleep_until(self, at: float) -> float:
        """When the watch has to look again: then, if none ends before that. It must."""
        self.looks_at = min(self._wheel.wakes_at(), at)
        return self.looks_at

    def _set_timer(self, holding: Holding) -> None:
        if holding.trusted_until < math.inf:
            # A tick before: told late is told too late.
            self._timers[holding.ident] = self._wheel.schedule(holding.trusted_until - TICK, holding)


class Early(Generic[T]):
    """One word about each of some holdings whose grant is still on its way, by id and fence."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[int, T]] = {}

    def __len__(self) -> int:
        return len(self._said)

    def note(self, ident: str, fence: int, said: T) -> None:
        """Remember it."""
        self._said[ident] = fence, said
        if len(self._said) > MAX_EARLY:
            del self._said[next(iter(self._said))]

    def take(self, ident: str, fence: int) -> tuple[T] | None:
        """What was said of just this holding, once."""
        known, said = self._said.pop(ident, (None, None)) if self._said else (None, None)
        return (said,) if known == fence else None  # type: ignore[return-value]
