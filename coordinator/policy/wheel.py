"""Many deadlines of one process: a hierarchical timing wheel (Varghese and Lauck, SOSP 1987).

Four rings of slots, each slot as wide as the whole ring before it:

    256 x 10 ms = 2.56 s   64 x 2.56 s = 163.84 s   64 x 163.84 s = 2 h 55 min   24 x 2 h 55 min = 2 d 22 h

A timer goes into a slot of the finest ring that reaches as far as it is due; when the time comes to that slot its
timers move to finer rings, so each moves three times at most. What is due later than all rings reach waits in the
farthest slot and is put in again from there. 10 ms is finer than any deadline here is good for: the margin of a lease
is at least 50 ms.

A timer is known by its generation, a number that is given once. To cancel is to forget the generation; slots are not
searched. What lies in them under forgotten ones is skipped, and swept out when there is more of it than of live timers,
so scheduling and cancelling take constant time whatever the number of timers. The slots in use are bits of a number, so
that time jumps over the empty ones.

A timer never expires before it is due, and does at the first `advance` to a moment one tick past that. Ticks are
counted from zero of the caller's clock, so nothing adds up. Times are seconds of a clock that only goes forward.
"""

from __future__ import annotations

import math
from typing import Generic, TypeVar

T = TypeVar("T")

TICKS_PER_SECOND = 100
TICK = 1 / TICKS_PER_SECOND
# By how many bits the slots of a ring are coarser than a tick, and how many it has.
RINGS = ((0, 256), (8, 64), (14, 64), (20, 24))
_FINE, _MIDDLE, _COARSE = (1 << shift for shift, _size in RINGS[1:])
_ALL = RINGS[3][1] << RINGS[3][0]
# Forgotten generations that may lie about however few timers live.
MOST_STALE = 1024


class _Ring:
    """Slots of generations; `bits` has one for each slot that may have any."""

    __slots__ = ("bits", "shift", "size", "slots")

    def __init__(self, shift: int, size: int) -> None:
        self.shift, self.size, self.bits = shift, size, 0
        self.slots: list[list[int]] = [[] for _ in range(size)]

    def next_after(self, tick: int) -> int | None:
        """The first tick, after this one, of a slot in use."""
        if not self.bits:
            return None
        turn = (tick >> self.shift) + 1
        at = turn % self.size
        # The bits as seen from there on, the nearest lowest.
        seen = self.bits >> at | (self.bits & ((1 << at) - 1)) << (self.size - at)
        return (turn + (seen & -seen).bit_length() - 1) << self.shift

    def take(self, tick: int) -> list[int]:
        """Everything in the slot of a tick, which is empty then."""
        at = (tick >> self.shift) % self.size
        found, self.slots[at] = self.slots[at], []
        self.bits &= ~(1 << at)
        return found


class TimingWheel(Generic[T]):
    """Deadlines for things of one kind. Not for several threads at once."""

    def __init__(self, now: float) -> None:
        self._tick = math.floor(now * TICKS_PER_SECOND)
        self._rings = tuple(_Ring(shift, size) for shift, size in RINGS)
        # When each is due, by generation, and what it is for.
        self._live: dict[int, tuple[int, T]] = {}
        self._generation = self._lying = 0

    def __len__(self) -> int:
        return len(self._live)

    def schedule(self, due: float, item: T) -> int:
        """Have `item` expire at `due`. Returns the generation to cancel it by."""
        tick = math.ceil(due * TICKS_PER_SECOND)
        if tick <= self._tick:
            tick = self._tick + 1
        self._generation = generation = self._generation + 1
        self._live[generation] = (tick, item)
        self._lying += 1
        self._put(tick, generation)
        return generation

    def cancel(self, generation: int) -> bool:
        """Forget a timer. False: it has expired or was cancelled before, and nothing happens."""
        if self._live.pop(generation, None) is None:
            return False
        if self._lying > 2 * len(self._live) + MOST_STALE:
            self._sweep()
        return True

    def advance(self, now: float) -> list[T]:
        """Move on to a moment. Returns all that has expired since, the earliest first."""
        target = math.floor(now * TICKS_PER_SECOND)
        expired: list[T] = []
        fine, live = self._rings[0], self._live
        while (tick := self._next_tick()) is not None and tick <= target:
            self._tick = tick
            self._refine(tick)
            found = fine.take(tick)
            self._lying -= len(found)
            expired += [live.pop(one)[1] for one in found if one in live]
        self._tick = max(self._tick, target)
        return expired

    def wakes_at(self) -> float:
        """Until when there is nothing to advance for: at most when the next timer expires, rather earlier; infinite
        without timers."""
        tick = self._next_tick() if self._live else None
        return math.inf if tick is None else tick / TICKS_PER_SECOND

    def _put(self, tick: int, generation: int) -> None:
        ahead = tick - self._tick
        if ahead < _FINE:
            ring, at = self._rings[0], tick & 255
        elif ahead < _MIDDLE:
            ring, at = self._rings[1], tick >> 8 & 63
        elif ahead < _COARSE:
            ring, at = self._rings[2], tick >> 14 & 63
        else:
            ring, at = self._rings[3], (min(tick, self._tick + _ALL - 1) >> 20) % 24
        ring.slots[at].append(generation)
        ring.bits |= 1 << at

    def _next_tick(self) -> int | None:
        """The next tick at which something may expire or move to a finer ring."""
        found = [tick for ring in self._rings if (tick := ring.next_after(self._tick)) is not None]
        return min(found, default=None)

    def _refine(self, tick: int) -> None:
        """Put the timers of slots that begin at this tick into finer ones, from the coarsest."""
        for ring in self._rings[:0:-1]:
            if tick & ((1 << ring.shift) - 1) == 0:
                for generation in ring.take(tick):
                    self._put_again(generation)

    def _put_again(self, generation: int) -> None:
        timer = self._live.get(generation)
        if timer is None:
            self._lying -= 1
        else:
            self._put(timer[0], generation)

    def _sweep(self) -> None:
        """Put everything in anew, without what was forgotten."""
        self._rings = tuple(_Ring(shift, size) for shift, size in RINGS)
        self._lying = len(self._live)
        for generation, (tick, _item) in self._live.items():
            self._put(tick, generation)
