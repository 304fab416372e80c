"""One process that works for several namespaces, on a real server."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from coordinator import AsyncCoordinator, Settings, Submission
from tests.support.fleet import until_async
from workers import Registry, Shards

SLOTS = 9


class Scene:
    """Jobs that run until they may end, of two namespaces."""

    def __init__(self, url: str, names: tuple[str, str], settings: Settings) -> None:
        self.url, self.names, self.settings = url, names, settings
        self.clients = [AsyncCoordinator.connect(url, name, settings) for name in names]
        self.running: Counter[str] = Counter()
        self.most, self.over = 0, asyncio.Semaphore(0)
        self.jobs = Registry()

        @self.jobs.handler("held")
        async def held(_ctx: Any, name: str) -> str:
            self.running[name] += 1
            self.most = max(self.most, self.running.total())
            try:
                await self.over.acquire()
            finally:
                self.running[name] -= 1
            return name

    def shards(self, *weights: int, **options: Any) -> Shards:
        given = {"concurrency": SLOTS, "process_slots": 1, "poll": 0.5, "grace": 0.1, **options}
        return Shards(self.jobs, dict(zip(self.names, weights, strict=True)), self.url, self.settings, **given)

    async def submit(self, which: int, count: int) -> list[Any]:
        name = self.names[which]
        return await self.clients[which].submit_many([Submission("held", name) for _ in range(count)])

    def end(self, count: int) -> None:
        for _ in range(count):
            self.over.release()

    async def run(self, *counts: int) -> None:
        wanted = dict(zip(self.names, counts, strict=True))
        await until_async(lambda: all(self.running[name] == wanted[name] for name in self.names), what=str(wanted))


@pytest.fixture
async def scene(redis_url: str, namespace: str, settings: Settings) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        made = Scene(redis_url, (namespace, f"{namespace}:1"), settings)
        for one in made.clients:
            stack.push_async_callback(one.close)
        yield made


async def test_one_namespace_may_have_all_slots_but_one_and_gives_way_by_the_weights(scene: Scene) -> None:
    async with scene.shards(1, 2):
        first = await scene.submit(0, 30)
        # The other is idle: one slot is where its claim waits for the next job.
        await scene.run(SLOTS - 1, 0)
        second = await scene.submit(1, 30)
        await scene.run(SLOTS - 1, 1)
        # 1 + 7 * 1/3 and 1 + 7 * 2/3 of 9, as runs end: each slot that falls free goes to the one it is owed to.
        scene.end(SLOTS - 1)
        await until_async(lambda: scene.running.total() == SLOTS and scene.running[scene.names[1]] >= 6)
        await scene.run(3, 6)
        scene.end(100)
        assert [await one.result(10) for one in [*first, *second]] == [scene.names[0]] * 30 + [scene.names[1]] * 30
    assert scene.most == SLOTS


async def test_each_namespace_has_a_session_of_its_own_and_all_of_them_end(scene: Scene) -> None:
    worker = scene.shards(1, 1)
    task = asyncio.ensure_future(worker.run())
    await until_async(lambda: all(one.session for one in worker.workers))
    assert len({one.session for one in worker.workers}) == 2
    tickets = [*await scene.submit(0, 2), *await scene.submit(1, 2)]
    await scene.run(2, 2)
    worker.stop_soon()
    await task
    # What had not ended within the grace was handed back, each to its namespace.
    for ticket, client in zip(tickets, [*scene.clients[:1] * 2, *scene.clients[1:] * 2], strict=True):
        assert (await client.explain(ticket.ident)).state == "ready"


async def test_a_fault_in_one_ends_all_of_them_in_good_order(scene: Scene) -> None:
    worker = scene.shards(1, 1)
    task = asyncio.ensure_future(worker.run())
    await until_async(lambda: all(one.session for one in worker.workers))
    [ticket] = await scene.submit(1, 1)
    await scene.run(0, 1)
    worker.workers[0]._exchange._fault = ValueError("a fault")
    worker.workers[0]._desk.changed.set()
    with pytest.raises(ValueError, match="a fault"):
        await task
    assert (await scene.clients[1].explain(ticket.ident)).state == "ready"
    assert not any(one.session for one in worker.workers)
