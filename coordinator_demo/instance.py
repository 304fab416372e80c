"""One application instance: asks for what its share of the pulls needs, at the moments the trace says.

Pulls with an even number are locks that the instance holds itself, odd ones are jobs it hands to the workers. Instances
with an even index run on asyncio, the others on threads; both do the same, against the same Redis. Of some jobs the
next instance gets the webhook as well, at the same moment, and hands the job in once more.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from coordinator import AsyncCoordinator, Coordinator, CoordinatorError, Dedup
from coordinator.errors import JobFailed
from coordinator_demo.history import Recorder, clock
from coordinator_demo.trace import Pull, Trace

AGAIN_EVERY = 10
# As long as a webhook may come once more; the duplicate joins the job even when that is over by then.
DEDUP_SECONDS = 600.0
JOB = "terraform.apply"


@dataclass(frozen=True, slots=True)
class Errand:
    """One ask of one instance, `at` seconds after the start, for `hold` seconds. `again`: it is a second delivery."""

    at: float
    hold: float
    pull: Pull
    again: bool = False


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of the trace an instance replays, how fast, and when it starts (epoch seconds)."""

    index: int
    of: int
    factor: float
    start: float

    @property
    def threaded(self) -> bool:
        """Whether this instance runs on threads; else on asyncio."""
        return self.index % 2 == 1

    def errands(self, trace: Trace) -> list[Errand]:
        """What this instance has to do, in order of time."""
        found, jobs = [], 0
        for number, pull in enumerate(trace.pulls):
            jobs += pull.is_job
            at, hold = pull.arrival * self.factor, pull.hold * self.factor
            if number % self.of == self.index:
                found.append(Errand(at, hold, pull))
            if pull.is_job and jobs % AGAIN_EVERY == 0 and (number + 1) % self.of == self.index:
                found.append(Errand(at, hold, pull, again=True))
        return found


def job_options(errand: Errand) -> dict[str, Any]:
    """The options of the job of a pull."""
    pull = errand.pull
    return {
        "resources": pull.resources,
        "priority": pull.priority,
        "dedup": Dedup(pull.key, on_conflict="join", scope="ttl", ttl=DEDUP_SECONDS),
        "owner": pull.key,
        "reason": "apply",
    }


def payload(errand: Errand) -> dict[str, Any]:
    """What the worker is told."""
    return {"pull": errand.pull.key, "hold": errand.hold, "resources": list(errand.pull.resources)}


class Log:
    """What an instance writes into its history. `failed` counts asks that did not end as they should."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.failed = 0

    def asks(self, errand: Errand) -> None:
        kind = "job" if errand.pull.is_job else "lock"
        self._recorder.note("asks", pull=errand.pull.key, kind=kind, again=errand.again)

    def asked(self, errand: Errand, request: str, joined: bool = False) -> None:
        self._recorder.note("asked", pull=errand.pull.key, request=request, joined=joined)

    def holding(self, errand: Errand, request: str, fence: int) -> None:
        self._recorder.note(
            "holding", pull=errand.pull.key, request=request, fence=fence, resources=errand.pull.resources
        )

    def done(self, errand: Errand, request: str, fence: int) -> None:
        self._recorder.note("done", pull=errand.pull.key, request=request, fence=fence)

    def told(self, errand: Errand, request: str, state: str) -> None:
        self._recorder.note("told", pull=errand.pull.key, request=request, state=state)

    def fail(self, errand: Errand, error: BaseException) -> None:
        self.failed += 1
        self._recorder.note("failed", pull=errand.pull.key, error=f"{type(error).__name__}: {error}")


async def run_async(co: AsyncCoordinator, errands: Sequence[Errand], start: float, log: Log) -> None:
    """Do all errands on asyncio, each at its time. Returns when all are over."""
    async with asyncio.TaskGroup() as group:
        for errand in errands:
            await asyncio.sleep(max(0.0, start + errand.at - clock()))
            group.create_task(_do_async(co, errand, log))


async def _do_async(co: AsyncCoordinator, errand: Errand, log: Log) -> None:
    log.asks(errand)
    try:
        await (_job_async if errand.pull.is_job else _lock_async)(co, errand, log)
    except CoordinatorError as error:
        log.fail(errand, error)


async def _lock_async(co: AsyncCoordinator, errand: Errand, log: Log) -> None:
    pull = errand.pull
    ticket = await co.request(pull.resources, priority=pull.priority, owner=pull.key, reason="plan")
    log.asked(errand, ticket.ident)
    lease = await ticket.wait()
    log.holding(errand, ticket.ident, lease.fence)
    await asyncio.sleep(errand.hold)
    log.done(errand, ticket.ident, lease.fence)
    await lease.release()
    log.told(errand, ticket.ident, "released")


async def _job_async(co: AsyncCoordinator, errand: Errand, log: Log) -> None:
    ticket = await co.submit(JOB, payload(errand), **job_options(errand))
    log.asked(errand, ticket.ident, ticket.duplicate)
    try:
        await ticket.result()
    except JobFailed as error:
        log.told(errand, ticket.ident, error.state)
    else:
        log.told(errand, ticket.ident, "succeeded")


def run_threads(co: Coordinator, errands: Sequence[Errand], start: float, log: Log) -> None:
    """Do all errands, each in a thread of its own at its time. Returns when all are over."""
    threads = []
    for errand in errands:
        time.sleep(max(0.0, start + errand.at - clock()))
        thread = threading.Thread(target=_do_sync, args=(co, errand, log), name=errand.pull.key)
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join()


def _do_sync(co: Coordinator, errand: Errand, log: Log) -> None:
    log.asks(errand)
    try:
        (_job_sync if errand.pull.is_job else _lock_sync)(co, errand, log)
    except CoordinatorError as error:
        log.fail(errand, error)


def _lock_sync(co: Coordinator, errand: Errand, log: Log) -> None:
    pull = errand.pull
    ticket = co.request(pull.resources, priority=pull.priority, owner=pull.key, reason="plan")
    log.asked(errand, ticket.ident)
    lease = ticket.wait()
    log.holding(errand, ticket.ident, lease.fence)
    time.sleep(errand.hold)
    log.done(errand, ticket.ident, lease.fence)
    lease.release()
    log.told(errand, ticket.ident, "released")


def _job_sync(co: Coordinator, errand: Errand, log: Log) -> None:
    ticket = co.submit(JOB, payload(errand), **job_options(errand))
    log.asked(errand, ticket.ident, ticket.duplicate)
    try:
        ticket.result()
    except JobFailed as error:
        log.told(errand, ticket.ident, error.state)
    else:
        log.told(errand, ticket.ident, "succeeded")
