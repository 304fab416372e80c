"""Locks that several enter by one object: each leaves what they have got, also where one of them has lost it."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from coordinator import AsyncCoordinator, Coordinator, Need, Settings
from coordinator.errors import InvalidInput, LeaseLost
from coordinator.recipes import threads
from tests.support.until import until


@pytest.fixture
def sync_co(redis_url: str, settings: Settings) -> Iterator[Coordinator]:
    with Coordinator.connect(redis_url, settings=settings) as client:
        yield client


@pytest.fixture
def elsewhere() -> Iterator[Callable[..., Any]]:
    """Has another thread, always the same, do something."""
    with ThreadPoolExecutor(1) as pool:
        yield lambda work, *args: pool.submit(work, *args).result(30)


def taken_away(co: Coordinator, resource: str) -> None:
    co.force_release(co.line(resource).holders[0].ident, "an operator")


def test_nested_entries_of_one_context_leave_nothing(co: Any) -> None:
    co.define("s", capacity=2)
    lock = co.lock("s")
    with lock as outer:
        with lock as inner:
            assert inner.ident != outer.ident
        assert not inner.held
        assert outer.held
    assert co.line("s").holders == ()


def test_threads_that_share_a_context_leave_what_they_entered(sync_co: Coordinator, elsewhere: Any) -> None:
    lock = sync_co.lock(Need("a", "shared"))
    with lock:
        other = elsewhere(lock.__enter__)
    assert other.held
    elsewhere(lock.__exit__, None, None, None)
    assert sync_co.line("a").holders == ()


def test_who_lost_the_lock_of_a_shared_context_is_told_and_the_next_keeps_it(
    sync_co: Coordinator, elsewhere: Any
) -> None:
    lock = sync_co.lock("a")
    lock.__enter__()
    taken_away(sync_co, "a")
    later = elsewhere(lock.__enter__)
    with pytest.raises(LeaseLost):
        lock.__exit__(None, None, None)
    assert later.held
    elsewhere(lock.__exit__, None, None, None)
    assert not later.held


async def test_tasks_that_share_a_context_leave_what_they_entered(redis_url: str, settings: Settings) -> None:
    async with AsyncCoordinator.connect(redis_url, settings=settings) as co:
        lock, entered, left = co.lock(Need("a", "shared")), asyncio.Event(), asyncio.Event()

        async def second() -> bool:
            async with lock as lease:
                entered.set()
                await left.wait()
                return lease.held

        async with lock as first:
            task = asyncio.create_task(second())
            await entered.wait()
        assert not first.held
        left.set()
        assert await task, "the first one has left what was its own"
        assert (await co.line("a")).holders == ()


async def test_who_leaves_what_another_task_entered_leaves_that_of_one_that_is_gone(
    redis_url: str, settings: Settings
) -> None:
    """Until Python 3.12 `wait_for` enters in a task of its own."""
    async with AsyncCoordinator.connect(redis_url, settings=settings) as co:
        lock = co.lock("a")
        lost = await asyncio.create_task(lock.__aenter__())
        await co.force_release(lost.ident, "an operator")
        later = await asyncio.create_task(lock.__aenter__())
        with pytest.raises(LeaseLost):
            await lock.__aexit__(None, None, None)
        assert later.held
        await lock.__aexit__(None, None, None)
        assert not later.held
        await lock.__aexit__(None, None, None)  # there is nothing to leave


async def test_what_somebody_is_in_is_left_by_nobody_else(redis_url: str, settings: Settings) -> None:
    async with AsyncCoordinator.connect(redis_url, settings=settings) as co:
        await co.define("s", capacity=2)
        lock, over, entered = co.lock("s"), asyncio.Event(), asyncio.Semaphore(0)

        async def inside() -> bool:
            async with lock as lease:
                entered.release()
                await over.wait()
                return lease.held

        tasks = [asyncio.create_task(inside()) for _ in range(2)]
        for _ in tasks:
            await entered.acquire()
        with pytest.raises(InvalidInput, match="still there"):
            await lock.__aexit__(None, None, None)
        over.set()
        assert await asyncio.gather(*tasks) == [True, True]


async def test_a_task_that_lost_the_lock_of_a_shared_context_is_told(redis_url: str, settings: Settings) -> None:
    async with AsyncCoordinator.connect(redis_url, settings=settings) as co:
        lock = co.lock("a")

        async def loses() -> None:
            async with lock as lease:
                await co.force_release(lease.ident, "an operator")
                later.append(await asyncio.create_task(lock.__aenter__()))

        later: list[Any] = []
        with pytest.raises(LeaseLost):
            await loses()
        assert later[0].held
        await lock.__aexit__(None, None, None)  # by a task that has not entered it
        assert not later[0].held


def test_who_lost_a_lock_shaped_like_that_of_threading_is_told_and_the_next_keeps_it(
    sync_co: Coordinator, elsewhere: Any
) -> None:
    lock = threads.Lock(sync_co, "a")
    assert lock.acquire()
    taken_away(sync_co, "a")
    assert elsewhere(lock.acquire)
    later = elsewhere(lambda: lock.lease)
    with pytest.raises(LeaseLost):
        lock.release()
    assert later.held
    elsewhere(lock.release)
    assert not lock.locked()
    assert lock.lease is None


def test_who_lost_a_permit_is_told_and_others_keep_theirs(sync_co: Coordinator, elsewhere: Any) -> None:
    permits = threads.Semaphore(sync_co, "a", 2)
    assert elsewhere(permits.acquire)
    assert permits.acquire()
    [first, second] = [one.ident for one in sync_co.line("a").holders]
    mine = permits._entered.latest(None)
    assert mine is not None
    assert mine.ident in (first, second)
    sync_co.force_release(mine.ident, "an operator")
    with pytest.raises(LeaseLost):
        permits.release()
    assert len(sync_co.line("a").holders) == 1
    permits.release()  # that of the other thread
    assert sync_co.line("a").holders == ()


def test_a_lease_that_is_over_cannot_be_entered(co: Any, other: Any) -> None:
    released, lost = co.acquire("a"), co.acquire("b")
    released.release()
    other.force_release(lost.ident, "an operator")
    until(lambda: not lost.held)
    for lease in (released, lost):
        with pytest.raises(LeaseLost), lease:
            pytest.fail("it runs with nothing held")
