"""Well-known kinds of synchronisation, each a few lines over `Coordinator`: docs/recipes.md."""

from coordinator.recipes.aelection import AsyncElection, AsyncLeadership
from coordinator.recipes.apermits import AsyncRWLock, AsyncSemaphore
from coordinator.recipes.election import Election, Leadership
from coordinator.recipes.permits import RWLock, Semaphore

__all__ = [
    "AsyncElection",
    "AsyncLeadership",
    "AsyncRWLock",
    "AsyncSemaphore",
    "Election",
    "Leadership",
    "RWLock",
    "Semaphore",
]
