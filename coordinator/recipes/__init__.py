"""Well-known kinds of synchronisation, each a few lines over `Coordinator`: docs/recipes.md."""

from coordinator.recipes.aelection import AsyncElection, AsyncLeadership
from coordinator.recipes.agathering import AsyncBarrier, AsyncCountDownLatch
from coordinator.recipes.apermits import AsyncRWLock, AsyncSemaphore
from coordinator.recipes.election import Election, Leadership
from coordinator.recipes.gathering import Barrier, CountDownLatch
from coordinator.recipes.permits import RWLock, Semaphore

__all__ = [
    "AsyncBarrier",
    "AsyncCountDownLatch",
    "AsyncElection",
    "AsyncLeadership",
    "AsyncRWLock",
    "AsyncSemaphore",
    "Barrier",
    "CountDownLatch",
    "Election",
    "Leadership",
    "RWLock",
    "Semaphore",
]
