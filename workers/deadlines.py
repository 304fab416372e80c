"""The ends of runs that wait: all on one timing wheel, for which the loop keeps one timer.

Only the next of them is armed. A run that ends in time leaves its timer behind in the wheel and touches neither the
loop nor those of others; so where thousands of runs wait at once, each costs the same as if it were alone. A run is
told within two ticks (20 ms) of the end of its time, never before.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from coordinator.policy.wheel import TICK, TimingWheel
from workers.job import Job


class Deadlines:
    """For one event loop, on its clock. `up` is told of each job whose time is up."""

    def __init__(self, up: Callable[[Job], None]) -> None:
        self._up = up
        self._wheel: TimingWheel[Job] | None = None
        self._armed: asyncio.TimerHandle | None = None
        self._at = math.inf

    def set(self, job: Job, due: float) -> None:
        """A run is to end by then, unless it is cancelled before."""
        wheel = self._wheel
        if wheel is None:
            wheel = self._wheel = TimingWheel(asyncio.get_running_loop().time())
        job.timer = wheel.schedule(due, job)
        if due < self._at:
            self._arm(due)

    def cancel(self, job: Job) -> None:
        """A run has ended."""
        if job.timer is not None and self._wheel is not None:
            self._wheel.cancel(job.timer)
            job.timer = None

    def stop(self) -> None:
        """Tell nobody any more."""
        if self._armed is not None:
            self._armed.cancel()
        self._wheel, self._armed, self._at = None, None, math.inf

    def _arm(self, at: float) -> None:
        if self._armed is not None:
            self._armed.cancel()
        # One tick later, for the wheel tells of no moment before it is over.
        self._armed, self._at = asyncio.get_running_loop().call_at(at + TICK, self._advance), at

    def _advance(self) -> None:
        wheel, self._armed, self._at = self._wheel, None, math.inf
        if wheel is None:
            return
        over = wheel.advance(asyncio.get_running_loop().time())
        # First, for whoever is told may set another, or fail.
        if (again := wheel.wakes_at()) < math.inf:
            self._arm(again)
        for job in over:
            job.timer = None
            self._up(job)
