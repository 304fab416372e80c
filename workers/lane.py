"""Runs jobs on the loop, one after the other in one task for as long as they do not wait for anything.

A task for each job is the larger part of what a small job costs. So the jobs of a batch share one, the *runner*. The
first time a job waits, the runner becomes its own: it serves nobody else from then on, another runner goes on with the
rest, and cancelling the task cancels this job only. `asyncio.current_task()` and all that is built on it (`timeout`,
`TaskGroup`) therefore work as in a task of the job's own. Each job runs in a copy of the context, as tasks do, so
context variables that one sets are not seen by the next. A handler whose last job has waited gets a task for each job
from the start: to change runners costs a turn of the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import copy_context
from time import monotonic
from typing import Any

from workers.job import Job
from workers.reserve import Reserve

# How long jobs that do not wait may keep the loop from everything else, in seconds; one job may always finish.
SPELL = 0.005

Work = Coroutine[Any, Any, None]
Task = asyncio.Task[None]


class Lane:
    """The jobs that have not begun, in their order. `run` runs one; `waits` is told when one waits the first time.

    Until it begins each lies in the reserve, from which it may be taken to be offered to others. `apart` are the names
    of handlers whose jobs always have a task of their own, and lie there for longer: until there is a process for them.
    """

    def __init__(
        self,
        run: Callable[[Job], Work],
        waits: Callable[[Job, Task], None],
        reserve: Reserve,
        apart: frozenset[str] = frozenset(),
    ) -> None:
        self._run, self._waits, self._reserve, self._apart = run, waits, reserve, apart
        self._queue = reserve.loop.queue
        self._runner: Task | None = None
        self._tasks: set[Task] = set()
        # How many jobs have begun, and the seconds for which they kept all others from beginning.
        self.begun, self.spent = 0, 0.0
        self._waiters = set(apart)

    def put(self, job: Job) -> None:
        """Run a job after those that are here already, not before the loop comes round. On the loop only."""
        if job.handler.name in self._waiters:
            self._reserve.shelf(job).put(job)
            self._start(self._alone(job))
        else:
            self._queue.append(job)
            if self._runner is None:
                self._relieve()

    def _relieve(self) -> None:
        """Have a new runner go on with what has not begun."""
        self._runner = self._start(self._work()) if self._queue else None

    def _start(self, work: Work) -> Task:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _alone(self, job: Job) -> None:
        process = job.handler.name in self._apart
        if not (process or self._reserve.loop.take(job)):
            return  # it is on offer
        run, began = _Run(self._run(job)), monotonic()
        over = run.begin()
        self._spend(began, 1)
        if not over:
            self._noted(job)
            await run
        elif not process:
            self._waiters.discard(job.handler.name)

    async def _work(self) -> None:
        me, began, jobs = asyncio.current_task(), monotonic(), 0
        try:
            while self._queue:
                try:
                    job = self._queue.popleft()
                except IndexError:
                    break  # the last one is on offer as of now
                run, jobs = _Run(self._run(job)), jobs + 1
                if not run.begin():
                    began, jobs = self._spend(began, jobs)
                    self._relieve()
                    self._noted(job)
                    return await run
                # Whatever was cancelled in a job must not reach the next one.
                if me is None or me.cancelling():
                    return None
                if self._queue and monotonic() >= began + SPELL:
                    self._spend(began, jobs)
                    await asyncio.sleep(0)
                    began, jobs = monotonic(), 0
            return None
        finally:
            if jobs:
                self._spend(began, jobs)
            if self._runner is me:
                self._relieve()

    def _spend(self, began: float, jobs: int) -> tuple[float, int]:
        """So many jobs have begun since then; all that follows is not their doing."""
        now = monotonic()
        self.begun, self.spent = self.begun + jobs, self.spent + now - began
        return now, 0

    def _noted(self, job: Job) -> None:
        """A job waits for the first time, in the current task."""
        self._waiters.add(job.handler.name)
        task = asyncio.current_task()
        if task is not None:
            self._waits(job, task)


class _Run:
    """A coroutine in a context of its own."""

    __slots__ = ("_awaited", "_context", "_work")

    def __init__(self, work: Work) -> None:
        self._work, self._context, self._awaited = work, copy_context(), None

    def begin(self) -> bool:
        """Run it until it waits. True if it has ended instead."""
        try:
            self._awaited = self._context.run(self._work.send, None)
        except StopIteration:
            return True
        return False

    def __await__(self) -> Generator[Any, Any, None]:
        """The rest of it."""
        work, context, awaited = self._work, self._context, self._awaited
        while True:
            step: Callable[[Any], Any] = work.send
            try:
                came = yield awaited
            except BaseException as error:
                step, came = work.throw, error
            try:
                awaited = context.run(step, came)
            except StopIteration:
                return
            finally:
                came = None  # an exception would keep this frame alive
