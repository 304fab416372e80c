"""Says in the log, with the handler's name, what keeps a worker from all else it has to do.

Two things do, and look alike from outside. A handler that keeps the event loop (it computes, or blocks by mistake): the
threads of the worker go on, so its session lives, and jobs that cannot begin are offered to others. And one that holds
the interpreter's lock (a regular expression that backtracks without end, a C extension that does not release it): all
threads stand still, heartbeats too. The second can only be noticed when it is over, by whoever meant to sleep for less.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from workers.job import Job

log = logging.getLogger(__name__)

# From how many seconds on it is worth a line, and for how long the same handler is not named again.
LONG, QUIET = 1.0, 60.0


class Ended(NamedTuple):
    """A run that is over: of which handler, and from when to when on the monotonic clock."""

    name: str
    began: float
    ended: float


class Lag:
    """What one thread of a worker sees of its loop, and of itself. `jobs` are those that are not settled, `ended` runs
    that took long and are over."""

    def __init__(
        self, jobs: Callable[[], Iterable[Job]], ended: Iterable[Ended], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._jobs, self._ended, self._loop = jobs, ended, loop
        # When each handler was named last.
        self._named: dict[str, float] = {}
        self._told = False
        # When the thread was seen last, and how much of the processor the process had used.
        self._mark = (0.0, 0.0)
        self.mark()

    def pause(self, over: threading.Event, seconds: float) -> bool:
        """Wait for so long, or until it is over, and answer whether it is. Notices that it took far longer, with what
        was done since the last pause or mark."""
        ended = over.wait(seconds)
        (since, spent), (now, spent_now) = self._mark, self.mark()
        self.woke(now - since - seconds, spent_now - spent)
        return ended

    def mark(self) -> tuple[float, float]:
        """Whatever was done until now may take its time."""
        self._mark = time.monotonic(), time.process_time()
        return self._mark

    def woke(self, late: float, spent: float) -> None:
        """A pause ended so many seconds late, in which this process used the processor for `spent`."""
        if late < LONG:
            return
        names = sorted(self._at_work(time.monotonic() - late))
        if not names or not any(self._worth_naming(name) for name in names):
            return
        log.warning(
            "this process stood still for %.1f s while it ran %s, and used the processor for %.1f s of it: %s; that "
            'stops heartbeats, too, and executor="process" is for such code',
            late,
            ", ".join(names),
            spent,
            "something held the interpreter's lock"
            if spent > late / 2
            else "it was stopped, or something held the interpreter's lock and waited",
        )

    def kept(self, seconds: float) -> None:
        """The loop has not come round for so many seconds. Told once, until it has."""
        if seconds < LONG or self._told:
            return
        self._told, job = True, self._on_loop()
        if job is not None and self._worth_naming(job.handler.name):
            log.warning(
                "handler %s has kept the event loop of this worker for %.1f s (job %s): no other job begins or goes "
                'on, those behind it are offered to others; a plain `def`, or executor="process", keeps nobody',
                job.handler.name,
                seconds,
                job.ident,
            )

    def came_round(self) -> None:
        """The loop has."""
        self._told = False

    def _at_work(self, since: float) -> set[str]:
        """The handlers that have run since then: in threads, the one that the loop is at, and those just ended."""
        jobs = [job for job in self._running() if job.handler.executor == "thread"]
        at = self._on_loop()
        running = {job.handler.name for job in [*jobs, *([at] if at else [])] if (job.began or 0.0) <= since}
        # While it stood still nothing could end.
        return running | {one.name for one in list(self._ended) if one.began <= since <= one.ended}

    def _running(self) -> list[Job]:
        return [job for job in list(self._jobs()) if job.begun and not job.finished]

    def _on_loop(self) -> Job | None:
        """The job that the loop is at. One that has not waited yet runs in a task that it shares, and is the newest."""
        task = asyncio.current_task(self._loop)
        jobs = [job for job in self._running() if job.handler.executor == "async"] if task is not None else []
        own = [job for job in jobs if job.task is task]
        shared = [job for job in jobs if job.task is None and job.interrupt is None]
        return max(own or shared, key=lambda job: job.began or 0.0, default=None)

    def _worth_naming(self, name: str) -> bool:
        now = time.monotonic()
        if now < self._named.get(name, -QUIET) + QUIET:
            return False
        self._named[name] = now
        return True
