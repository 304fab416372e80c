"""Several threads, or tasks, that wait on the ticket of one request."""

import asyncio
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from coordinator import AsyncCoordinator, Coordinator, Lease, LockTicket, Settings
from coordinator.aleases import AsyncLease
from coordinator.drivers.sync import SyncDriver
from coordinator.errors import CoordinatorError, WaitCancelled, WaitTimeout, anew
from coordinator.wire.step import Call, Step
from tests.support.until import until

WAITERS = 3


def settled(works: "list[Future[Any]]") -> list[Any]:
    """What each got: a lease, or the class of its error."""
    return [type(one.exception(30)) if one.exception(30) else one.result() for one in works]


@pytest.fixture
def sync_co(redis_url: str, settings: Settings) -> Any:
    with Coordinator.connect(redis_url, settings=settings) as client:
        yield client


def queued(ticket: LockTicket) -> bool:
    """Whether somebody waits on the ticket."""
    return ticket._turn.locked()


def test_all_threads_that_wait_on_a_ticket_get_the_same_lease(sync_co: Any) -> None:
    held, ticket = sync_co.acquire("a"), sync_co.request("a")
    with ThreadPoolExecutor(WAITERS) as pool:
        works = [pool.submit(ticket.wait, 30) for _ in range(WAITERS)]
        until(lambda: queued(ticket))
        with pytest.raises(WaitTimeout):
            ticket.wait(0)
        held.release()
        first, *rest = settled(works)
    assert isinstance(first, Lease)
    assert all(one is first for one in (*rest, ticket.wait(0)))
    sync_co.force_release(ticket.ident, "an operator")
    assert first.lost.wait(10)
    assert ticket.wait() is first


def test_all_threads_that_wait_on_a_ticket_hear_that_it_was_cancelled(sync_co: Any) -> None:
    held, ticket = sync_co.acquire("a"), sync_co.request("a")
    with ThreadPoolExecutor(WAITERS) as pool:
        works = [pool.submit(ticket.wait, 30) for _ in range(WAITERS)]
        until(lambda: queued(ticket))
        ticket.cancel("not needed")
        assert settled(works) == [WaitCancelled] * WAITERS
    with pytest.raises(WaitCancelled):
        ticket.wait(0)
    held.release()


async def test_all_tasks_that_wait_on_a_ticket_get_the_same_lease(redis_url: str, settings: Settings) -> None:
    async with AsyncCoordinator.connect(redis_url, settings=settings) as co:
        held, ticket = await co.acquire("a"), await co.request("a")
        tasks = [asyncio.create_task(ticket.wait(30)) for _ in range(WAITERS)]
        await asyncio.sleep(0)
        with pytest.raises(WaitTimeout):
            await ticket.wait(0)
        await held.release()
        first, *rest = await asyncio.gather(*tasks)
        assert isinstance(first, AsyncLease)
        assert all(one is first for one in (*rest, await ticket.wait(0)))
        await co.force_release(ticket.ident, "an operator")
        async with asyncio.timeout(10):
            await first.lost.wait()
        assert await ticket.wait() is first


async def test_all_tasks_that_wait_on_a_ticket_hear_that_it_was_cancelled(redis_url: str, settings: Settings) -> None:
    async with AsyncCoordinator.connect(redis_url, settings=settings) as co:
        held, ticket = await co.acquire("a"), await co.request("a")
        tasks = [asyncio.create_task(ticket.wait(30)) for _ in range(WAITERS)]
        await asyncio.sleep(0)
        await ticket.cancel("not needed")
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(one) for one in found] == [WaitCancelled] * WAITERS
        with pytest.raises(WaitCancelled):
            await ticket.wait(0)
        await held.release()


async def test_who_waits_on_a_ticket_goes_on_where_another_was_cancelled(redis_url: str, settings: Settings) -> None:
    async with AsyncCoordinator.connect(redis_url, settings=settings) as co:
        held, ticket = await co.acquire("a"), await co.request("a")
        first, second = asyncio.create_task(ticket.wait(30)), asyncio.create_task(ticket.wait(30))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        await held.release()
        assert (await second).held


def test_who_is_interrupted_while_it_looks_leaves_the_grant_to_who_waits(
    sync_co: Any, redis_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By another client: to its own, a release tells of the grant a second time.
    with Coordinator.connect(redis_url, settings=settings) as other:
        held, ticket = other.acquire("a"), sync_co.request("a")
        held.release()
    perform = SyncDriver._perform

    def interrupted(driver: SyncDriver, retry_for: float | None, step: Step) -> Any:
        if isinstance(step, Call):
            raise KeyboardInterrupt
        return perform(driver, retry_for, step)

    until(lambda: sync_co._driver.postman.slot(ticket.ident, "").messages)
    with monkeypatch.context() as patched:
        patched.setattr(SyncDriver, "_perform", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ticket.wait(10)
    assert ticket.wait(10).held


def test_what_a_ticket_ended_with_leaves_no_garbage(sync_co: Any) -> None:
    with sync_co.lock("a"):
        ticket = sync_co.request("a")
        ticket.cancel()
        for _ in range(2):
            with pytest.raises(WaitCancelled):
                ticket.wait(10)
    gone = weakref.ref(ticket)
    del ticket
    assert gone() is None


@pytest.mark.parametrize("error", [WaitTimeout("r", 5, "lock request"), WaitCancelled("r", "cancelled", "")], ids=repr)
def test_an_error_that_is_raised_again_says_the_same(error: CoordinatorError) -> None:
    again = anew(error)
    assert again is not error
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_errors_of_the_store_are_not_what_a_request_ended_with(sync_co: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    held, ticket = sync_co.acquire("a"), sync_co.request("a")

    def away(*_given: object) -> Any:
        raise CoordinatorError("away")

    with monkeypatch.context() as patched:
        patched.setattr(SyncDriver, "run", away)
        with pytest.raises(CoordinatorError, match="away"):
            ticket.wait(10)
    held.release()
    assert ticket.wait(10).held
