"""A drop-in for redis-py's `Lock`: fair, pushed instead of polled, with a fence, and exclusive with redis-py's own.

    from coordinator.compat.redis import Lock     # instead of redis.lock.Lock; AsyncLock for redis.asyncio.lock.Lock
    patch(client)                                 # or: client.lock(...) gives ours from now on

`coordinator.compat.plain` has how the two kinds exclude each other.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import redis.asyncio

from coordinator.aclient import AsyncCoordinator
from coordinator.client import Coordinator
from coordinator.compat.alocks import AsyncLock
from coordinator.compat.clients import async_coordinator_of, attach, coordinator_of
from coordinator.compat.errors import LineRefused, LineUnavailable, NotOwned
from coordinator.compat.locks import Lock

__all__ = [
    "AsyncLock",
    "LineRefused",
    "LineUnavailable",
    "Lock",
    "NotOwned",
    "async_coordinator_of",
    "attach",
    "coordinator_of",
    "patch",
]

_ASYNC = (redis.asyncio.Redis, redis.asyncio.RedisCluster)
C = TypeVar("C")


def patch(client: C, coordinator: Coordinator | AsyncCoordinator | None = None) -> C:
    """Have `client.lock(...)` give our locks from now on; returns the client. `del client.lock` undoes it.

    Without a coordinator one is made for the client's server when it is first needed, with settings from the
    environment; for a client of a Cluster or of Sentinels it has to be given.
    """
    given: Any = client
    if coordinator is not None:
        attach(given, coordinator)
    given.lock = _ours(given, AsyncLock if isinstance(given, _ASYNC) else Lock)
    return client


def _ours(client: Any, kind: type[Any]) -> Callable[..., Any]:
    """The client's `lock`, of our kind unless another is named; it may stand among arguments by position, too."""
    make = type(client).lock.__get__(client)
    names = list(inspect.signature(make).parameters)
    place = names.index("lock_class") if "lock_class" in names else None

    @wraps(make)
    def lock(*args: Any, **options: Any) -> Any:
        if place is not None and len(args) > place:
            args = (*args[:place], args[place] or kind, *args[place + 1 :])
        elif options.get("lock_class") is None:
            options["lock_class"] = kind
        return make(*args, **options)

    return lock
