"""Sends how far jobs are: the newest word of each, twice a second at most, and the last one always."""

from __future__ import annotations

import asyncio
import logging

from coordinator.drivers.aio import AsyncDriver
from coordinator.errors import CoordinatorError
from coordinator.ops import fleet
from workers.job import Job
from workers.service import Service

log = logging.getLogger(__name__)

INTERVAL = 0.5
LAST_WORD_SECONDS = 2.0


class Progress(Service):
    """The messenger of all jobs of a worker."""

    def __init__(self, driver: AsyncDriver) -> None:
        super().__init__()
        self._driver = driver
        self._waiting: dict[Job, None] = {}
        self._underway: dict[Job, asyncio.Event] = {}
        self._task: asyncio.Task[None] | None = None

    def note(self, job: Job) -> None:
        """A job has something to say. From any thread."""
        self._driver.in_loop(self._keep, job)

    def owed(self, job: Job) -> bool:
        """Whether a job has said something that has not arrived yet: its outcome must not overtake it."""
        return job.progress is not None or job in self._underway

    async def flush(self, job: Job) -> None:
        """Send a job's last word now: after its outcome nobody would listen."""
        self._waiting.pop(job, None)
        try:
            async with asyncio.timeout(LAST_WORD_SECONDS):
                if job in self._underway:
                    await self._underway[job].wait()
                await self._send(job)
        except TimeoutError:
            log.debug("the last progress of job %s was not sent in time", job.ident)

    def _keep(self, job: Job) -> None:
        if self.started and not job.finished:
            self._waiting[job] = None
            if self._task is None:
                self._task = asyncio.get_running_loop().create_task(self._send_all())

    async def _send_all(self) -> None:
        while self._waiting:
            jobs, self._waiting = self._waiting, {}
            for job in jobs:
                await self._send(job)
            await asyncio.sleep(INTERVAL)
        self._task = None

    async def _send(self, job: Job) -> None:
        said, job.progress = job.progress, None
        if said is None or job.finished or job.lost:
            return
        self._underway[job] = arrived = asyncio.Event()
        try:
            heard = await self._driver.run(fleet.note_progress(self._driver.scope, job.ident, job.fence, said))
        except CoordinatorError as error:
            log.debug("progress of job %s was not sent: %s", job.ident, error)
            return
        finally:
            del self._underway[job]
            arrived.set()
        if not heard and not job.finished:
            job.lose("the server has given it up")

    async def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
