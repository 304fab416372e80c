"""One process that works for several namespaces: a worker for each, on one event loop, which share its slots by weight.

All else each has for itself: its session with its heartbeats and its threads, its claims, what it has learnt, its
measures. So what happens to one namespace, or to the server it is on, holds up none of the others, but for the slots
that an unanswered claim asks for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from coordinator.errors import ConfigError
from coordinator.settings import Settings
from workers.pool import Pool
from workers.registry import Registry
from workers.worker import Worker, WorkerOptions


class Shards:
    """Runs the jobs of several namespaces, by name with their weights, in this process and on this event loop.

        await Shards(registry, {"orders:0": 1, "orders:1": 2}, url="redis://...", concurrency=64).run()

    Options are those of `Worker`; `concurrency` and `process_slots` are of all namespaces together. Raises ConfigError,
    InvalidInput; on starting UnsafeServer, StoreUnavailable.
    """

    def __init__(
        self,
        registry: Registry,
        namespaces: Mapping[str, int],
        url: str | None = None,
        settings: Settings | None = None,
        **options: Any,
    ) -> None:
        if not namespaces:
            raise ConfigError(["there is no namespace to work for"])
        chosen = WorkerOptions.of(options)
        pool = Pool(chosen.concurrency, tuple(namespaces.values()))
        processes = max(1, chosen.process_slots // len(namespaces))
        given = {**options, "process_slots": processes}
        self.workers = tuple(
            Worker(registry, url, name, settings, desk, **given)
            for name, desk in zip(namespaces, pool.desks, strict=True)
        )
        self._ending = False

    def stop_soon(self) -> None:
        """Ask all to stop; asked a second time, running handlers are not waited for. To be called on the loop."""
        self._ending = True
        for one in self.workers:
            one.stop_soon()

    async def run(self) -> None:
        """Work until asked to stop, then stop in good order. If one of them ends by a fault, so do the others."""
        runs = [asyncio.ensure_future(one.run()) for one in self.workers]
        try:
            await asyncio.wait(runs, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            for run in runs:
                run.cancel()
            raise
        finally:
            if not self._ending:
                self.stop_soon()
            await asyncio.wait(runs)
        for run in runs:
            run.result()

    async def start(self) -> None:
        """Open the sessions and begin to claim."""
        for one in self.workers:
            await one.start()

    async def stop(self) -> None:
        """Stop all in good order."""
        await asyncio.gather(*(one.stop() for one in self.workers))

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
