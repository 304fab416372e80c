"""Where the executor and the exchange meet: how many slots are taken, which outcomes wait, whether looking for jobs is
worth while. Used on the loop only."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import NamedTuple

from coordinator.wire.calls import Report
from workers.job import Job


class Entry(NamedTuple):
    """An outcome to be reported. `keeps`: the job's slot stays taken, for it may run again at once."""

    job: Job
    report: Report
    keeps: bool


class Desk:
    """The slots of one worker and the outcomes on their way out."""

    def __init__(self, slots: int) -> None:
        # coming: jobs that have been claimed and not been begun yet, each of which will take a slot.
        self.slots, self.taken, self.coming = slots, 0, 0
        # asked: jobs that a claim under way asks for.
        self.asked = 0
        self.waiting: deque[Entry] = deque()
        # Whether there may be jobs that were not looked for yet.
        self.hungry = False
        # Whether word of them may have been lost.
        self.doubtful = False
        # Whether a claim lies with the store, and is answered when it rings; and how often it has rung.
        self.parked, self.bells = False, 0
        # Whether looking has to wait until there is room for what it may bring.
        self.cramped = False
        self.changed = asyncio.Event()

    @property
    def free(self) -> int:
        """Slots that a job could be claimed for."""
        return max(0, self.slots - self.taken - self.coming)

    def occupy(self) -> None:
        """Take a slot."""
        self.taken += 1

    def vacate(self) -> None:
        """Give a slot back; there may be work for it."""
        self.taken -= 1
        self.hungry = True
        self.changed.set()

    def answered(self) -> None:
        """The claim under way has been answered."""
        self.asked = 0

    def ring(self) -> None:
        """There may be jobs: look. Where a claim is parked its answer comes with the bell: who was woken by that would
        be at work before the job has begun."""
        self.hungry = True
        self.bells += 1
        if not self.parked:
            self.changed.set()

    def doubt(self) -> None:
        """Word of jobs may have been lost: look, and trust no claim that waits for a bell."""
        self.doubtful = self.hungry = True
        self.changed.set()

    def put(self, entry: Entry) -> None:
        """Hand over an outcome to be reported."""
        self.waiting.append(entry)
        self.changed.set()
