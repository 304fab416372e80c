"""Coordinator with thousands of asyncio tasks that wait for locks in one process."""

from __future__ import annotations

import asyncio
import time

from bench.actors.speech import said
from coordinator import AsyncCoordinator
from coordinator.aclient import AsyncLockTicket
from coordinator.aleases import AsyncLease

RESOURCES = 100
ASK_AT_ONCE = 200


class Actor:
    def __init__(self) -> None:
        self._held: list[AsyncLease] = []
        self._waiting: list[asyncio.Task[None]] = []

    async def hold(self) -> int:
        """Take all locks with one client, and open the session of another."""
        self._holder = AsyncCoordinator.connect(said("URL"))
        self._asker = AsyncCoordinator.connect(said("URL"))
        self._held = [await self._holder.acquire(f"r{number}") for number in range(RESOURCES)]
        async with self._asker.lock("none"):
            return len(self._held)

    async def wait(self, count: int) -> int:
        """So many tasks that wait, spread over the locks; returns when all of them stand in line."""
        gate = asyncio.Semaphore(ASK_AT_ONCE)

        async def ask(number: int) -> AsyncLockTicket:
            async with gate:
                return await self._asker.request(f"r{number % RESOURCES}")

        tickets = await asyncio.gather(*(ask(number) for number in range(count)))
        self._waiting = [asyncio.create_task(_pass_on(one)) for one in tickets]
        await asyncio.sleep(0)
        return len(self._waiting)

    async def idle(self, seconds: float) -> None:
        """Do nothing; the tasks wait."""
        await asyncio.sleep(seconds)

    async def let_go(self) -> float:
        """Give the locks back and see every task have its turn; in so many seconds."""
        begun = time.monotonic()
        for lease in self._held:
            await lease.release()
        await asyncio.gather(*self._waiting)
        return time.monotonic() - begun


async def _pass_on(ticket: AsyncLockTicket) -> None:
    lease = await ticket.wait()
    await lease.release()
