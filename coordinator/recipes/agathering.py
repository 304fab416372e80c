"""A latch that opens when enough has been counted, and a barrier that opens when all have come."""

from __future__ import annotations

from coordinator.aclient import AsyncCoordinator
from coordinator.drivers.ids import new_id
from coordinator.ops import gathering
from coordinator.ops.gathering import KEPT
from coordinator.wire.calls import Scope


class AsyncCountDownLatch:
    """Opens for good when it was counted down `count` times: `await AsyncCountDownLatch(co, "migrated", 3).wait(60)`.

    Whoever counts need not wait, and what a process has counted stays when it dies. All must give the same `count`.
    Forgotten `keep` seconds after the last call; then it is a new one.
    """

    def __init__(self, coordinator: AsyncCoordinator, name: str, count: int, *, keep: float = KEPT) -> None:
        self._co, self._thing = coordinator, gathering.gathering("latch", name, count, keep)

    async def count_down(self) -> int:
        """Count once, without waiting. Returns how many are still missing. Raises InvalidInput if it has another
        count."""
        return await self._co.run(gathering.count_down(self._scope(), self._thing, new_id()))

    async def missing(self) -> int:
        """How many are still missing; 0: it is open."""
        return await self._co.run(gathering.missing(self._scope(), self._thing))

    async def wait(self, timeout: float | None = None) -> None:
        """Wait until it is open. Raises WaitTimeout."""
        await self._co.run(gathering.await_open(self._scope(), self._thing, timeout))

    def _scope(self) -> Scope:
        return Scope.of(self._co.settings.namespace, self._co.settings.terms())


class AsyncBarrier:
    """Lets `parties` go on together, as often as they come: `await AsyncBarrier(co, "phase", 4).wait(60)`.

    Who stops waiting has not come, nor has one whose process has died, as soon as its session has lapsed: one that dies
    in the `session_ttl` before the last comes is still counted. All must give the same number of parties.
    Forgotten `keep` seconds after the last call; then it is a new one.
    """

    def __init__(self, coordinator: AsyncCoordinator, name: str, parties: int, *, keep: float = KEPT) -> None:
        self._co, self._thing = coordinator, gathering.gathering("barrier", name, parties, keep)

    async def wait(self, timeout: float | None = None) -> int:
        """Wait until all have come. Returns which of them this is, from 0 to `parties` - 1, each another; -1 where that
        is not known any more, because more than the parties use the barrier and the next round is over, too.

        Raises WaitTimeout, and has not come then; InvalidInput if it has another number of parties.
        """
        return await self._co.run(gathering.meet(self._scope(), self._thing, new_id(), timeout))

    def _scope(self) -> Scope:
        return Scope.of(self._co.settings.namespace, self._co.settings.terms())
