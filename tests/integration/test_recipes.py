"""Recipes over the engine, sync and asyncio: permits, readers and a writer, elections, decorated functions."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any, cast

import pytest

from coordinator import (
    AsyncBarrier,
    AsyncCoordinator,
    AsyncCountDownLatch,
    AsyncElection,
    AsyncRWLock,
    AsyncSemaphore,
    Barrier,
    CountDownLatch,
    Election,
    Lease,
    RWLock,
    Semaphore,
    Settings,
)
from coordinator.errors import InvalidInput, LeaseLost, OverCapacity, StoreUnavailable, WaitTimeout
from coordinator.recipes import threads
from tests.support.faces import Face
from tests.support.until import until

PAIRS: dict[Any, Any] = {
    Barrier: AsyncBarrier,
    CountDownLatch: AsyncCountDownLatch,
    Election: AsyncElection,
    RWLock: AsyncRWLock,
    Semaphore: AsyncSemaphore,
}


def recipe(kind: type, co: Any, *args: Any, **options: Any) -> Any:
    """A recipe for the client of the test, whichever kind that is."""
    if isinstance(co, Face):
        return Face(co._loop, PAIRS[kind](co.target, *args, **options))
    return kind(co, *args, **options)


def test_a_semaphore_counts_permits(co: Any, other: Any) -> None:
    here, there = recipe(Semaphore, co, "runners", 3), recipe(Semaphore, other, "runners")
    first = here.acquire(2)
    assert there.try_acquire(2) is None
    second = there.acquire()
    assert here.try_acquire() is None
    with pytest.raises(OverCapacity):
        there.acquire(4)
    here.resize(5)
    with there.hold(2, wait=5) as lease:
        assert lease.held
    first.release()
    second.release()


def test_a_capacity_that_cannot_be_is_refused_at_once() -> None:
    for kind in (Semaphore, AsyncSemaphore):
        with pytest.raises(InvalidInput, match="capacity"):
            kind(cast(Any, None), "runners", 0)


def test_a_writer_waits_for_the_readers_before_it_only(co: Any, other: Any) -> None:
    lock, another = recipe(RWLock, co, "config"), recipe(RWLock, other, "config")
    with lock.read(), another.read():
        with pytest.raises(WaitTimeout):
            another.write(wait=0.02).__enter__()
        writer = threading.Thread(target=lambda: another.write().__enter__())
        writer.start()
        until(lambda: co.line("config").line_length == 1)
        with pytest.raises(WaitTimeout):  # it came after the writer, so it is behind it
            lock.read(wait=0.02).__enter__()
    writer.join(5)
    (holder,) = co.line("config").holders
    assert holder.mode == "exclusive"


def test_where_there_are_more_permits_several_are_what_is_alone_elsewhere(co: Any, other: Any) -> None:
    co.define("config", capacity=2)
    with recipe(RWLock, co, "config").write(), recipe(Election, other, "config", "b").campaign(5) as leader:
        assert leader.leading
        with pytest.raises(WaitTimeout):
            recipe(RWLock, other, "config").read(wait=0.02).__enter__()
        assert [one.mode for one in co.line("config").holders] == ["exclusive", "exclusive"]


def test_one_candidate_leads_and_the_next_follows(co: Any, other: Any) -> None:
    here, there = recipe(Election, co, "scheduler", "a"), recipe(Election, other, "scheduler", "b")
    assert here.leader() is None
    first = here.campaign()
    assert first.leading
    assert there.leader().owner == "a"
    with pytest.raises(WaitTimeout):
        there.campaign(wait=0.02)
    first.resign()
    assert not first.leading
    with there.campaign(5) as second:
        assert second.fence > first.fence
        assert here.leader().owner == "b"
        assert here.candidates() == ()


async def test_an_asyncio_campaign_is_entered_with_or_without_await(redis_url: str, settings: Settings) -> None:
    async with AsyncCoordinator.connect(redis_url, settings=settings) as co:
        election = AsyncElection(co, "scheduler")
        async with election.campaign() as first:
            assert first.leading
        assert not first.leading
        async with await election.campaign() as second:
            assert second.fence > first.fence
        third = await asyncio.create_task(election.campaign())
        await third.resign()
        assert third.fence > second.fence


def test_a_leader_that_is_deposed_is_told_and_one_that_resigns_is_not(co: Any) -> None:
    told: list[str] = []
    election = recipe(Election, co, "scheduler", on_lost=told.append)
    election.campaign().resign()
    leader = election.campaign()
    co.force_release(leader.lease.ident, "test")
    until(lambda: told)
    assert not leader.leading
    with pytest.raises(LeaseLost):
        leader.check()
    with pytest.raises(LeaseLost):
        leader.resign()
    assert len(told) == 1


@pytest.mark.parametrize("known", [True, False])
def test_a_leader_that_resigns_after_it_was_deposed_is_told_all_the_same(co: Any, known: bool) -> None:
    """As one that was stopped, and goes on before its process has heard of anything."""
    told: list[str] = []
    leader = recipe(Election, co, "scheduler", on_lost=told.append).campaign()
    lease = getattr(leader.lease, "target", leader.lease)
    lease.lose = lambda _why: None
    if known:
        lease.trusted_until = 0.0
    co.force_release(lease.ident, "test")
    with pytest.raises(LeaseLost), leader:
        assert leader.leading != known
    until(lambda: told)
    with pytest.raises(LeaseLost):
        leader.resign()
    assert len(told) == 1


class Asynchronous:
    """To be called, and awaited."""

    async def __call__(self, customer_id: str) -> None: ...


def test_what_a_decorated_function_leaves_to_be_awaited_is_refused(co: Any) -> None:
    async def later() -> None: ...

    def leaves_it(customer_id: str) -> Any:
        return later()

    async def leaves_it_too(customer_id: str) -> Any:
        return later()

    client, there = getattr(co, "target", co), isinstance(co, Face)
    locked = client.locked("report/{customer_id}", wait=1)(leaves_it_too if there else leaves_it)
    with pytest.raises(InvalidInput, match="awaited"):
        co._loop.run(locked("a")) if there else locked("a")
    assert co.line("report/a").holders == ()


def test_a_decorated_function_holds_its_lock(co: Any, other: Any) -> None:
    client = getattr(co, "target", co)
    seen: list[Any] = []

    def body(customer_id: str, lease: Any) -> int:
        seen.append((customer_id, lease.fence))
        return 7

    async def async_body(customer_id: str, lease: Any) -> int:
        return body(customer_id, lease)

    right, wrong = (async_body, body) if isinstance(co, Face) else (body, async_body)
    locked: Callable[..., Any] = client.locked("report/{customer_id}", pass_as="lease", wait=0.02)(right)
    if isinstance(co, Face):
        run, locked_one = co._loop.run, locked
        locked = lambda *args: run(locked_one(*args))  # noqa: E731
    assert locked("a/b") == 7
    with other.lock("report/a%2Fb"):
        assert locked("other") == 7
        with pytest.raises(WaitTimeout):
            locked("a/b")
    assert [one for one, _ in seen] == ["a/b", "other"]
    with pytest.raises(InvalidInput):
        client.locked("report/{customer_id}")(wrong)
    with contextlib.nullcontext() if isinstance(co, Face) else pytest.raises(InvalidInput):
        client.locked("report/{customer_id}")(Asynchronous())
    with pytest.raises(InvalidInput, match=r'as in `@co.locked\("report'):
        client.locked(right)
    for bad in ({"onwer": "x"}, {"priority": "urgent"}, {"wait": -1}, {"ttl": "5"}):
        with pytest.raises(InvalidInput):
            client.locked("report/{customer_id}", **bad)
    client.locked("report/{customer_id}", wait="adaptive", priority="high", owner="x")(right)


@pytest.mark.parametrize("shape", [threads.Lock, threads.RLock, threads.Semaphore])
def test_what_could_not_be_released_can_be_released_again(
    sync_co: Any, shape: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = shape(sync_co, "a")
    assert lock.acquire()

    def fails(_lease: Lease) -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(Lease, "release", fails)
        with pytest.raises(StoreUnavailable):
            lock.release()
    lock.release()
    assert sync_co.line("a").holders == ()


@pytest.fixture
def sync_co(kind: str, connect: Callable[..., Any]) -> Any:
    if kind == "async":
        pytest.skip("threads have the sync client")
    return connect()


def elsewhere(work: Callable[[], Any]) -> Any:
    """What another thread gets."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join(5)
    return found[0]


