"""Work stealing on a real server: a worker whose loop is kept, in a thread of its own, and one that is idle."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from coordinator import Settings, State, Submission
from tests.support.fleet import Fleet, until_async
from workers import Registry, Worker


class Scene:
    """Handlers that note who ran them. `block` keeps its loop until it may end."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, str, int]] = []
        self.began = threading.Event()
        self.may_end = threading.Event()

    def registry(self, where: str) -> Registry:
        jobs = Registry()

        @jobs.handler("block")
        async def block(ctx: Any, payload: Any) -> None:
            self.ran.append((where, ctx.id, ctx.attempt))
            self.began.set()
            self.may_end.wait(20)

        @jobs.handler("short")
        async def short(ctx: Any, payload: Any) -> None:
            self.ran.append((where, ctx.id, ctx.attempt))

        return jobs

    def by(self, where: str) -> list[str]:
        return [ident for at, ident, _ in self.ran if at == where]

    def twice(self) -> list[str]:
        return [ident for ident, times in Counter(ident for _, ident, _ in self.ran).items() if times > 1]


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
async def fleet(redis_url: str, settings: Settings) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        made = Fleet(redis_url, settings, stack)
        yield made
        await made.client.close()


class Elsewhere:
    """A worker on a loop of its own, in a thread, as it would be in another process."""

    def __init__(self, fleet: Fleet, registry: Registry, **options: Any) -> None:
        self._loop, self._over = asyncio.new_event_loop(), asyncio.Event()
        options = {"queues": "default", "process_slots": 1, "poll": 0.5, **options}
        self._up = threading.Event()
        self._thread = threading.Thread(
            target=self._loop.run_until_complete, args=(self._run(fleet, registry, options),)
        )

    async def started(self) -> None:
        self._thread.start()
        assert await asyncio.to_thread(self._up.wait, 10)

    async def _run(self, fleet: Fleet, registry: Registry, options: dict[str, Any]) -> None:
        async with Worker(registry, fleet.url, None, fleet.settings, **options) as self.worker:
            self._up.set()
            await self._over.wait()

    def stop_soon(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._over.set)

    async def ended(self) -> None:
        if self._thread.ident is not None:
            self.stop_soon()
            await asyncio.to_thread(self._thread.join, 20)
            assert not self._thread.is_alive()
        if not self._loop.is_closed():
            self._loop.close()


@pytest.fixture
async def victim(fleet: Fleet, scene: Scene) -> AsyncIterator[Elsewhere]:
    made = Elsewhere(fleet, scene.registry("victim"))
    yield made
    scene.may_end.set()
    await made.ended()


async def kept(
    fleet: Fleet, scene: Scene, victim: Elsewhere, count: int, *, seen: bool = True
) -> tuple[Any, list[Any]]:
    """One job that keeps the victim's loop, and so many short ones that it has claimed: with it (`seen`), or by a claim
    whose answer its loop has no time to read."""
    if not seen:
        await victim.started()
        await fleet.idle()
    jobs = [("block", None), *(("short", n) for n in range(count))]
    tickets = await fleet.client.submit_many([Submission(*one) for one in jobs])
    if seen:
        await victim.started()
    assert await asyncio.to_thread(scene.began.wait, 10)
    return tickets[0], tickets[1:]


@pytest.mark.parametrize("seen", [True, False])
async def test_a_long_job_in_front_holds_nothing_up(fleet: Fleet, scene: Scene, victim: Elsewhere, seen: bool) -> None:
    block, short = await kept(fleet, scene, victim, 30, seen=seen)
    await fleet.worker(scene.registry("thief"))
    await asyncio.gather(*(one.result(10) for one in short))
    assert not scene.may_end.is_set()
    assert sorted(scene.by("thief")) == sorted(one.ident for one in short)
    scene.may_end.set()
    await block.result(10)
    assert scene.twice() == []
    assert {attempt for _, _, attempt in scene.ran} == {1}
    await until_async(lambda: not victim.worker._executor.jobs)
    assert victim.worker._desk.taken == 0
    # The records tell of it although the jobs are over; a claim that was not carried out yet left nothing to take.
    thefts = [(await fleet.client.explain(one.ident)).stolen_from for one in short]
    robbed = {one[1] for one in thefts if one is not None}
    assert robbed == {victim.worker._driver.keeper.session} or (not seen and not robbed)


async def test_what_nobody_takes_is_run_where_it_was_claimed(fleet: Fleet, scene: Scene, victim: Elsewhere) -> None:
    block, short = await kept(fleet, scene, victim, 5)
    await on_offer(fleet, short)
    late = await fleet.client.submit("short")
    assert (await fleet.client.explain(late.ident)).on_offer == len(short)
    scene.may_end.set()
    await asyncio.gather(*(one.result(10) for one in [block, *short, late]))
    assert scene.by("victim") == [block.ident, *(one.ident for one in short), late.ident]
    assert {attempt for _, _, attempt in scene.ran} == {1}
    await until_async(lambda: not victim.worker._executor.reserve.offered)


async def on_offer(fleet: Fleet, tickets: list[Any]) -> None:
    async def offered() -> bool:
        found = [await fleet.client.explain(one.ident) for one in tickets]
        return all("spare" in one.fields for one in found)

    await until_async(offered)


async def test_a_bell_for_a_worker_that_is_stuck_costs_nothing(fleet: Fleet, scene: Scene, victim: Elsewhere) -> None:
    """Its next claim lies with the store, which would give it a job when it rings."""
    block, _ = await kept(fleet, scene, victim, 0, seen=False)
    await fleet.worker(scene.registry("thief"))
    await fleet.idle(1)
    found = await fleet.client.submit("short")
    await found.result(10)
    scene.may_end.set()
    await block.result(10)
    late = [await fleet.client.submit("short") for _ in range(3)]
    await asyncio.gather(*(one.result(10) for one in late))
    assert scene.twice() == []


async def test_a_worker_that_stops_hands_back_what_it_offered(fleet: Fleet, scene: Scene, victim: Elsewhere) -> None:
    block, short = await kept(fleet, scene, victim, 5)
    await on_offer(fleet, short)
    victim.stop_soon()
    scene.may_end.set()
    await victim.ended()
    await fleet.worker(scene.registry("thief"))
    await asyncio.gather(*(one.result(10) for one in [block, *short]))
    assert scene.twice() == []
    assert {attempt for _, _, attempt in scene.ran} == {1}


async def test_a_spare_job_that_is_cancelled_begins_nowhere(fleet: Fleet, scene: Scene, victim: Elsewhere) -> None:
    block, short = await kept(fleet, scene, victim, 2)
    await on_offer(fleet, short)
    assert await short[0].cancel()
    assert await short[0].state() == State.CANCELLED
    scene.may_end.set()
    await asyncio.gather(block.result(10), short[1].result(10))
    assert short[0].ident not in scene.by("victim")


async def test_stealing_can_be_switched_off_while_the_fleet_runs(fleet: Fleet, scene: Scene, victim: Elsewhere) -> None:
    await fleet.client.configure({"stealing.enabled": False})
    block, short = await kept(fleet, scene, victim, 3)
    await fleet.worker(scene.registry("thief"))
    late = await fleet.client.submit("short")
    await late.result(10)
    await asyncio.sleep(0.3)
    assert scene.by("thief") == [late.ident]
    scene.may_end.set()
    await asyncio.gather(*(one.result(10) for one in [block, *short]))
