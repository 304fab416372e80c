"""One run of a job in this process: what it was claimed as, and whether it may go on.

Two things can end a run early, and they are kept apart. *Lost*: the lease is over, nothing that happens from here on
counts, and no outcome is reported. *Stopped*: the lease still holds, but the handler is to end (somebody cancelled it,
its time ran out, the worker shuts down), and its outcome is reported. Any thread may say that a job is lost; all else
happens on the loop.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

from coordinator.ops.fleet import Claimed
from coordinator.policy.escalation import Escalation
from coordinator.policy.retry import RetryPolicy
from coordinator.policy.trust import trusted_until

if TYPE_CHECKING:
    from coordinator.drivers.aio import AsyncDriver
    from workers.registry import Handler


PREEMPTED = "somebody more urgent waits for what the job holds"


class Stop(Enum):
    """Why a handler is told to end while the lease still holds."""

    CANCEL = "cancel"
    TIMEOUT = "timeout"
    RELEASE = "release"


class Job:
    """One run. What the keeper of the session watches over: see `Holding`."""

    __slots__ = (
        "_driver",
        "_lost",
        "began",
        "begun",
        "claimed",
        "fence",
        "finished",
        "graced",
        "handler",
        "ident",
        "interrupt",
        "learnt",
        "level",
        "payload",
        "progress",
        "spare",
        "stopped",
        "task",
        "timer",
        "told",
        "trusted_until",
        "why",
        "why_lost",
        "yield_requested",
        "zombie",
    )

    def __init__(self, claimed: Claimed, handler: Handler, driver: AsyncDriver, trusted: float = math.inf) -> None:
        self.claimed, self.handler, self.trusted_until = claimed, handler, trusted
        self.ident, self.fence = claimed.ident, claimed.fence
        self.stopped: Stop | None = None
        self.why = self.why_lost = ""
        # begun: the handler runs or ran. told: its start is on the way to the server. finished: its outcome is known.
        # zombie: a thread still runs the handler although the outcome was reported. spare: it was offered to others
        # before it began; should it come back, that is a run of its own.
        self.begun = self.told = self.finished = self.zombie = self.spare = self._lost = False
        # task: that of a run that has waited, which is its own from then on.
        self.task: asyncio.Task[None] | None = None
        self.interrupt: Callable[[Stop | None], Any] | None = None
        self.progress: str | None = None
        # timer: by which it is known when the time of the run is up, of one that waits.
        self.timer: int | None = None
        self.payload: Any = None
        # began: when the handler did, on the monotonic clock. learnt: the run timeout that the fleet has learnt.
        self.began: float | None = None
        self.learnt: float | None = None
        # level: how far its handler was escalated when it began.
        self.level = 0
        # yield_requested: somebody more urgent waits for what it holds. graced: it was told when to be handed back.
        self.yield_requested = self.graced = False
        self._driver = driver

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        return self.claimed.attempts + 1

    @property
    def seconds(self) -> float | None:
        """How long one run may take: the job's word, else the handler's, else what the fleet has learnt. The handler's
        time is longer while it is escalated."""
        if self.claimed.run_ms:
            return self.claimed.run_ms / 1000
        seconds = self.unescalated
        return seconds if seconds is None or not self.level else seconds * self.escalation.factor

    @property
    def escalation(self) -> Escalation:
        """How far its handler was escalated when it began."""
        return Escalation(self.level, policy=self._driver.settings.escalation.policy())

    @property
    def unescalated(self) -> float | None:
        """How long one run of its handler may take when nothing is escalated."""
        return self.learnt if self.handler.timeout is None else self.handler.timeout

    @property
    def escalates(self) -> bool:
        """Whether its time is the handler's to lengthen."""
        return self.handler.escalate and not self.claimed.run_ms

    @property
    def lost(self) -> bool:
        """Whether the lease is over. By the clock, so it is true in time even if nobody came round to say so."""
        return self.lost_at(self._driver.now())

    def lost_at(self, now: float) -> bool:
        """As `lost`, for whoever asks of many jobs and has looked at the clock."""
        return self._lost or now >= self.trusted_until or now >= self._driver.keeper.trusted_until

    def lose(self, why: str) -> None:
        """The lease is over. From any thread."""
        self.why_lost, self._lost = why, True
        self._driver.in_loop(self._interrupt, None)

    def ask_to_yield(self, grace: float | None) -> None:
        """Somebody more urgent waits for what it holds. With `grace` it is to be handed back after so many seconds, or
        at once if it has not begun. From any thread."""
        self.yield_requested = True
        if grace is not None and not self.graced:
            self.graced = True
            self._driver.in_loop(self._give_way, grace)

    def _give_way(self, grace: float) -> None:
        asyncio.get_running_loop().call_later(grace if self.begun else 0, self.stop, Stop.RELEASE, PREEMPTED)

    def stop(self, how: Stop, why: str) -> None:
        """The handler is to end. The first reason counts; each further one reminds a handler that has not."""
        if self.finished:
            return
        if self.stopped is None:
            self.stopped, self.why = how, why
        self._interrupt(how)

    def _interrupt(self, how: Stop | None) -> None:
        if self.interrupt is not None and not self.finished:
            self.interrupt(how)

    def again(self, fence: int, lease_end: float | None) -> Job:
        """The next run of a job that is retried at once: a new fence, one more attempt, the resources it had."""
        claimed = self.claimed._replace(fence=fence, attempts=self.claimed.attempts + 1)
        return Job(claimed, self.handler, self._driver, self.trusted_until if lease_end is None else lease_end)

    def regained(self) -> Job:
        """The run of a job that was offered and is still ours."""
        following = Job(self.claimed, self.handler, self._driver, self.trusted_until)
        following.payload, following.stopped, following.why = self.payload, self.stopped, self.why
        following.yield_requested = self.yield_requested
        following.fence = self.fence
        return following

    @property
    def default_retry(self) -> RetryPolicy:
        """The retry policy of a job and a handler that have none, by the settings in force."""
        return self._driver.settings.retry.policy()


def lease_end(claimed: Claimed, sent: float, session_ttl: float, max_hold: float) -> float:
    """Until when the lease of a claim sent at `sent` may be trusted, session aside; as the server reckons it.

    Never before the run is out of time: the server adds a session's life to that, and only of this a margin is taken,
    so that there is always time to report how the run ended.
    """
    if claimed.run_ms:
        return trusted_until(sent + claimed.run_ms / 1000, session_ttl)
    return trusted_until(sent, max_hold) if claimed.needs else math.inf
