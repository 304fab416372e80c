"""Run timeouts: which one a job gets, what is learnt from how its run ends, and what is said of one that is up."""

from __future__ import annotations

from collections.abc import Callable

from coordinator.drivers.learner import Learner
from coordinator.ops.fleet import Claimed
from coordinator.ops.timing import key_of
from coordinator.policy.adaptive import OPERATION, QUEUE, SHARE, Adaptive
from coordinator.policy.outcome import Outcome, Succeeded
from workers.job import Job, Stop
from workers.registry import Registry


class RunTimes:
    """The run timeouts of a worker's handlers. All runs are learnt from, whoever chose their timeout. `everywhere`:
    handlers that name no timeout have an adaptive one."""

    def __init__(self, registry: Registry, learner: Learner, everywhere: bool = False) -> None:
        self._learner = learner
        self._keys = {one.name: key_of(OPERATION, one.name) for one in registry}
        self._took: dict[str, Callable[[float], None]] = {}
        self._queues: dict[str, Callable[[float], None]] = {}
        self._adaptive = set[str]()
        for one in registry:
            if one.adaptive is not None or (everywhere and one.timeout is None):
                self._adaptive.add(one.name)
                learner.pin(self._keys[one.name], one.adaptive if isinstance(one.adaptive, Adaptive) else None)

    @property
    def adaptive(self) -> list[str]:
        """The names under which timeouts are counted that this worker goes by."""
        return sorted(self._keys[name] for name in self._adaptive)

    def choose(self, job: Job) -> None:
        """A run begins that can be ended: its timeout, if it is for the fleet to say."""
        name = job.handler.name
        if name in self._adaptive and not job.claimed.run_ms:
            job.learnt = self._learner.seconds(self._keys[name])

    def waited(self, claimed: Claimed) -> None:
        """A job has come. What it waited is learnt from once: later it waits for other reasons, too."""
        if claimed.deliveries == 1:
            took = self._queues.get(claimed.queue)
            if took is None:
                took = self._queues[claimed.queue] = self._learner.taker(key_of(QUEUE, claimed.queue))
            took(claimed.waited_ms / 1000)

    def ended(self, job: Job, outcome: Outcome, now: float) -> None:
        """A run is over. One that failed by itself or was stopped says nothing of how long it takes."""
        if job.began is None:
            return
        name = job.handler.name
        if job.stopped is Stop.TIMEOUT:
            self._learner.ran_out(key_of(OPERATION, name), job.seconds or 0.0)
        elif type(outcome) is Succeeded:
            took = self._took.get(name)
            if took is None:
                took = self._took[name] = self._learner.taker(key_of(OPERATION, name))
            took(now - job.began)

    def overdue(self, job: Job) -> str:
        """Why a run was cut off, with the figures if the fleet chose its timeout."""
        said = f"timed out after {job.seconds:g} s"
        if job.level:
            said += f" (escalated to level {job.level}: {job.escalation.factor:.3g} times {job.unescalated:g} s)"
        if job.learnt is None:
            return said
        seen, strategy = self._learner.figures(self._keys[job.handler.name])
        latency = seen.latencies.quantile(SHARE)
        if latency is None:
            return f"{said} (adaptive: nothing was seen yet)"
        return f"{said} (adaptive, {strategy}: p99 {latency:.3g} s of {seen.total} runs, {seen.timeouts} cut off)"
