"""What the fleet has learnt of this worker's handlers, looked at anew while they run.

Every worker's outcomes are learnt from where they are settled, so nothing is sent from here. Once per sweep interval
the worker asks about the handlers that have begun or ended a run since it last asked; one that is idle asks nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from coordinator.drivers.aio import AsyncDriver
from coordinator.errors import CoordinatorError
from coordinator.ops import lessons
from coordinator.ops.lessons import NOTHING_LEARNT, Learnt
from workers.job import Job, Stop
from workers.registry import Registry
from workers.service import Service

log = logging.getLogger(__name__)


class Lessons(Service):
    """How far timeouts are escalated and how retries fared, by handler."""

    def __init__(self, registry: Registry, driver: AsyncDriver) -> None:
        super().__init__()
        self._driver = driver
        self._known: dict[str, Learnt] = {}
        self._stale = dict[str, None].fromkeys(one.name for one in registry)
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def of(self, job: Job) -> Learnt:
        """What is known of a job's handler; with the timeout of this very job, which is not told yet."""
        found = self._known.get(job.handler.name, NOTHING_LEARNT)
        if job.stopped is Stop.TIMEOUT and job.escalates:
            return Learnt(found.escalation.timed_out(job.level), found.record)
        return found

    def choose(self, job: Job) -> None:
        """A job is about to begin: how much its time is stretched."""
        self.note(job)
        if job.escalates:
            job.level = self._known.get(job.handler.name, NOTHING_LEARNT).escalation.level

    def note(self, job: Job) -> None:
        """A run begins or is over: what is known of its handler may be out of date."""
        if job.handler.name not in self._stale:
            self._stale[job.handler.name] = None
            self._wanted.set()

    async def look(self) -> None:
        """Ask about the handlers that have run."""
        names = list(self._stale)
        self._stale.clear()
        self._wanted.clear()
        policy = self._driver.settings.escalation.policy()
        self._known.update(await self._driver.run(lessons.learnt(self._driver.scope, names, policy)))

    async def _begin(self) -> None:
        await self._try()
        self._task = asyncio.get_running_loop().create_task(self._watch())

    async def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _watch(self) -> None:
        while True:
            await self._wanted.wait()
            await asyncio.sleep(self._driver.settings.sweep_interval)
            await self._try()

    async def _try(self) -> None:
        try:
            await self.look()
        except CoordinatorError as error:
            # Without it runs have their plain time, and retries their plain delays.
            log.debug("what the fleet has learnt of handlers is not known: %s", error)
