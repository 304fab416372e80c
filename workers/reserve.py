"""The jobs of a worker that are claimed and have not begun.

Two threads reach for them: the loop, to begin them, and the one that offers them to others when they lie for too long
(`spares`). Whoever takes a job out of here has it. That is one step of a dict, so neither ever waits for the other.
"""

from __future__ import annotations

from bisect import bisect_left

from workers.job import Job


class Shelf:
    """Jobs in the order in which they will be begun, with when they were laid down."""

    __slots__ = ("_jobs", "begun")

    def __init__(self) -> None:
        self._jobs: dict[Job, float] = {}
        # How many have been taken to be begun, ever.
        self.begun = 0

    def __len__(self) -> int:
        return len(self._jobs)

    def put(self, job: Job, now: float) -> None:
        """Lay a job behind those that are here."""
        self._jobs[job] = now

    def take(self, job: Job) -> bool:
        """Take a job to begin it. False: it has been offered to others."""
        if self._jobs.pop(job, None) is None:
            return False
        self.begun += 1
        return True

    def lying(self, since: float) -> int:
        """How many lie here at least since then."""
        # A copy of a dict's values is one step, too.
        return bisect_left(list(self._jobs.values()), since)

    def tail(self, count: int) -> list[Job]:
        """Take the last ones, to offer them; they stay in order."""
        taken: list[Job] = []
        while len(taken) < count:
            try:
                taken.append(self._jobs.popitem()[0])
            except KeyError:
                break
        return taken[::-1]


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
