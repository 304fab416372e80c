"""What is measured of each run: when it begins, and when its outcome is known.

Done for every job, so it is put down in plain lists and handed to the meter with the next sample.
"""

from __future__ import annotations

from collections import deque

from coordinator.metrics.recorder import Recorder
from coordinator.model.histogram import Observed, bucket
from coordinator.model.measures import PRIORITIES, Meter
from coordinator.ops.fleet import Exchange
from coordinator.policy.outcome import Cancelled, Failed, Outcome, Poisoned, Released, Retry, Snooze, Succeeded
from coordinator.wire.calls import Claim
from workers import lag
from workers.job import Job
from workers.lag import Ended

# How many runs that took long are remembered, for who asks what was at work a moment ago.
MOST_LONG = 16
LABELS: dict[type, str] = {
    Succeeded: "succeeded",
    Failed: "failed",
    Retry: "retry",
    Snooze: "snooze",
    Cancelled: "cancelled",
    Poisoned: "dead",
    Released: "released",
}


def claimed(meter: Meter, jobs: int) -> None:
    """A claim brought so many jobs."""
    if jobs:
        meter.count("queue.batches")
        meter.observe("queue.batch_size", jobs)


def stolen(meter: Meter, ask: Claim, found: Exchange) -> None:
    """A claim was answered; where it found less than it asked for it looked for jobs of other workers, too."""
    taken = found.stolen if ask.steals else 0
    if ask.steals and (taken or len(found.raw_jobs) < ask.wanted):
        meter.count("steal.tried")
    if taken:
        meter.count("steal.taken", taken)


class Runs:
    """The runs of a worker since the last sample. Used on the loop only."""

    def __init__(self) -> None:
        self._started, self._waited = [0] * len(PRIORITIES), [0] * len(PRIORITIES)
        self._ended: dict[type, int] = {}
        self._times = Observed()
        # How long the newest run took, and when it ended.
        self._last: float | None = None
        self._last_at = 0.0
        # The newest runs in this process that took long.
        self.long: deque[Ended] = deque(maxlen=MOST_LONG)

    def begun(self, job: Job) -> None:
        """A handler begins."""
        claimed = job.claimed
        self._started[claimed.priority] += 1
        self._waited[claimed.priority] += claimed.waited_ms

    def ended(self, meter: Meter, job: Job, outcome: Outcome, now: float) -> None:
        """The outcome of a run is known. `now` by the clock of `job.began`."""
        kind, ended = type(outcome), self._ended
        ended[kind] = ended.get(kind, 0) + 1
        if job.began is None:
            return
        self._last = took = now - job.began
        self._last_at = now
        times, place = self._times, bucket(took)
        times.total += took
        counts = times.histogram.counts
        counts[place] = counts.get(place, 0) + 1
        if took >= lag.LONG and job.handler.executor != "process":
            self.long.append(Ended(job.handler.name, job.began, now))
        if kind is not Succeeded or job.claimed.attempts:
            _seldom(meter, job, outcome, took)

    def tell(self, recorder: Recorder, now: float) -> None:
        """Hand over what was put down since the last time. `now` as of `ended`."""
        started, self._started = self._started, [0] * len(PRIORITIES)
        waited, self._waited = self._waited, [0] * len(PRIORITIES)
        ended, self._ended = self._ended, {}
        times, self._times = self._times, Observed()
        for label, count, ms in zip(PRIORITIES, started, waited, strict=True):
            recorder.count("queue.started", count, label)
            recorder.count("queue.waited_ms", ms, label)
        for kind, count in ended.items():
            recorder.count("queue.processed", count, LABELS[kind])
        recorder.add("queue.run", times)
        if self._last is not None:
            recorder.gauge("queue.last_run", self._last)
            recorder.gauge("queue.since_run", max(0.0, now - self._last_at))


def _seldom(meter: Meter, job: Job, outcome: Outcome, took: float) -> None:
    """What is to be said of runs that do not succeed at once."""
    bad = isinstance(outcome, Failed | Retry | Poisoned)
    if bad:
        meter.count("queue.errors")
    if isinstance(outcome, Retry):
        meter.observe("retry.delay", outcome.delay)
        meter.count("retry.scheduled", 1, outcome.strategy)
        if outcome.adjusted:
            meter.count("retry.adjusted")
    if job.claimed.attempts:
        meter.gauge("retry.most_attempts", job.attempt)
        if bad or isinstance(outcome, Succeeded):
            _tried_again(meter, outcome, took)


def _tried_again(meter: Meter, outcome: Outcome, took: float) -> None:
    """What is to be said of runs after a first attempt that succeeded or failed."""
    meter.observe("retry.latency", took)
    if isinstance(outcome, Succeeded):
        meter.count("retry.succeeded")
        return
    meter.count("retry.failed")
    if isinstance(outcome, Failed):
        meter.count("retry.exhausted")
