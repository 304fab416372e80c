"""The slots of one process that serves several namespaces: a desk for each, which share them by weights.

How they are divided is in `coordinator/policy/slots.py`. A claim under way counts as the jobs that it asks for, and
one that lies with the store as the job that it may bring, or two desks would give away the same slot. Used on the loop
only.
"""

from __future__ import annotations

from collections.abc import Sequence

from coordinator.policy import slots
from workers.desk import Desk


class Pool:
    """All slots, and who has how many."""

    def __init__(self, total: int, weights: Sequence[int]) -> None:
        self.total, self.shares = total, slots.shares(total, weights)
        self.desks = tuple(SharedDesk(self, number) for number in range(len(weights)))

    def room(self, number: int) -> int:
        """How many more slots a desk may take."""
        mine = self.desks[number]
        taken = [one.held for one in self.desks]
        # A claim of its own is what it asks this for.
        taken[number] = mine.taken + mine.coming
        owed = any(one.short and one.held < self.shares[at] for at, one in enumerate(self.desks) if at != number)
        return slots.room(self.total, taken, self.shares[number], number, owed)

    def tell(self, number: int) -> None:
        """A desk needs less than before: whoever found no slot looks again. Until it does it is owed one."""
        for at, one in enumerate(self.desks):
            if one.short and at != number:
                one.changed.set()


class SharedDesk(Desk):
    """The desk of one namespace."""

    def __init__(self, pool: Pool, number: int) -> None:
        super().__init__(pool.total)
        self._pool, self._number = pool, number
        # Whether it found no slot when it wanted one.
        self.short = False

    @property
    def held(self) -> int:
        """The slots that are taken, or may be at any moment."""
        return self.taken + self.coming + max(self.asked, int(self.parked))

    @property
    def free(self) -> int:
        """Slots that a job could be claimed for."""
        room = self._pool.room(self._number)
        self.short = not room
        return room

    def vacate(self) -> None:
        """Give a slot back; there may be work for it, here or in another namespace."""
        super().vacate()
        self._pool.tell(self._number)

    def answered(self) -> None:
        """The claim under way has been answered."""
        super().answered()
        self._pool.tell(self._number)
