"""Leader election: the leader is who holds a lock, the candidates stand in its line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from functools import wraps
from inspect import isawaitable
from types import TracebackType
from typing import Any, ParamSpec, Self

from coordinator.aclient import AsyncCoordinator
from coordinator.aleases import AsyncLease
from coordinator.errors import CoordinatorError, LeaseLost
from coordinator.model.lease import Person
from coordinator.model.need import Need
from coordinator.recipes.election import UNSURE, OnLost

Args = ParamSpec("Args")


class AsyncLeadership:
    """What the leader has. `fence` grows with every leader: hand it to whatever the leader alone may write.

    Use it as a context manager, or `resign`.
    """

    def __init__(self, lease: AsyncLease, on_lost: OnLost | None) -> None:
        self.lease = lease
        # Whether it was we who ended it; if that is not settled yet, `_settled` is not set.
        self._resigned, self._settled = False, asyncio.Event()
        self._watching = None if on_lost is None else asyncio.create_task(self._watch(on_lost))

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

    async def resign(self) -> None:
        """Stop leading; the next candidate leads when this returns. Raises LeaseLost if we no longer led, and then, or
        where we could not be sure of it any more, `on_lost` is called, else not."""
        if not self._settled.is_set():
            self._resigned = self.lease.held
        try:
            await self.lease.release()
        except LeaseLost:
            self._resigned = self._resigned and self._settled.is_set()
            raise
        finally:
            self._settled.set()
            self.lease.lost.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.resign()
        except CoordinatorError:
            # What went wrong inside matters more than that we did not lead any more.
            if error is None:
                raise

    async def _watch(self, on_lost: OnLost) -> None:
        await self.lease.lost.wait()
        if self._resigned:
            # It may turn out that there was nothing left to resign.
            await self._settled.wait()
        if not self._resigned:
            told = on_lost(self.lease.why_lost or UNSURE)
            if isawaitable(told):
                await told


class _Campaign(Coroutine[Any, Any, AsyncLeadership]):
    """A campaign on its way: to await, to make a task of, or to enter at once, which awaits it."""

    def __init__(self, campaign: Coroutine[Any, Any, AsyncLeadership]) -> None:
        self._campaign = campaign
        self._leader: AsyncLeadership | None = None

    def __await__(self) -> Generator[Any, Any, AsyncLeadership]:
        return self._campaign.__await__()

    def send(self, value: Any) -> Any:
        return self._campaign.send(value)

    def throw(self, *error: Any) -> Any:
        return self._campaign.throw(*error)

    def close(self) -> None:
        self._campaign.close()

    async def __aenter__(self) -> AsyncLeadership:
        self._leader = await self._campaign
        return self._leader

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._leader is not None:
            await self._leader.__aexit__(kind, error, trace)


def _entered(campaign: Callable[Args, Coroutine[Any, Any, AsyncLeadership]]) -> Callable[Args, _Campaign]:
    @wraps(campaign)
    def begin(*args: Args.args, **kwargs: Args.kwargs) -> _Campaign:
        return _Campaign(campaign(*args, **kwargs))

    return begin


class AsyncElection:
    """Candidates of which one leads at a time; on a resource with more than one permit several may.

    `async with AsyncElection(co, "scheduler", "node-3").campaign() as leader:`

    `candidate` is the name that others see. `on_lost` is called, with the reason, as soon as a leader cannot be sure of
    its leadership any more, which is before anybody else can lead. It runs beside the code of the
    leader: in a thread or a task.
    """

    def __init__(
        self, coordinator: AsyncCoordinator, name: str, candidate: str = "", on_lost: OnLost | None = None
    ) -> None:
        self._co, self._name, self._candidate, self._on_lost = coordinator, Need(name).resource, candidate, on_lost

    @_entered
    async def campaign(self, wait: float | None = None, **options: Any) -> AsyncLeadership:
        """Stand as a candidate until we lead, at most `wait` seconds. Options and errors as for `co.acquire`."""
        lease = await self._co.acquire(self._name, wait=wait, owner=self._candidate, **options)
        return AsyncLeadership(lease, self._on_lost)

    async def leader(self) -> Person | None:
        """Who leads now, as the server knows it, or None."""
        line = await self._co.line(self._name)
        holders = [one for one in line.holders if not one.resource]
        return holders[0] if holders else None

    async def candidates(self) -> tuple[Person, ...]:
        """Who stands in line to lead, the next first; the head of the line if it is long."""
        return (await self._co.line(self._name)).waiters
