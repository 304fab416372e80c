"""Who gets into a queue or a line that fills up, in plain Python: the part of the model about limits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from coordinator.model.terms import Terms
from coordinator.policy import shed
from coordinator.wire.calls import JobAsk
from tests.support.model import QUEUED, Ask, Request, World

Answer = tuple[Any, ...]


class Room(World):
    """The limits of queues and lines."""

    def __init__(self, terms: Terms, us: int) -> None:
        super().__init__(terms, us)
        self.levels: dict[str, int] = {}
        policy = shed.Shedding(terms.shed_begin / 1000, terms.shed_end / 1000)
        self.bands, self.line_bands = policy.bands(terms.max_queue), policy.bands(terms.max_line)
        self.pushed: list[Request] = []
        self.crowded: dict[str, int] = {}  # what each line refuses, as the engine has noted it after the last step

    def queued(self, queue: str) -> list[Request]:
        """The jobs of a queue that have not started."""
        return [r for r in self.requests.values() if r.kind == "job" and r.queue == queue and r.state in QUEUED]

    def level(self, queue: str, count: int) -> int:
        """What a queue of so many jobs refuses: 0 nothing, 1 LOW, 2 NORMAL too."""
        return shed.level(self.levels.get(queue, 0), count, self.bands) if self.terms.shedding else 0

    def no_room(self, job: JobAsk, delayed: bool) -> Answer | None:
        """Why a job does not get in, if it does not."""
        full = self.full(job.queue, delayed)
        if delayed:
            return full
        if shed.refuses(self.level(job.queue, len(self.queued(job.queue))), job.priority):
            return "overloaded", job.queue
        return full if full and self.last_below(job) is None else None

    def make_room(self, job: JobAsk) -> None:
        """A job gets in, if need be for another one."""
        last = self.last_below(job)
        if last and self.full(job.queue, False):
            self.finish(last, "shed")
        count = len(self.queued(job.queue))
        self.levels[job.queue] = self.level(job.queue, count)
        self.levels[job.queue] = self.level(job.queue, count + 1)

    def last_below(self, job: JobAsk) -> Request | None:
        """Whom a job displaces from a full queue: the last of those that are less urgent."""
        lesser = [r for r in self.queued(job.queue) if r.priority < job.priority]
        return max(lesser, key=self.rank, default=None) if self.terms.shedding else None

    def full(self, queue: str, delayed: bool) -> Answer | None:
        """Whether a queue, or the schedule, holds all it may."""
        jobs = [r for r in self.requests.values() if r.kind == "job"]
        count = sum(r.state == "scheduled" if delayed else r.queue == queue and r.state in QUEUED for r in jobs)
        return ("queue_full", queue, str(self.terms.max_queue)) if count >= self.terms.max_queue else None

    def refusal(self, needs: dict[str, Ask], priority: int, joins: bool) -> Answer | None:
        """Why somebody does not get into the lines of all it needs."""
        levels, out = {}, list[Request]()
        self.pushed = []
        for resource, ask in needs.items():
            if ask.permits > self.capacity.get(resource, 1):
                return "over_capacity", resource, str(self.capacity.get(resource, 1))
            count = len(self.line(resource))
            if not joins:
                continue
            if self.terms.shedding and count + 1 >= self.line_bands[0].ends:
                level = shed.level(self.crowded.get(resource, 0), count, self.line_bands)
                if shed.refuses(level, priority):
                    return "line_overloaded", resource
                levels[resource] = shed.level(level, count + 1, self.line_bands)
            if count >= self.terms.max_line:
                lesser = [r for r in self.line(resource) if r.priority < priority]
                if not lesser:
                    return "line_full", resource, str(self.terms.max_line)
                out.append(lesser[-1])
        self.crowded, self.pushed = self.crowded | levels, out
        return None

    def push_out(self, also: Iterable[Request] = ()) -> None:
        """Who has to go, for the one that was not refused just now, from the lines that were full."""
        for r in (*self.pushed, *also):
            if r.state in QUEUED:
                self.finish(r, "shed")
                if r.kind == "lock":
                    self.send(r.session, f"ended {r.ident} shed")
