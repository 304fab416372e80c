"""A semaphore and a readers/writer lock: needs of a resource, under the names that they go by elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from coordinator.client import Coordinator, LockContext
from coordinator.leases import Lease
from coordinator.model.names import whole
from coordinator.model.need import MAX_PERMITS, Need


class Semaphore:
    """Permits that all processes share: `with Semaphore(co, "ci/runners", 8).hold(2) as lease:`.

    `capacity` defines the resource when it is first used here, as `co.define`; without it that is for somebody else to
    do. Holders are a set, so a process that dies gives its permits back, and none is counted twice. Waiters stand in
    line: who wants many is not overtaken by those who want few.
    Raises InvalidInput for a capacity that cannot be.
    """

    def __init__(self, coordinator: Coordinator, name: str, capacity: int | None = None) -> None:
        self._co, self._name = coordinator, Need(name).resource
        self._undefined = None if capacity is None else whole(capacity, "capacity", 1, MAX_PERMITS)

    @contextmanager
    def hold(self, permits: int = 1, **options: Any) -> Iterator[Lease]:
        """Hold so many permits inside. Options and errors as for `co.lock`."""
        with self.acquire(permits, **options) as lease:
            yield lease

    def acquire(self, permits: int = 1, **options: Any) -> Lease:
        """Acquire so many permits. Options and errors as for `co.acquire`."""
        self._define()
        return self._co.acquire(Need(self._name, permits=permits), **options)

    def try_acquire(self, permits: int = 1, **options: Any) -> Lease | None:
        """Acquire so many permits if they are free and nobody stands before us, else None."""
        self._define()
        return self._co.try_acquire(Need(self._name, permits=permits), **options)

    def resize(self, capacity: int) -> None:
        """Change how many permits there are. More of them help those who wait already; fewer are taken from nobody."""
        self._co.define(self._name, capacity=capacity)
        self._undefined = None

    def _define(self) -> None:
        if self._undefined is not None:
            self.resize(self._undefined)


class RWLock:
    """Many read, or one writes: `with RWLock(co, "config").read():`.

    Readers and writers stand in one line. A writer waits for the readers before it only: those who come after it wait
    behind it, so it does not starve, and neither do they. A reader that holds the lock and asks to write waits for
    itself: give it back first.
    """

    def __init__(self, coordinator: Coordinator, name: str) -> None:
        self._co, self._name = coordinator, Need(name).resource

    def read(self, **options: Any) -> LockContext:
        """Hold it together with other readers. Options and errors as for `co.lock`."""
        return self._co.lock(Need(self._name, "shared"), **options)

    def write(self, **options: Any) -> LockContext:
        """Hold it alone; on a resource with more than one permit several may. Options and errors as for `co.lock`."""
        return self._co.lock(Need(self._name), **options)