@pytest.mark.parametrize("shape", [threads.Lock, threads.RLock])
def test_a_timeout_that_is_none_is_refused(sync_co: Any, shape: Any) -> None:
    for wrong in (None, "5", True):
        with pytest.raises(InvalidInput) as refused:
            shape(sync_co, "a").acquire(timeout=wrong)
        assert refused.value.argument == "timeout"


def test_a_lock_is_shaped_like_that_of_threading(sync_co: Any) -> None:
    lock, same = threads.Lock(sync_co, "a"), threads.Lock(sync_co, "a")
    with lock:
        assert lock.locked()
        assert lock.lease is not None
        assert not same.acquire(blocking=False)
        assert not same.acquire(timeout=0.02)
    assert same.acquire(timeout=5)
    elsewhere(same.release)
    assert not lock.locked()
    with pytest.raises(RuntimeError):
        lock.release()
    for wrong in ({"blocking": False, "timeout": 1}, {"timeout": -2}):
        with pytest.raises(ValueError, match="timeout"):
            lock.acquire(**wrong)


def test_an_rlock_is_acquired_again_by_its_thread_under_the_same_fence(sync_co: Any) -> None:
    lock = threads.RLock(sync_co, "a")
    with lock:
        fence = lock.lease.fence
        with lock:
            assert lock.lease.fence == fence
        assert not elsewhere(lambda: lock.acquire(blocking=False))
        assert lock.locked()
        assert elsewhere(lock.locked)
    assert lock.lease is None
    assert not lock.locked()
    assert elsewhere(lambda: (lock.acquire(blocking=False), lock.release()))[0]
    with pytest.raises(RuntimeError):
        lock.release()


