"""Leader election: the leader is who holds a lock, the candidates stand in its line."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from coordinator.client import Coordinator
from coordinator.errors import CoordinatorError, LeaseLost
from coordinator.leases import Lease
from coordinator.model.lease import Person
from coordinator.model.need import Need

OnLost = Callable[[str], object]
UNSURE = "it could not be trusted any more"


class Leadership:
    """What the leader has. `fence` grows with every leader: hand it to whatever the leader alone may write.

    Use it as a context manager, or `resign`.
    """

    def __init__(self, lease: Lease, on_lost: OnLost | None) -> None:
        self.lease = lease
        # Whether it was we who ended it; if that is not settled yet, `_settled` is not set.
        self._resigned, self._settled = False, threading.Event()
        if on_lost is not None:
            name = "coordinator-leader"
            threading.Thread(target=self._watch, args=(on_lost,), name=name, daemon=True).start()

    @property
    def fence(self) -> int:
        """The fence of this leader: above those of all before it."""
        return self.lease.fence

    @property
    def leading(self) -> bool:
        """Whether we can be sure to lead right now. Asks nobody."""
        return self.lease.held

    def check(self) -> None:
        """Raises LeaseLost unless `leading`."""
        self.lease.check()

    def resign(self) -> None:
        """Stop leading; the next candidate leads when this returns. Raises LeaseLost if we no longer led, and then, or
        where we could not be sure of it any more, `on_lost` is called, else not."""
        if not self._settled.is_set():
            self._resigned = self.lease.held
        try:
            self.lease.release()
        except LeaseLost:
            self._resigned = self._resigned and self._settled.is_set()
            raise
        finally:
            self._settled.set()
            self.lease.lost.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.resign()
        except CoordinatorError:
            # What went wrong inside matters more than that we did not lead any more.
            if error is None:
                raise

    def _watch(self, on_lost: OnLost) -> None:
        self.lease.lost.wait()
        if self._resigned:
            # It may turn out that there was nothing left to resign.
            self._settled.wait()
        if not self._resigned:
            on_lost(self.lease.why_lost or UNSURE)


class Election:
    """Candidates of which one leads at a time; on a resource with more than one permit several may.

    `with Election(co, "scheduler", "node-3").campaign() as leader:`

    `candidate` is the name that others see. `on_lost` is called, with the reason, as soon as a leader cannot be sure of
    its leadership any more, which is before anybody else can lead. It runs beside the code of the
    leader: in a thread or a task.
    """

    def __init__(self, coordinator: Coordinator, name: str, candidate: str = "", on_lost: OnLost | None = None) -> None:
        self._co, self._name, self._candidate, self._on_lost = coordinator, Need(name).resource, candidate, on_lost

    def campaign(self, wait: float | None = None, **options: Any) -> Leadership:
        """Stand as a candidate until we lead, at most `wait` seconds. Options and errors as for `co.acquire`."""
        return Leadership(self._co.acquire(self._name, wait=wait, owner=self._candidate, **options), self._on_lost)

    def leader(self) -> Person | None:
        """Who leads now, as the server knows it, or None."""
        holders = [one for one in self._co.line(self._name).holders if not one.resource]
        return holders[0] if holders else None

    def candidates(self) -> tuple[Person, ...]:
        """Who stands in line to lead, the next first; the head of the line if it is long."""
        return self._co.line(self._name).waiters
