"""Ten thousand waits in one process: connections, commands, and that each is answered."""

import asyncio
import time
from collections import Counter

import pytest
import redis

from coordinator import AsyncCoordinator, Need, Settings
from coordinator.drivers.aio import BURST_SECONDS

WAITS = 10_000


def connections(raw: "redis.Redis") -> int:
    return sum(one["name"] == "coordinator" for one in raw.client_list())


def calls(raw: "redis.Redis") -> Counter[str]:
    return Counter({name: stat["calls"] for name, stat in raw.info("commandstats").items()})


async def in_a_second(raw: "redis.Redis") -> tuple[int, float, float]:
    """Scripts that ran in a second in which nobody calls (heartbeats), how many commands each consisted of, and how
    long that second was."""
    before, began = calls(raw), time.monotonic()
    await asyncio.sleep(1.0)  # the time over which commands are counted
    spent, seconds = calls(raw) - before - Counter(cmdstat_info=1), time.monotonic() - began
    scripts = spent["cmdstat_evalsha"] + spent["cmdstat_fcall"]
    return scripts, (spent.total() - scripts) / scripts, seconds


async def test_a_crowd_that_may_share_is_served_at_once_although_no_script_serves_it_whole(
    redis_url: str, raw: "redis.Redis", namespace: str
) -> None:
    settings = Settings.of(namespace=namespace, sweep_interval=60, session_ttl=300)
    async with AsyncCoordinator.connect(redis_url, settings=settings) as co:
        held = await co.acquire("hot")
        tasks = [asyncio.create_task(co.acquire(Need("hot", "shared"))) for _ in range(600)]
        while raw.zcard(f"co:{{{namespace}}}:line:hot") < len(tasks):
            await asyncio.sleep(0.01)
        await held.release()
        async with asyncio.timeout(10):  # long before any sweep or beat that is due by itself
            leases = await asyncio.gather(*tasks)
        await asyncio.gather(*(lease.release() for lease in leases))


async def test_waits_that_are_cancelled_again_while_they_clean_up_leave_nothing(
    redis_url: str, raw: "redis.Redis", namespace: str
) -> None:
    # Few connections, so that what cleans up has to wait for one and is cancelled there.
    async with AsyncCoordinator.connect(redis_url, settings=Settings.of(namespace=namespace, max_connections=2)) as co:
        held = await co.acquire("hot")
        tasks = [asyncio.create_task(co.acquire("hot")) for _ in range(200)]
        while raw.zcard(f"co:{{{namespace}}}:line:hot") < 150:
            await asyncio.sleep(0.01)
        for turn in range(4):
            for at, task in enumerate(tasks):
                if at % 3 != turn:
                    task.cancel()
            await asyncio.sleep(0)
        await held.release()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(10):
            while raw.exists(f"co:{{{namespace}}}:holders:hot", f"co:{{{namespace}}}:line:hot"):
                await asyncio.sleep(0.05)


@pytest.mark.any_version
@pytest.mark.timeout(180)  # seconds on a machine that has nothing else to do
async def test_ten_thousand_waits_use_two_connections_and_no_polling(
    redis_url: str, raw: "redis.Redis", namespace: str
) -> None:
    limits = {"max_connections": 4, "max_line": 2 * WAITS}
    settings = Settings.of(namespace=namespace, session_ttl=30, sweep_interval=0.2, **limits)
    before = connections(raw)
    co = AsyncCoordinator.connect(redis_url, settings=settings)
    try:
        held = await co.acquire("hot")
        beats, alone, before_them = await in_a_second(raw)
        tickets = [co.request("hot") for _ in range(WAITS)]
        waiting = [await ticket for ticket in tickets]
        waits = [asyncio.create_task(ticket.wait(150)) for ticket in waiting]
        await asyncio.sleep(0)
        assert connections(raw) - before <= 4 + 2
        still, crowded, beside_them = await in_a_second(raw)
        assert 0 < still <= beats * max(1.0, beside_them / before_them) + 2
        assert crowded <= alone + 20, "a heartbeat costs the same however many wait"
        await held.release()
        for wait in waits[:200]:
            lease = await wait
            assert lease.held
            await lease.release()
        for wait in waits[200:]:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    finally:
        await co.close()


async def test_a_cancelled_wait_leaves_the_line(redis_url: str, namespace: str) -> None:
    co = AsyncCoordinator.connect(redis_url, namespace)
    try:
        held = await co.acquire("a")
        waiter = asyncio.create_task(co.acquire("a"))
        while (await co.line("a")).line_length == 0:
            await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)
        assert waiter.cancelled()
        assert (await co.line("a")).line_length == 0
        await held.release()
    finally:
        await co.close()


async def test_a_cancelled_wait_gives_back_what_was_granted_meanwhile(redis_url: str, namespace: str) -> None:
    co = AsyncCoordinator.connect(redis_url, namespace)
    try:
        for _ in range(20):
            held = await co.acquire("a")
            waiter = asyncio.create_task(co.acquire("a"))
            while (await co.line("a")).line_length == 0:
                await asyncio.sleep(0)
            release = asyncio.create_task(held.release())
            await asyncio.sleep(0)
            waiter.cancel()
            await asyncio.gather(waiter, return_exceptions=True)
            await release
            if not waiter.cancelled():
                await waiter.result().release()
            lease = await co.try_acquire("a")
            assert lease is not None
            await lease.release()
    finally:
        await co.close()


async def test_one_message_is_one_read_and_many_are_taken_together(
    redis_url: str, raw: "redis.Redis", namespace: str
) -> None:
    co = AsyncCoordinator.connect(redis_url, namespace)
    try:
        held = await co.acquire("a")
        for _ in range(3):
            waiter = asyncio.create_task(co.acquire("a"))
            while (await co.line("a")).line_length == 0:
                await asyncio.sleep(0)
            await asyncio.sleep(10 * BURST_SECONDS)  # a message that comes sooner is taken for one of many
            before = calls(raw)
            await held.release()
            held = await waiter
            assert (calls(raw) - before)["cmdstat_lpop"] == 0
        many = [asyncio.create_task(co.acquire(Need("a", "shared"))) for _ in range(100)]
        while (await co.line("a")).line_length < 100:
            await asyncio.sleep(0)
        before = calls(raw)
        await held.release()
        leases = await asyncio.gather(*many)
        spent = calls(raw) - before
        assert spent["cmdstat_lpop"] >= 1
        assert spent["cmdstat_blpop"] < 20
        for lease in leases:
            await lease.release()
    finally:
        await co.close()