@pytest.mark.parametrize("shape", [threads.Lock, threads.RLock])
def test_a_condition_of_threading_may_be_made_with_it(sync_co: Any, shape: Any) -> None:
    lock = shape(sync_co, "a")
    condition, seen = threading.Condition(lock), list[str]()

    def notifies() -> None:
        with condition:  # had while the other waits, however often that one has acquired it
            seen.append("notified")
            condition.notify()

    with condition:
        again = lock.acquire() if shape is threads.RLock else False
        fence = lock.lease.fence
        other = threading.Thread(target=notifies)
        other.start()
        assert condition.wait(30)
        assert seen == ["notified"]
        assert lock.lease.fence > fence
        if again:
            lock.release()
            assert lock.lease.held
    other.join(30)
    assert sync_co.line("a").holders == ()
    with pytest.raises(RuntimeError):
        condition.wait(0)


def test_a_semaphore_is_shaped_like_that_of_threading(sync_co: Any) -> None:
    permits = threads.Semaphore(sync_co, "a", 2)
    with permits:
        assert permits.acquire()
        assert not permits.acquire(blocking=False)
        assert not permits.acquire(timeout=0.02)
    permits.release()
    with pytest.raises(ValueError, match="too many"):
        permits.release()


def met(work: Callable[[], Any], times: int) -> list[threading.Thread]:
    threads_of_it = [threading.Thread(target=work, daemon=True) for _ in range(times)]
    for one in threads_of_it:
        one.start()
    return threads_of_it


def test_a_latch_opens_when_enough_was_counted(co: Any, other: Any) -> None:
    latch, same = recipe(CountDownLatch, co, "migrated", 3), recipe(CountDownLatch, other, "migrated", 3)
    waiting = met(latch.wait, 2)
    assert latch.missing() == 3
    assert same.count_down() == 2
    assert latch.count_down() == 1
    with pytest.raises(WaitTimeout):
        same.wait(0.02)
    assert all(one.is_alive() for one in waiting)
    assert same.count_down() == 0
    for one in waiting:
        one.join(5)
    assert not any(one.is_alive() for one in waiting)
    same.wait(0)
    assert latch.missing() == same.count_down() == 0
    with pytest.raises(InvalidInput):
        recipe(CountDownLatch, co, "migrated", 2).count_down()
    with pytest.raises(InvalidInput):
        recipe(CountDownLatch, co, "x", 0)


def test_a_barrier_lets_all_go_on_together_again_and_again(co: Any, other: Any) -> None:
    barrier, same = recipe(Barrier, co, "phase", 3), recipe(Barrier, other, "phase", 3)
    for _ in range(3):
        which = list[int]()
        waiting = met(lambda came=which: came.append(barrier.wait()), 2)
        which.append(same.wait(5))
        for one in waiting:
            one.join(5)
        assert sorted(which) == [0, 1, 2]


@pytest.mark.parametrize("kind_of_it", [Barrier, CountDownLatch])
def test_errors_call_it_as_the_caller_does(co: Any, kind_of_it: type) -> None:
    with pytest.raises(WaitTimeout) as waited:
        recipe(kind_of_it, co, "phase two", 2).wait(0)
    assert str(waited.value).endswith("phase two")
    recipe(CountDownLatch, co, "a b", 2).count_down()
    with pytest.raises(InvalidInput, match="'a b'"):
        recipe(kind_of_it, co, "a b", 3).wait(0)


def test_who_stops_waiting_at_a_barrier_has_not_come(co: Any, other: Any) -> None:
    barrier, same = recipe(Barrier, co, "phase", 2), recipe(Barrier, other, "phase", 2)
    with pytest.raises(WaitTimeout):
        barrier.wait(0.02)
    with pytest.raises(WaitTimeout):
        same.wait(0.02)
    waiting = met(barrier.wait, 1)
    same.wait(5)
    waiting[0].join(5)
    assert not waiting[0].is_alive()
