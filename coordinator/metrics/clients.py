"""What a client measures of its calls, and how that is put into its driver."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from coordinator.errors import BatchRefused, BreakerOpen, LineFull, MemoryFull, QueueFull
from coordinator.metrics.publisher import Occasional, Options
from coordinator.metrics.sample import Origin
from coordinator.model.measures import PRIORITIES, Meter
from coordinator.model.signing import Signer
from coordinator.ops import similar
from coordinator.ops.submission import Submission, to_ask
from coordinator.ops.timing import Book
from coordinator.ops.work import Submitted
from coordinator.policy.rules import RuleSet
from coordinator.settings import Settings
from coordinator.wire.calls import JobAsk, Scope
from coordinator.wire.step import Operation

# Refusals of what would have been let in at another moment.
SHED = (QueueFull, LineFull, BreakerOpen, MemoryFull)


class Driver(Protocol):
    """What is asked of a driver."""

    scope: Scope
    signer: Signer
    rules: RuleSet
    meter: Meter
    on_use: Callable[[float], None]
    on_fork: Callable[[], None]
    on_close: Callable[[float], Operation[None]]

    @property
    def settings(self) -> Settings:
        """The settings in force."""

    @property
    def book(self) -> Book:
        """What is known of timeouts."""

    @property
    def described(self) -> dict[str, str]:
        """Kind, host and pid of this process."""

    def new_id(self) -> str:
        """A new id."""

    def in_passing(self, operation: Operation[None]) -> Any:
        """Carry out an operation that nobody waits for, now or later."""


def attach(driver: Driver) -> None:
    """Have a client measure, and publish that while it is used."""
    if not driver.settings.metrics.enabled:
        return

    def options() -> Options:
        return Options.of(driver.settings.metrics)

    def origin() -> Origin:
        return Origin(driver.new_id(), **driver.described)

    made = Occasional(driver.scope, options, origin, driver.in_passing)
    driver.meter = made.recorder
    driver.on_use, driver.on_fork, driver.on_close = made.used, made.renew, made.last


def submit(driver: Driver, given: Submission) -> Operation[Submitted]:
    """Hand in a job. Raises as `similar.submit` and `to_ask`."""
    limit = driver.settings.max_payload
    job = to_ask(driver.new_id(), given, limit, driver.signer, driver.rules)
    like = similar.likeness(given, job, driver.settings.similar)
    try:
        done = yield from similar.submit(driver.scope, limit, job, like, driver.meter)
    except SHED:
        driver.meter.count("shed.jobs", 1, PRIORITIES[job.priority])
        raise
    if not done.duplicate:
        driver.meter.count("queue.enqueued", 1, PRIORITIES[job.priority])
    return done


def submit_many(driver: Driver, given: Sequence[Submission]) -> Operation[list[Submitted]]:
    """Hand in many jobs. Raises as `similar.submit_many` and `to_ask`."""
    limit = driver.settings.max_payload
    jobs = [to_ask(driver.new_id(), one, limit, driver.signer, driver.rules) for one in given]
    rules = driver.settings.similar
    likes = [similar.likeness(one, job, rules, batch=True) for one, job in zip(given, jobs, strict=True)]
    try:
        done = yield from similar.submit_many(driver.scope, limit, jobs, likes, driver.meter)
    except BatchRefused as error:
        for number, reason in error.errors.items():
            if isinstance(reason, SHED):
                driver.meter.count("shed.jobs", 1, PRIORITIES[jobs[number].priority])
        raise
    _submitted(driver.meter, zip(jobs, done, strict=True))
    return done


def _submitted(meter: Meter, found: Iterable[tuple[JobAsk, Submitted]]) -> None:
    """Jobs that were there already are no new ones."""
    new = Counter([job.priority for job, one in found if not one.duplicate])
    for priority, count in new.items():
        meter.count("queue.enqueued", count, PRIORITIES[priority])
