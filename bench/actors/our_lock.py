"""Coordinator's lock."""

from __future__ import annotations

from bench.actors.locker import Locker
from bench.actors.speech import said
from coordinator import Coordinator
from coordinator.leases import Lease


class Actor(Locker):
    def __init__(self) -> None:
        super().__init__()
        self._coordinator = Coordinator.connect(said("URL"))

    def acquire(self, name: str) -> Lease:
        return self._coordinator.acquire(name)

    def release(self, held: Lease) -> None:
        held.release()
