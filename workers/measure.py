"""What is measured of each run: when it begins, and when its outcome is known."""

from __future__ import annotations

from coordinator.model.measures import PRIORITIES, Meter
from coordinator.policy.outcome import Failed, Outcome, Poisoned, Retry, Succeeded
from workers.job import Job

_WORDS: dict[type, str] = {}


def claimed(meter: Meter, jobs: int) -> None:
    """A claim brought so many jobs."""
    if jobs:
        meter.count("queue.batches")
        meter.observe("queue.batch_size", jobs)


def begun(meter: Meter, job: Job) -> None:
    """A handler begins."""
    meter.count("queue.started", 1, PRIORITIES[job.claimed.priority])


def ended(meter: Meter, job: Job, outcome: Outcome, now: float) -> None:
    """The outcome of a run is known. `now` by the clock of `job.began`."""
    meter.count("queue.processed", 1, _word(type(outcome)))
    if job.began is None:
        return
    took = now - job.began
    meter.observe("queue.run", took)
    meter.gauge("queue.last_run", took)
    good = isinstance(outcome, Succeeded)
    if not good and isinstance(outcome, Failed | Retry | Poisoned):
        meter.count("queue.errors")
        if isinstance(outcome, Retry):
            meter.observe("retry.delay", outcome.delay)
    if job.attempt > 1:
        meter.gauge("retry.most_attempts", job.attempt)
        _retried(meter, good, isinstance(outcome, Failed))


def _retried(meter: Meter, good: bool, final: bool) -> None:
    if good:
        meter.count("retry.succeeded")
    else:
        meter.count("retry.failed")
        if final:
            meter.count("retry.exhausted")


def _word(kind: type) -> str:
    """The label of an outcome: its name, in the words of the table."""
    known = _WORDS.get(kind)
    if known is None:
        known = _WORDS[kind] = {"poisoned": "dead"}.get(kind.__name__.lower(), kind.__name__.lower())
    return known
