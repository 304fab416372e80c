"""The worker's measures: published once an interval for as long as it works, and a last time at its end."""

from __future__ import annotations

import asyncio
import logging
import time

from coordinator.drivers.aio import AsyncDriver
from coordinator.errors import CoordinatorError
from coordinator.metrics.publisher import Publisher
from workers.desk import Desk
from workers.executor import Executor
from workers.service import Service
from workers.sizes import Sizes

log = logging.getLogger(__name__)
# How long the last sample may hold up the end of a worker.
LAST_WORD = 1.0


class Pulse(Service):
    """Publishes what the worker has measured."""

    def __init__(self, driver: AsyncDriver, desk: Desk, executor: Executor, sizes: Sizes, publisher: Publisher) -> None:
        super().__init__()
        self._driver, self._desk, self._executor, self._publisher = driver, desk, executor, publisher
        self._sizes = sizes
        self._task: asyncio.Task[None] | None = None

    async def run_once(self, now: float) -> None:
        """Publish one sample."""
        recorder, desk = self._publisher.recorder, self._desk
        self._executor.runs.tell(recorder, time.monotonic())
        recorder.gauge("queue.running", desk.taken)
        recorder.gauge("queue.slots", desk.slots)
        limited = sum(one.begun and one.seconds is not None for one in self._executor.jobs.values())
        recorder.gauge("timeout.active", limited)
        news = self._sizes.news()
        try:
            await self._driver.run(self._publisher.publish(now, moved=news), 0.0)
            self._sizes.tell(news)
        except CoordinatorError as error:
            log.debug("nothing was published: %s", error)

    async def _begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._work())

    async def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        try:
            async with asyncio.timeout(LAST_WORD):
                await self.run_once(self._driver.now())
        except TimeoutError:
            log.debug("the last sample was not published in time")

    async def _work(self) -> None:
        while True:
            # A worker that is not allowed to publish looks at the clock once an hour, and that is all.
            await asyncio.sleep(min(3600.0, max(0.01, self._publisher.due - self._driver.now())))
            if self._driver.now() < self._publisher.due:
                continue
            try:
                await self.run_once(self._driver.now())
            except Exception:
                # Whatever is wrong with the measuring, the jobs go on.
                log.exception("publishing failed by a fault")
                self._publisher.due = self._driver.now() + self._publisher.interval
