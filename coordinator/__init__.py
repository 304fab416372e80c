"""A priority job queue and a lock manager that are one thing, on Redis.

`Coordinator` is the sync client, `AsyncCoordinator` the same for asyncio; handlers are registered with
`workers.Registry` and run by `coordinator worker run`.
"""

from coordinator.aclient import AsyncCoordinator, AsyncJobTicket, AsyncLockTicket
from coordinator.aleases import AsyncLease
from coordinator.client import Coordinator, JobTicket, LockTicket
from coordinator.errors import CoordinatorError, StaleFence
from coordinator.leases import Lease
from coordinator.model.answers import Answer, CoalescingStats
from coordinator.model.names import Priority
from coordinator.model.need import Need
from coordinator.model.states import State
from coordinator.ops.likeness import Resemblance, Similar
from coordinator.ops.submission import Dedup, Submission
from coordinator.policy.adaptive import Adaptive
from coordinator.policy.breaker import BreakerPolicy
from coordinator.policy.outcome import Snooze
from coordinator.policy.rate import AdaptiveLimit, RateLimit
from coordinator.policy.retry import RetryPolicy
from coordinator.policy.timeout import TimeoutPolicy
from coordinator.recipes import (
    AsyncBarrier,
    AsyncCountDownLatch,
    AsyncElection,
    AsyncRWLock,
    AsyncSemaphore,
    Barrier,
    CountDownLatch,
    Election,
    RWLock,
    Semaphore,
)
from coordinator.settings import Settings

__version__ = "0.1.0"

__all__ = [
    "Adaptive",
    "AdaptiveLimit",
    "Answer",
    "AsyncBarrier",
    "AsyncCoordinator",
    "AsyncCountDownLatch",
    "AsyncElection",
    "AsyncJobTicket",
    "AsyncLease",
    "AsyncLockTicket",
    "AsyncRWLock",
    "AsyncSemaphore",
    "Barrier",
    "BreakerPolicy",
    "CoalescingStats",
    "Coordinator",
    "CoordinatorError",
    "CountDownLatch",
    "Dedup",
    "Election",
    "JobTicket",
    "Lease",
    "LockTicket",
    "Need",
    "Priority",
    "RWLock",
    "RateLimit",
    "Resemblance",
    "RetryPolicy",
    "Semaphore",
    "Settings",
    "Similar",
    "Snooze",
    "StaleFence",
    "State",
    "Submission",
    "TimeoutPolicy",
]
