"""Runs claimed jobs: coroutines on the loop, functions in threads, killable ones in processes.

Every job has one task here, from its claim until its outcome lies on the desk. A handler on the loop is cancelled and a
process is killed; a thread can only be asked. When a thread's time is up its outcome is reported at once, and its slot
stays taken until it really ends; what it then returns is thrown away.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from coordinator.drivers import failpoints
from coordinator.drivers.aio import AsyncDriver
from coordinator.errors import Corrupt
from coordinator.model import codec
from coordinator.model.signing import JobMark
from coordinator.ops.fleet import Claimed
from coordinator.policy.outcome import Outcome, Poisoned, Released, Retry, Succeeded
from coordinator.wire.calls import Report
from workers import judge, words
from workers.context import Context
from workers.control import Control, HandlerFailed
from workers.desk import Desk, Entry
from workers.job import Job, Stop
from workers.processes import Processes
from workers.progress import Progress
from workers.registry import Handler, Registry
from workers.service import Service
from workers.threads import Threads

log = logging.getLogger(__name__)

# How long handlers that were cancelled for good have to clean up before their jobs are handed back without them.
LINGER = 2.0

Runner = Callable[[Job, Context, Any], Awaitable[Any]]


class Executor(Service):
    """All jobs of a worker that are not settled yet, by id."""

    def __init__(self, registry: Registry, driver: AsyncDriver, desk: Desk, process_slots: int) -> None:
        super().__init__()
        self.jobs: dict[str, Job] = {}
        self.progress = Progress(driver)
        self._registry, self._driver, self._desk = registry, driver, desk
        self._max_result = driver.settings.max_result
        self._signer = driver.settings.signer()
        self._processes = Processes(registry, process_slots, self._max_result)
        self._threads = Threads()
        self._tasks: dict[Job, asyncio.Task[None]] = {}
        self._all_done = asyncio.Event()
        self._all_done.set()
        self._runners: dict[str, Runner] = {
            "async": self._on_loop,
            "thread": self._in_thread,
            "process": self._in_process,
        }

    # --- from the exchange

    def begin(self, claimed: Claimed, lease_end: float) -> None:
        """Run a claimed job. One that cannot be run is set aside, and its siblings do not notice."""
        if failpoints.on:
            failpoints.reach("worker.before_begin")
        handler, payload, problem = self._registry.get(claimed.name), None, claimed.problem
        if not problem and handler is None:
            problem = f"no handler {claimed.name!r} in this worker"
        if not problem:
            try:
                payload = self._payload(claimed)
            except Corrupt as error:
                problem = str(error)
        job = Job(claimed, handler or _NOBODY, self._driver, lease_end)
        self.jobs[job.ident] = job
        self._driver.hold(job)
        if problem:
            log.error("job %s cannot be run and is set aside: %s", job.ident, words.reason(problem))
            job.finished = True
            self._desk.put(Entry(job, self._report(job, Poisoned(words.reason(problem))), keeps=False))
        else:
            self._desk.occupy()
            self._launch(job, payload)

    def again(self, job: Job, fence: int, lease_end: float | None) -> None:
        """Run a job once more that keeps its slot and its resources, under a new fence."""
        following = job.again(fence, lease_end)
        self.jobs[job.ident] = following
        self._driver.hold(following)
        self._launch(following, self._payload(job.claimed))

    def hand_back(self, claimed: Claimed) -> None:
        """Return a job that was claimed and will not be begun."""
        if failpoints.on:
            failpoints.reach("worker.before_hand_back")
        job = Job(claimed, _NOBODY, self._driver)
        job.finished = True
        self._desk.put(Entry(job, self._report(job, Released()), keeps=False))

    def forget(self, job: Job) -> None:
        """A job is settled or lost: nothing of it is left here."""
        if failpoints.on:
            failpoints.reach("worker.before_forget")
        if self.jobs.get(job.ident) is job:
            del self.jobs[job.ident]
            self._driver.keeper.let_go(job.ident)

    # --- from the keeper's threads

    def begun(self) -> Iterable[tuple[str, str]]:
        """Jobs whose handlers have begun since the last time, so that the start counts even if this process dies."""
        found = []
        for job in list(self.jobs.values()):
            if job.begun and not job.told and not job.finished:
                job.told = True
                found.append((job.ident, str(job.fence)))
        return found

    # --- shutting down

    def release_waiting(self) -> None:
        """Hand back what has not begun."""
        for job in list(self._tasks):
            if not job.begun:
                job.stop(Stop.RELEASE, "the worker shuts down")

    async def finished(self) -> None:
        """Wait until no handler runs."""
        await self._all_done.wait()

    async def release_all(self) -> None:
        """Tell every handler to end, wait a moment, and hand back the jobs of those that did not."""
        for job in list(self._tasks):
            job.stop(Stop.RELEASE, "the worker shuts down")
        try:
            async with asyncio.timeout(LINGER):
                await self._all_done.wait()
        except TimeoutError:
            for job in list(self._tasks):
                log.warning("job %s does not end; it is handed back without waiting for it", job.ident)
                self._post(job, Released())

    async def _begin(self) -> None:
        await self.progress.start()

    async def _end(self) -> None:
        await self._processes.stop()
        self._threads.stop()
        await self.progress.stop()

    # --- one job

    def _launch(self, job: Job, payload: Any) -> None:
        self._all_done.clear()
        self._tasks[job] = asyncio.get_running_loop().create_task(self._run(job, payload))

    async def _run(self, job: Job, payload: Any) -> None:
        outcome: Outcome = Released()
        context = Context(job, self.progress.note)
        try:
            if job.stopped is None and not job.lost:
                outcome = Succeeded(await self._handle(job, context, payload))
        except asyncio.CancelledError as error:
            outcome = self._failed(job, context, error)
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            # A handler that calls sys.exit() ends itself, not the worker.
            outcome = self._failed(job, context, error)
        job.interrupt = None
        if job.progress is not None:
            await self.progress.flush(job)
        self._post(job, outcome)

    async def _handle(self, job: Job, context: Context, payload: Any) -> Any:
        if failpoints.on:
            failpoints.reach("worker.before_handler")
        result = await self._runners[job.handler.executor](job, context, payload)
        if failpoints.on:
            failpoints.reach("worker.after_handler")
        return result

    def _failed(self, job: Job, context: Context, error: BaseException) -> Outcome:
        outcome = judge.failure(job, error, random.random())
        word = type(outcome).__name__.lower()
        if job.stopped is Stop.TIMEOUT:
            context.log.warning(f"handler {job.why}", outcome=word)
        elif job.stopped is None and not job.lost and not isinstance(error, Control):
            # What was raised in a process is on its own log line, with its traceback.
            trace = None if isinstance(error, HandlerFailed) else error
            context.log.warning("handler failed", outcome=word, error=words.of_error(error), exc_info=trace)
        return outcome

    def _post(self, job: Job, outcome: Outcome) -> None:
        if job.finished:
            return
        if failpoints.on:
            failpoints.reach("worker.before_post")
        job.finished = True
        self._tasks.pop(job, None)
        if not self._tasks:
            self._all_done.set()
        keeps = isinstance(outcome, Retry) and outcome.delay == 0
        if job.zombie and keeps:
            self._desk.occupy()
        elif not job.zombie and not keeps:
            self._desk.vacate()
        self._desk.put(Entry(job, self._report(job, outcome), keeps))

    def _report(self, job: Job, outcome: Outcome) -> Report:
        made = judge.report(job, outcome, self._max_result)
        return replace(made, value=self._sealed(job, made)) if isinstance(outcome, Succeeded) else made

    def _sealed(self, job: Job, made: Report) -> str | bytes:
        """A result as it is stored; what became of a result that cannot be kept is a reason, and no result."""
        if made.outcome != "succeeded" or not isinstance(made.value, bytes):
            return made.value
        return self._signer.seal_result(job.ident, made.value)

    def _payload(self, claimed: Claimed) -> Any:
        """What the handler is given. The signature comes first: nothing is decoded that nobody vouches for."""
        mark = JobMark(claimed.ident, claimed.name, claimed.queue, claimed.dedup)
        return codec.unpack(self._signer.open_payload(mark, claimed.payload), "the payload")

    # --- the three ways to run a handler

    async def _on_loop(self, job: Job, context: Context, payload: Any) -> Any:
        task, timer = self._tasks[job], self._timer(job)
        job.interrupt = lambda _how: task.cancel()
        job.begun = True
        try:
            result = await job.handler.function(context, payload)
        finally:
            if timer is not None:
                timer.cancel()
        if job.stopped is Stop.TIMEOUT:
            raise TimeoutError(job.why)
        return result

    async def _in_thread(self, job: Job, context: Context, payload: Any) -> Any:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

        def done(value: Any, error: BaseException | None) -> None:
            self._driver.in_loop(self._thread_ended, job, ended, (value, error))

        def interrupt(how: Stop | None) -> None:
            if how is Stop.TIMEOUT and not ended.done():
                job.zombie = True
                ended.cancel()

        timer = self._timer(job)
        job.interrupt, job.begun = interrupt, True
        self._threads.run(partial(job.handler.function, context, payload), done)
        try:
            value, error = await ended
        finally:
            if timer is not None:
                timer.cancel()
        if error is not None:
            raise error
        return value

    def _thread_ended(self, job: Job, ended: asyncio.Future[Any], came: tuple[Any, BaseException | None]) -> None:
        if not ended.done():
            ended.set_result(came)
        else:
            log.warning("job %s has ended after its time; what it returned does not count", job.ident)
            self._desk.vacate()

    async def _in_process(self, job: Job, context: Context, payload: Any) -> Any:
        task = self._tasks[job]
        job.interrupt = lambda _how: task.cancel()
        async with self._processes.slots:
            job.begun = True
            try:
                return await self._processes.run(context.portable(), payload, job.seconds)
            except TimeoutError:
                job.stop(Stop.TIMEOUT, _overdue(job))
                raise

    def _timer(self, job: Job) -> asyncio.TimerHandle | None:
        seconds = job.seconds
        if seconds is None:
            return None
        return asyncio.get_running_loop().call_later(seconds, job.stop, Stop.TIMEOUT, _overdue(job))


def _overdue(job: Job) -> str:
    return f"timed out after {job.seconds:g} s"


def _nobody(_context: Any, _payload: Any) -> None:
    return None


_NOBODY = Handler("?", _nobody, "thread")
