"""What the store tells a worker: there is work, and a job is to stop.

Both are hints. A bell only makes the exchange look. A message to cancel names a job; the reason stands in its record.
When messages may have been lost, every running job is looked up. A message can be faster than the reply that brings
the job it is about; it is kept until then.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable

from coordinator.drivers.aio import AsyncDriver
from coordinator.errors import CoordinatorError
from coordinator.ops import fleet
from workers.desk import Desk
from workers.executor import Executor
from workers.job import Job, Stop
from workers.service import Service

log = logging.getLogger(__name__)

LOOKUP_SECONDS = 1.0
CANCELLED = "cancelled by a caller"
MAX_EARLY = 1000


class Listener(Service):
    """Hears the messages of the session's inbox. Looks by itself every `poll` seconds or so, should a bell be lost."""

    def __init__(self, driver: AsyncDriver, desk: Desk, executor: Executor, poll: float) -> None:
        super().__init__()
        self._driver, self._desk, self._executor, self._poll = driver, desk, executor, poll
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._review: asyncio.Task[None] | None = None
        # Fences by id of jobs that are to stop and are not known here: not yet, or no more.
        self._early: dict[str, str] = {}

    async def _begin(self) -> None:
        self._driver.postman.on_bell = self.bell
        self._driver.postman.on_cancel = self.cancel
        self._executor.on_begin = self._begun
        self._tick()

    async def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def bell(self, queue: str) -> None:
        """There is work in a queue; without a name: messages may have been lost."""
        if not self.started:
            return
        if queue:
            self._desk.ring()
            return
        self._desk.doubt()
        if self._review is None or self._review.done():
            self._review = self._in_background(list(self._executor.jobs.values()), certain=False)

    def cancel(self, ident: str, fence: str) -> None:
        """A running job is to stop."""
        if not self.started:
            return
        job = self._executor.jobs.get(ident)
        if job is not None and str(job.fence) == fence:
            self._in_background([job], certain=True)
        else:
            self._early[ident] = fence
            if len(self._early) > MAX_EARLY:
                del self._early[next(iter(self._early))]

    def _begun(self, job: Job) -> None:
        if self._early and self._early.pop(job.ident, "") == str(job.fence):
            self._in_background([job], certain=True)

    def _tick(self) -> None:
        self._desk.ring()
        wait = self._poll * (0.75 + 0.5 * random.random())
        self._timer = asyncio.get_running_loop().call_later(wait, self._tick)

    def _in_background(self, jobs: Iterable[Job], *, certain: bool) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._look_up(jobs, certain))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _look_up(self, jobs: Iterable[Job], certain: bool) -> None:
        """Stop those of the jobs that somebody wants stopped. `certain`: that is known, only the reason is not."""
        for job in jobs:
            if job.finished or job.lost:
                continue
            wish: str | None = CANCELLED if certain else ""
            try:
                async with asyncio.timeout(LOOKUP_SECONDS):
                    found = await self._driver.run(fleet.wish(self._driver.scope, job.ident, job.fence))
                wish = found or wish if found is not None else None
            except (CoordinatorError, TimeoutError) as error:
                log.debug("what is wanted of job %s is not known: %s", job.ident, error)
            if wish is None and not job.finished:
                job.lose("the server has given it up")
            elif wish:
                job.stop(Stop.CANCEL, wish)
