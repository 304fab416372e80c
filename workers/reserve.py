"""The jobs of a worker that are claimed and have not begun.

Two threads reach for them: the loop, to begin them, and the one that offers them to others when they lie for too long
(`spares`). Whoever takes a job out of here has it. That is one step of a deque or a dict, so neither ever waits for the
other, and a job that is begun in its turn costs nothing more than the queue that it has to be in anyway.
"""

from __future__ import annotations

from collections import deque

from workers.job import Job


class Shelf:
    """Jobs in the order in which they will be begun, or nearly: those that wait each for itself come before those of
    the queue."""

    __slots__ = ("_apart", "_seen", "queue")

    def __init__(self) -> None:
        # Jobs that are begun one after the other: the loop pops them in front.
        self.queue: deque[Job] = deque()
        self._apart: dict[Job, None] = {}
        # The fences of those that were here when `look` was called last.
        self._seen: set[int] = set()

    def __len__(self) -> int:
        return len(self._apart) + len(self.queue)

    def put(self, job: Job) -> None:
        """Lay down a job that waits for itself."""
        self._apart[job] = None

    def take(self, job: Job) -> bool:
        """Take such a job to begin it. False: it has been offered to others."""
        return self._apart.pop(job, self) is None

    def look(self) -> tuple[int, int]:
        """How many of the jobs that were here the last time still are, and how many have begun."""
        # A copy of a dict or a deque is one step, too.
        fences = [job.fence for job in [*self._apart, *self.queue]]
        before, self._seen = self._seen, set(fences)
        lying = sum(fence in before for fence in fences)
        return lying, len(before) - lying

    def tail(self, count: int) -> list[Job]:
        """Take the last ones, to offer them; they stay in order."""
        taken: list[Job] = []
        while len(taken) < count:
            try:
                taken.append(self._last())
            except LookupError:
                break
        self._seen.difference_update(job.fence for job in taken)
        return taken[::-1]

    def _last(self) -> Job:
        try:
            return self.queue.pop()
        except IndexError:
            return self._apart.popitem()[0]


class Reserve:
    """What waits for the loop, what waits for a process, and what is on offer."""

    def __init__(self, processes: int | None) -> None:
        self.loop, self.processes = Shelf(), Shelf()
        # Processes that are free; None: no handler needs one.
        self.places = processes
        self._most = processes or 1
        # By id: jobs that nobody here begins before the server has said that they are still ours.
        self.offered: dict[str, Job] = {}

    def __len__(self) -> int:
        return len(self.loop) + len(self.processes) + len(self.offered)

    @property
    def starts(self) -> bool:
        """Whether another job would begin at once, or nearly so."""
        return not self.loop and not self.offered and len(self.processes) < self._most

    def shelf(self, job: Job) -> Shelf:
        """Where the job belongs."""
        return self.processes if job.handler.executor == "process" else self.loop

    def occupy(self, by: int) -> None:
        """So many processes are taken, or free again if it is negative."""
        if self.places is not None:
            self.places -= by
