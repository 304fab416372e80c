"""Runs claimed jobs: coroutines on the loop, functions in threads, killable ones in processes.

Jobs begin in the lane, in the order in which they were claimed; one that waits for anything has a task of its own from
then on. A handler on the loop is cancelled and a process is killed; a thread can only be asked. When a thread's time is
up its outcome is reported at once, and its slot stays taken until it really ends; what it then returns is thrown away.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

from coordinator.drivers import failpoints
from coordinator.drivers.aio import AsyncDriver
from coordinator.errors import CoordinatorError, Corrupt
from coordinator.model import codec
from coordinator.model.signing import MARK, JobMark
from coordinator.ops import fleet
from coordinator.ops.fleet import Claimed
from coordinator.policy.outcome import Outcome, Poisoned, Released, Retry, Succeeded
from workers import judge, words
from workers.context import Context
from workers.control import Control, HandlerFailed
from workers.deadlines import Deadlines
from workers.desk import Desk, Entry
from workers.job import Job, Stop
from workers.lane import Lane
from workers.lessons import Lessons
from workers.measure import Runs
from workers.processes import Processes
from workers.progress import Progress
from workers.registry import Handler, Registry
from workers.reserve import Reserve
from workers.service import Service
from workers.threads import Threads
from workers.timing import RunTimes

log = logging.getLogger(__name__)

# How long handlers that were cancelled for good have to clean up before their jobs are handed back without them.
LINGER = 2.0

Runner = Callable[[Job, Context], Awaitable[Any]]


class Executor(Service):
    """All jobs of a worker that are not settled yet, by id."""

    def __init__(self, registry: Registry, driver: AsyncDriver, desk: Desk, process_slots: int) -> None:
        super().__init__()
        self.jobs: dict[str, Job] = {}
        self.on_begin: Callable[[Job], None] = lambda _job: None
        # There may be room for jobs that are on offer.
        self.on_free: Callable[[], None] = lambda: None
        processes = frozenset(one.name for one in registry if one.executor == "process")
        self.reserve = Reserve(process_slots if processes else None)
        self.progress = Progress(driver)
        self.runs = Runs()
        self._registry, self._driver, self._desk = registry, driver, desk
        self._max_result = driver.settings.max_result
        self._signer = driver.settings.signer()
        self._processes = Processes(registry, process_slots, self._max_result)
        self._threads = Threads()
        self._lane = Lane(self._run, self._waits, self.reserve, processes)
        self.times = RunTimes(registry, driver.learner, driver.settings.timeouts.handlers)
        self.lessons = Lessons(registry, driver)
        self._deadlines = Deadlines(self._overdue)
        self._unfinished: dict[Job, None] = {}
        self._farewells: set[asyncio.Task[None]] = set()
        self._all_done = asyncio.Event()
        self._all_done.set()
        self._runners: dict[str, Runner] = {
            "async": self._on_loop,
            "thread": self._in_thread,
            "process": self._in_process,
        }

    # --- from the exchange

    def begin(self, claimed: Claimed, lease_end: float, *, offered: bool = False) -> Job:
        """Run a claimed job, unless it is on offer. One that cannot be run is set aside, and its siblings do not
        notice. The caller has the keeper hold what it gets."""
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
        self.times.waited(claimed)
        earlier = self.jobs.get(job.ident)
        if earlier is not None and earlier.fence != job.fence:
            # The message that it was taken away is still on its way, and will find the later run in its place.
            earlier.lose("the server has given it to a later run")
        self.jobs[job.ident] = job
        if problem:
            log.error("job %s cannot be run and is set aside: %s", job.ident, words.reason(problem))
            job.finished = True
            self._hand_in(job, Poisoned(words.reason(problem)))
        else:
            job.payload = payload
            self._desk.occupy()
            self._launch(job, offered)
            self.on_begin(job)
        return job

    def again(self, job: Job, fence: int, lease_end: float | None) -> None:
        """Run a job once more that keeps its slot and its resources, under a new fence."""
        following = job.again(fence, lease_end)
        self.jobs[job.ident] = following
        self._driver.hold(following)
        following.payload = self._payload(job.claimed)  # anew: the run before may have changed what it was given
        self._launch(following)
        self.on_begin(following)

    def hand_back(self, claimed: Claimed) -> None:
        """Return a job that was claimed and will not be begun."""
        if failpoints.on:
            failpoints.reach("worker.before_hand_back")
        job = Job(claimed, _NOBODY, self._driver)
        job.finished = True
        self._hand_in(job, Released())

    def regain(self, job: Job) -> None:
        """Run a job that was on offer and is still ours, in the slot that it has."""
        following = job.regained()
        self.jobs[job.ident] = following
        self._driver.keeper.let_go(job.ident)
        self._driver.hold(following)
        self._leave(job)
        self._launch(following)
        self.on_begin(following)

    def surrender(self, job: Job) -> None:
        """A job that was on offer is another worker's."""
        self._leave(job)
        self._desk.vacate()
        self.forget(job)

    def forget(self, *jobs: Job) -> None:
        """Jobs are settled or lost: nothing of them is left here."""
        if failpoints.on:
            failpoints.reach("worker.before_forget")
        known, mine = self.jobs, [job for job in jobs if self.jobs.get(job.ident) is job]
        for job in mine:
            del known[job.ident]
        self._driver.keeper.let_go_all([job.ident for job in mine])

    @property
    def spent(self) -> tuple[float, int]:
        """For how many seconds jobs have kept others from beginning, and how many have begun, since the start."""
        return self._lane.spent + self._processes.slots.spent, self._lane.begun

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
        for job in list(self._unfinished):
            if not job.begun or self._processes.starting(job.ident):
                self._release(job)

    async def finished(self) -> None:
        """Wait until no handler runs."""
        await self._all_done.wait()

    async def release_all(self) -> None:
        """Tell every handler to end, wait a moment, and hand back the jobs of those that did not."""
        for job in list(self._unfinished):
            self._release(job)
        try:
            async with asyncio.timeout(LINGER):
                await self._all_done.wait()
        except TimeoutError:
            for job in list(self._unfinished):
                log.warning("job %s does not end; it is handed back without waiting for it", job.ident)
                self._post(job, Released())

    def _release(self, job: Job) -> None:
        if job.spare:
            self._post(job, Released())  # no run would end for it
        else:
            job.stop(Stop.RELEASE, "the worker shuts down")

    async def _begin(self) -> None:
        await self.progress.start()

    async def _end(self) -> None:
        self._deadlines.stop()
        await self._processes.stop()
        self._threads.stop()
        await self.progress.stop()

    # --- one job

    def _launch(self, job: Job, offered: bool = False) -> None:
        """Have a job begin in its turn, unless it was offered to others before it was seen here."""
        self.lessons.choose(job)
        if not self._unfinished:
            self._all_done.clear()
        self._unfinished[job] = None
        if offered:
            job.spare, self.reserve.offered[job.ident] = True, job
        else:
            self._lane.put(job)

    def _leave(self, job: Job) -> None:
        job.finished = True
        self._unfinished.pop(job, None)
        if not self._unfinished:
            self._all_done.set()

    async def _run(self, job: Job) -> None:
        outcome: Outcome = Released()
        context = Context(job, self.progress.note)
        try:
            if job.stopped is None and not job.lost and (not job.claimed.unsure or await self._on_record(job)):
                if failpoints.on:
                    failpoints.reach("worker.before_handler")
                result = await self._runners[job.handler.executor](job, context)
                if failpoints.on:
                    failpoints.reach("worker.after_handler")
                in_time = job.stopped is not Stop.TIMEOUT
                outcome = Succeeded(result) if in_time else self._failed(job, context, TimeoutError(job.why))
        except asyncio.CancelledError as error:
            outcome = self._failed(job, context, error)
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # sys.exit() ends the handler, not the worker
            outcome = self._failed(job, context, error)
        self._conclude(job, outcome)

    async def _on_record(self, job: Job) -> bool:
        """A worker may have died of this job: its start counts before it begins, or it does not begin."""
        try:
            job.told = await self._driver.run(fleet.note_start(self._driver.scope, job.ident, job.fence))
        except CoordinatorError as error:
            log.warning("the start of job %s could not be noted, so it does not begin: %s", job.ident, error)
        return job.told and job.stopped is None and not job.lost

    def _conclude(self, job: Job, outcome: Outcome) -> None:
        if not job.begun and job.handler.executor == "process" and not self.reserve.processes.take(job):
            return  # it was offered to others while it waited
        job.interrupt = None
        now = time.monotonic()
        self.times.ended(job, outcome, now)
        self.runs.ended(self._driver.meter, job, outcome, now)
        self.lessons.note(job)
        if job.timer is not None:
            self._deadlines.cancel(job)
        if not self.progress.owed(job):
            self._post(job, outcome)
        else:
            # Not here: a run that has ended must not keep the lane waiting.
            farewell = asyncio.get_running_loop().create_task(self._say_last_word(job, outcome))
            self._farewells.add(farewell)
            farewell.add_done_callback(self._farewells.discard)

    async def _say_last_word(self, job: Job, outcome: Outcome) -> None:
        await self.progress.flush(job)
        self._post(job, outcome)

    def _waits(self, job: Job, task: asyncio.Task[None]) -> None:
        """A run waits for the first time: from here on it can be told to stop, and run out of time."""
        job.task = task
        if self._desk.cramped:
            self._desk.changed.set()
        if self.reserve.offered:
            self.on_free()
        if job.interrupt is None:
            job.interrupt = lambda _how: task.cancel()
        if job.begun and job.handler.executor != "process":
            self._limit(job)

    def _limit(self, job: Job) -> None:
        """A run that waits is to end in time. One that never waits needs no timeout: nobody could end it."""
        self.times.choose(job)
        if (seconds := job.seconds) is not None and job.began is not None:
            self._deadlines.set(job, asyncio.get_running_loop().time() + seconds - (time.monotonic() - job.began))

    def _overdue(self, job: Job) -> None:
        job.stop(Stop.TIMEOUT, self.times.overdue(job))

    def _failed(self, job: Job, context: Context, error: BaseException) -> Outcome:
        if job.spare:
            return Released()
        outcome = judge.failure(job, error, random.random(), self.lessons.of(job))
        word = type(outcome).__name__.lower()
        if job.stopped is Stop.TIMEOUT:
            context.log.warning(f"handler {job.why}", outcome=word)
        elif job.stopped is None and not job.lost and not isinstance(error, Control):
            # What was raised in a process is in words already, and its traceback on a log line of its own.
            said, trace = (error.said, None) if isinstance(error, HandlerFailed) else (words.of_error(error), error)
            context.log.warning("handler failed", outcome=word, error=said, exc_info=trace)
        return outcome

    def _post(self, job: Job, outcome: Outcome) -> None:
        if job.finished:
            return
        if failpoints.on:
            failpoints.reach("worker.before_post")
        self._leave(job)
        keeps = isinstance(outcome, Retry) and outcome.delay == 0
        if job.zombie and keeps:
            self._desk.occupy()
        elif not job.zombie and not keeps:
            self._desk.vacate()
        self._hand_in(job, outcome, keeps)
        if self.reserve.offered:
            self.on_free()

    def _hand_in(self, job: Job, outcome: Outcome, keeps: bool = False) -> None:
        self._desk.put(Entry(job, judge.sealed(job, outcome, self._max_result, self._signer), keeps))

    def _payload(self, claimed: Claimed) -> Any:
        """What the handler is given. The signature comes first: nothing is decoded that nobody vouches for."""
        if not self._signer.keys and not claimed.payload.startswith(MARK):
            return codec.unpack(claimed.payload, "the payload")
        mark = JobMark(claimed.ident, claimed.name, claimed.queue, claimed.dedup)
        return codec.unpack(self._signer.open_payload(mark, claimed.payload), "the payload")

    # --- the three ways to run a handler

    def _on_loop(self, job: Job, context: Context) -> Awaitable[Any]:
        self._begin_run(job)
        run: Awaitable[Any] = job.handler.function(context, job.payload)
        return run

    async def _in_thread(self, job: Job, context: Context) -> Any:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

        def done(value: Any, error: BaseException | None) -> None:
            self._driver.in_loop(self._thread_ended, job, ended, (value, error))

        def interrupt(how: Stop | None) -> None:
            if how is Stop.TIMEOUT and not ended.done():
                job.zombie = True
                ended.cancel()

        job.interrupt = interrupt
        self._begin_run(job)
        self._threads.run(partial(job.handler.function, context, job.payload), done)
        value, error = await ended
        if error is not None:
            raise error
        return value

    def _thread_ended(self, job: Job, ended: asyncio.Future[Any], came: tuple[Any, BaseException | None]) -> None:
        if not ended.done():
            ended.set_result(came)
        else:
            log.warning("job %s has ended after its time; what it returned does not count", job.ident)
            self._desk.vacate()

    async def _in_process(self, job: Job, context: Context) -> Any:
        async with self._processes.slots:
            if not self.reserve.processes.take(job):
                return None
            job.begun, job.began = True, time.monotonic()
            self.runs.begun(job)
            self.times.choose(job)
            self.reserve.occupy(1)
            try:
                return await self._processes.run(context.portable(), job.payload, job.seconds)
            except TimeoutError:
                self._overdue(job)
                raise
            finally:
                self.reserve.occupy(-1)

    def _begin_run(self, job: Job) -> None:
        job.begun, job.began = True, time.monotonic()
        self.runs.begun(job)
        if job.task is not None:
            self._limit(job)  # it has waited before it began: for its start to be on record


def _nobody(_context: Any, _payload: Any) -> None:
    return None


_NOBODY = Handler("?", _nobody, "thread")
