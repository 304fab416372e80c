"""How many jobs the exchange asks for: what the policy of `batch` is told of this worker, and what it answers.

Nothing is done for a job, and little for a claim: the policy is asked anew after some of them. What jobs take is read
off counters of the lane and the processes.
"""

from __future__ import annotations

from coordinator.drivers.aio import AsyncDriver
from coordinator.policy import batch
from coordinator.policy.batch import Bounds, Seen
from workers.desk import Desk
from workers.executor import Executor


class Sizes:
    """The claims of one worker. Before each comes `look`; `wanted` is asked as often as one likes; then come `sent` and
    `came`."""

    def __init__(self, driver: AsyncDriver, desk: Desk, executor: Executor, call: int) -> None:
        self._driver, self._desk, self._executor, self._call = driver, desk, executor, call
        self._half = (desk.slots + 1) // 2
        self._settings = driver.settings
        self._state = batch.cold(self._settings.batching.aim())
        self._plan = self._planned()
        # The size that was told of last, which is the first.
        self._told = self._plan.full
        # Since the last look: how many claims are still to be made before the next, and when that is due in any case;
        # how many claims were of the size in force; how many jobs came; whether more was always done at once; where the
        # clock and the counters stood.
        self._left, self._due, self._whole, self._jobs, self._busy = 1, 0.0, 0, 0, False
        self._at, self._spent, self._begun = 0.0, 0.0, 0
        # How many the last claim asked for; 0 when it is answered.
        self._asked = 0

    def look(self, now: float, call: int) -> None:
        """A claim may be made, of no more than one call may be for: learn, if it is time to."""
        if self._left > 0 and now < self._due and call == self._call:
            return
        spent, begun = self._executor.spent
        seen = Seen(
            self._jobs,
            now - self._at,
            spent - self._spent,
            begun - self._begun,
            self._busy and not self._asked and call == self._call,
        )
        self._state = batch.learn(self._state, self._plan, seen)
        self._driver.meter.count("batch.limited", self._whole, self._plan.why)
        self._settings, self._call, before = self._driver.settings, call, self._plan.full
        self._plan = self._planned()
        self._left, self._due, self._whole = batch.epoch(self._state), now + batch.LONGEST, 0
        self._jobs, self._busy = 0, True
        self._at, self._spent, self._begun, self._asked = now, spent, begun, 0
        self._tell(before)

    def wanted(self) -> int:
        """How many jobs to claim now."""
        desk, executor = self._desk, self._executor
        free, coming = desk.free, desk.coming
        if not self._settings.batching.enabled:
            return min(free, self._half, self._call)
        return self._plan.size(free, len(executor.reserve) + coming, not coming and executor.reserve.starts)

    @property
    def spare(self) -> bool:
        """Whether there is room for more than one job."""
        reserved = len(self._executor.reserve) + self._desk.coming
        return self._desk.free > 1 and (not self._settings.batching.enabled or self._plan.room - reserved > 1)

    def sent(self, wanted: int) -> None:
        """A claim goes out for as many as were wanted."""
        self._left -= 1
        meter, plan = self._driver.meter, self._plan
        meter.observe("batch.wanted", wanted)
        self._busy = self._busy and not self._asked and wanted == plan.full
        self._asked = self._desk.asked = wanted
        if not self._settings.batching.enabled:
            meter.count("batch.limited", 1, batch.SETTING)
        elif wanted == plan.full:
            self._whole += 1
        else:
            meter.count("batch.limited", 1, plan.reason(wanted, self._desk.free))

    def came(self, jobs: int) -> None:
        """What it brought."""
        self._jobs += jobs
        if jobs < self._asked:
            self._busy = False
            if not jobs:
                self._driver.meter.count("batch.empty")
        self._asked = 0
        self._desk.answered()

    def news(self) -> str:
        """How far the size has moved from the one that was told of last, and why; empty if not notably."""
        plan, told = self._plan, self._told
        if not (self._settings.batching.enabled and batch.moved(told, plan.full)):
            return ""
        return f"{told} {plan.full} {plan.why} {round(self._state.work.each * 1_000_000)}"

    def tell(self, news: str) -> None:
        """That has been told."""
        if news:
            self._told = int(news.split()[1])

    def pause(self) -> None:
        """Nothing is done until something changes. That is a pause if no job is about to begin."""
        self._busy = self._busy and len(self._executor.reserve) + self._desk.coming > 0

    def _planned(self) -> batch.Plan:
        settings = self._settings
        bounds = Bounds(self._half, self._call, min(settings.session_ttl, settings.max_hold))
        return batch.plan(self._state, settings.batching.aim(), bounds)

    def _tell(self, before: int) -> None:
        meter, now = self._driver.meter, self._plan.full
        meter.observe("batch.work", (len(self._executor.reserve) + self._desk.coming) * self._state.work.each)
        meter.gauge("batch.target", now)
        if now != before:
            meter.count("batch.adjusted")
