"""What a handler is given besides its payload: who the job is, its fence, and whether it should go on."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import structlog

from coordinator.errors import InvalidInput, LeaseLost
from coordinator.model import codec
from coordinator.model.names import Priority
from coordinator.wire.needs import from_wire
from workers import words
from workers.control import JobCancelled, RateLimited
from workers.job import Job

LOGGER = "workers.job"


@dataclass(frozen=True, slots=True)
class ProcessContext:
    """The context of a handler with `executor="process"`: the facts of the job, and what makes sense in a process
    that has no way to the coordinator.

    A cancelled, timed out or lost job is killed together with its process, so `cancelled` and `lost` are always False
    and `check()` does nothing. `progress` writes to the log only.
    """

    id: str
    name: str
    queue: str
    priority: Priority
    attempt: int
    deliveries: int
    metadata: Mapping[str, Any]
    resources: tuple[str, ...]
    number: int
    yield_requested: bool = field(default=False, init=False)
    cancelled: bool = field(default=False, init=False)
    cancel_reason: str = field(default="", init=False)
    lost: bool = field(default=False, init=False)

    def fence(self, resource: str | None = None) -> int:
        """As `Context.fence`."""
        return _fence(self.id, self.number, self.resources, resource)

    def progress(self, fraction: float, text: str = "") -> None:
        """Writes how far the job is to the log."""
        self.log.info("progress", progress=_progress(fraction, text))

    def rate_limited(self, retry_after: float) -> NoReturn:
        """As `Context.rate_limited`."""
        raise RateLimited(retry_after)

    def check(self) -> None:
        """Does nothing here: a job that must not go on is killed."""

    @property
    def log(self) -> Any:
        """As `Context.log`."""
        return _logger(self.id, self.name, self.attempt)


class Context:
    """The context of a handler on the loop or in a thread. Safe to use from any thread."""

    __slots__ = ("_job", "_log", "_note", "_resources")

    def __init__(self, job: Job, note: Callable[[Job], None]) -> None:
        self._job, self._note = job, note
        self._log: Any = None
        self._resources: tuple[str, ...] | None = None

    @property
    def id(self) -> str:
        """The job's id."""
        return self._job.ident

    @property
    def name(self) -> str:
        """The handler's name."""
        return self._job.claimed.name

    @property
    def queue(self) -> str:
        """The queue the job came by."""
        return self._job.claimed.queue

    @property
    def priority(self) -> Priority:
        """How urgent the job is."""
        return Priority(self._job.claimed.priority)

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        return self._job.attempt

    @property
    def deliveries(self) -> int:
        """How often the job was given to a worker, this time included. More than attempts: workers died or left."""
        return self._job.claimed.deliveries

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the submitter attached. Raises Corrupt."""
        return codec.metadata_of(self._job.claimed.metadata)

    @property
    def resources(self) -> tuple[str, ...]:
        """The names of the resources that the job holds. Raises Corrupt."""
        if self._resources is None:
            self._resources = tuple(one.resource for one in from_wire(self._job.claimed.needs))
        return self._resources

    def fence(self, resource: str | None = None) -> int:
        """The fencing token to hand to whatever the resource guards; larger than that of every earlier holder.

        One number for the job and all it holds. Raises InvalidInput for a resource that this job does not hold.
        """
        held = self.resources if resource is not None else ()
        return _fence(self.id, self._job.fence, held, resource)

    def progress(self, fraction: float, text: str = "") -> None:
        """Say how far the job is, from 0 to 1, with a few words. Cheap to call often: only the newest is sent, at most
        twice a second, and the last one always. Raises InvalidInput."""
        said = _progress(fraction, text)
        waiting, self._job.progress = self._job.progress is not None, said
        if not waiting:
            self._note(self._job)

    def rate_limited(self, retry_after: float) -> NoReturn:
        """Whom the handler depends on wants to be left alone for so many seconds: ends the run, see `RateLimited`."""
        raise RateLimited(retry_after)

    @property
    def yield_requested(self) -> bool:
        """Whether somebody more urgent waits for what the job holds and asks for it (`on_preempt`). A handler that can
        may end soon; `cancelled` follows after a time of grace if they ask for that."""
        return self._job.yield_requested

    @property
    def cancelled(self) -> bool:
        """Whether the handler should stop: the job was cancelled, its time ran out, or the worker shuts down."""
        return self._job.stopped is not None

    @property
    def cancel_reason(self) -> str:
        """Why it should stop; empty if it should not."""
        return self._job.why

    @property
    def lost(self) -> bool:
        """Whether the lease is over. True before anybody else can have the resources; nothing that is done from then on
        counts."""
        return self._job.lost

    def check(self) -> None:
        """Raises LeaseLost or JobCancelled if the handler should stop. For loops in plain `def` handlers."""
        job = self._job
        if job.lost:
            raise LeaseLost(job.ident, job.why_lost or "it cannot be trusted any more")
        if job.stopped is not None:
            raise JobCancelled(job.ident, job.why)

    @property
    def log(self) -> Any:
        """A structlog logger bound to the job's id, name and attempt."""
        if self._log is None:
            self._log = _logger(self.id, self.name, self.attempt)
        return self._log

    def portable(self) -> ProcessContext:
        """The part of this context that can go into another process. Raises Corrupt."""
        return ProcessContext(
            self.id,
            self.name,
            self.queue,
            self.priority,
            self.attempt,
            self.deliveries,
            self.metadata,
            self.resources,
            self._job.fence,
        )


def _fence(ident: str, number: int, held: tuple[str, ...], resource: str | None) -> int:
    if resource is not None and resource not in held:
        holds = ", ".join(held) or "nothing"
        raise InvalidInput("resource", resource, f"is not held by job {ident}, which holds {holds}")
    return number


def _progress(fraction: float, text: str) -> str:
    if not math.isfinite(fraction):
        raise InvalidInput("fraction", fraction, "must be a number from 0 to 1")
    return words.progress(fraction, str(text))


def _logger(ident: str, name: str, attempt: int) -> Any:
    if structlog.is_configured():
        logger = structlog.get_logger(LOGGER)
    else:
        # Inside an application that does not use structlog its lines go where all others go.
        render = structlog.processors.KeyValueRenderer(key_order=["event"])
        logger = structlog.wrap_logger(
            logging.getLogger(LOGGER),
            processors=[structlog.processors.format_exc_info, render],
            wrapper_class=structlog.stdlib.BoundLogger,
        )
    return logger.bind(job=ident, name=name, attempt=attempt)
