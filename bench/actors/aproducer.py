"""The asyncio twin of `producer`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from bench.actors.producer import ANSWER_SECONDS, LOOK_SECONDS, Parcel, Stopwatch, Watch


class AsyncProducer:
    """An asyncio client, used one call after the other. An actor says how its library sends one job, and many."""

    many = 0  # how many jobs a bulk call takes; 0: the library has none

    _opened = False

    async def open(self) -> None:
        """Connect, if there is something to be done for it."""

    async def _ready(self) -> None:
        if not self._opened:
            self._opened = True
            await self.open()

    async def send(self, parcel: Parcel) -> Any:
        """Hand in one job."""
        raise NotImplementedError

    async def send_many(self, chunk: Sequence[Parcel]) -> Any:
        """Hand in many jobs by one call."""
        raise NotImplementedError

    def settled(self) -> int | None:
        """As that of `Producer`."""
        return None

    async def enqueue(self, count: int, payload: int, limit: float) -> dict[str, float]:
        """Jobs one by one, each with `payload` bytes."""
        await self._ready()
        parcel = Parcel("x" * payload)
        watch, done = Stopwatch(limit), 0
        while done < count and not watch.over:
            await self.send(parcel)
            done += 1
        return watch.read(done)

    async def enqueue_many(self, count: int, payload: int, limit: float) -> dict[str, float]:
        """Jobs in bulk."""
        await self._ready()
        chunk = [Parcel("x" * payload)] * self.many
        watch, done = Stopwatch(limit), 0
        while done < count and not watch.over:
            await self.send_many(chunk)
            done += self.many
        return watch.read(done)

    async def fill(self, rows: Sequence[Sequence[Any]], limit: float) -> dict[str, float]:
        """These very jobs, the quickest way the library has."""
        await self._ready()
        todo = [Parcel(*row) for row in rows]
        watch, done, step = Stopwatch(limit), 0, self.many or 1
        while done < len(todo) and not watch.over:
            chunk = todo[done : done + step]
            if self.many:
                await self.send_many(chunk)
            else:
                await self.send(chunk[0])
            done += len(chunk)
        return watch.read(done)

    async def latency(self, count: int, limit: float) -> list[int]:
        """Per job the ns from before it is handed in to the first line of its handler; the worker is idle each time."""
        await self._ready()
        watch, overall, found = Watch(), Stopwatch(limit), list[int]()
        while len(found) < count and not overall.over:
            sent, waiting = time.monotonic_ns(), Stopwatch(ANSWER_SECONDS)
            await self.send(Parcel(len(found)))
            while not (begun := watch.begun(len(found) + 1)):
                if waiting.over:
                    raise TimeoutError(f"job {len(found)} was not begun in {ANSWER_SECONDS:g} s")
                await asyncio.sleep(LOOK_SECONDS)
            found.append(begun - sent)
            await asyncio.sleep(LOOK_SECONDS)
        return found
