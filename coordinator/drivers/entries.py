"""What owners of this process hold and may acquire again: the same lease, counted, which ends when the count does.

A session is one process, so what a session and an owner hold is known here, and to acquire it again asks nobody.
"""

from __future__ import annotations

import threading
from typing import Generic, Protocol, TypeVar

from coordinator.drivers.forked import renew_in_child
from coordinator.errors import InvalidInput, UpgradeRefused
from coordinator.model.need import Need, in_the_way


class Held(Protocol):
    """A lease."""

    @property
    def ident(self) -> str: ...
    @property
    def needs(self) -> tuple[Need, ...]: ...
    @property
    def held(self) -> bool: ...


LEAST_SWEPT = 256
L = TypeVar("L", bound=Held)


class Entries(Generic[L]):
    """Leases by owner, and how often each was acquired. Safe for many threads, and across a fork."""

    def __init__(self) -> None:
        self._begin()
        renew_in_child(self)

    def after_fork(self) -> None:
        """In a forked child, which holds nothing yet: what is here is the parent's."""
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, list[L]] = {}
        self._times: dict[str, int] = {}
        # What replicas are known to have.
        self._confirmed: set[str] = set()
        # At this many leases a sweep drops those that were lost and never released.
        self._sweep_at = LEAST_SWEPT

    def again(self, owner: str, needs: tuple[Need, ...], confirmed: bool = False) -> L | None:
        """The lease under which the owner holds just that, counted once more; None if it holds nothing of it. Raises
        UpgradeRefused where it holds some of it otherwise: it would wait for itself; and InvalidInput where replicas
        are to have it (`confirmed`) and nobody asked them when it was granted."""
        with self._lock:
            for lease in list(self._held.get(owner, ())):
                if not lease.held:
                    self._drop(owner, lease)
                elif lease.needs == needs:
                    if confirmed and lease.ident not in self._confirmed:
                        raise InvalidInput("durability", "replicated", "has to be said when it is acquired first")
                    self._times[lease.ident] += 1
                    return lease
                else:
                    _refuse_overlap(lease, needs)
        return None

    def entered(self, owner: str, lease: L, confirmed: bool = False) -> L:
        """The owner holds it, for the first time."""
        with self._lock:
            if confirmed:
                self._confirmed.add(lease.ident)
            self._held.setdefault(owner, []).append(lease)
            self._times[lease.ident] = 1
            if len(self._times) >= self._sweep_at:
                self._sweep()
        return lease

    def leave(self, owner: str, lease: L) -> bool:
        """Count once less. True: that was the last time, so it is to be given back."""
        with self._lock:
            times = self._times.get(lease.ident, 1)
            if times > 1 and lease.held:
                self._times[lease.ident] = times - 1
                return False
            self._drop(owner, lease)
        return True

    def _sweep(self) -> None:
        """Its owner may never come again. Seldom enough to cost nothing: when there are twice as many as were left."""
        for owner, leases in list(self._held.items()):
            for lease in [one for one in leases if not one.held]:
                self._drop(owner, lease)
        self._sweep_at = max(LEAST_SWEPT, 2 * len(self._times))

    def _drop(self, owner: str, lease: L) -> None:
        self._times.pop(lease.ident, None)
        self._confirmed.discard(lease.ident)
        left = [one for one in self._held.pop(owner, ()) if one is not lease]
        if left:
            self._held[owner] = left


def _refuse_overlap(lease: Held, needs: tuple[Need, ...]) -> None:
    for need in needs:
        for held in lease.needs:
            if held.resource == need.resource or in_the_way(held, need):
                raise UpgradeRefused(lease.ident, need.resource)
