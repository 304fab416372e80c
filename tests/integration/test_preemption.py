"""Holders that are asked to yield, and jobs that are asked to cancel: cooperatively, in both clients and in workers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from coordinator import Settings, State
from coordinator.errors import InvalidInput
from tests.support.fleet import Fleet, until_async
from tests.support.until import until
from workers import Context, Registry


def test_a_holder_is_asked_by_whoever_is_more_urgent(co: Any, other: Any) -> None:
    lease = co.acquire("a", priority="low")
    polite = other.request("a", priority="high")
    assert not lease.yield_requested.is_set()
    urgent = other.request("a", priority="critical", on_preempt="ask")
    until(lease.yield_requested.is_set, 1.0)
    assert lease.held, "nothing is taken by force"
    lease.release()
    second = urgent.wait(5)
    assert not second.yield_requested.is_set()
    second.release()
    polite.wait(5).release()


def test_who_is_asked_before_it_knows_that_it_holds_hears_of_it(co: Any, other: Any) -> None:
    first = co.acquire("a")
    ticket = co.request("a", priority="low")
    first.release()
    until(lambda: ticket.state() == State.HELD)
    urgent = other.request("a", priority="high", on_preempt="ask")
    lease = ticket.wait(5)
    until(lease.yield_requested.is_set, 1.0)
    lease.release()
    urgent.wait(5).release()


@pytest.mark.parametrize(
    "wrong",
    [
        {"on_preempt": "force"},
        {"on_preempt": "ask", "grace": 5},
        {"grace": 5},
        {"on_preempt": "ask", "wait": 0},
        {"on_preempt": "cancel_job", "grace": -1},
    ],
)
def test_what_makes_no_sense_is_refused(co: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        co.acquire("a", **wrong)


@pytest.fixture
async def fleet(redis_url: str, settings: Settings) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        made = Fleet(redis_url, settings, stack)
        stack.push_async_callback(made.client.close)
        yield made


async def test_a_job_gives_way_within_its_grace_and_runs_again_without_burning_an_attempt(fleet: Fleet) -> None:
    jobs, seen = Registry(), list[tuple[int, bool, str]]()
    asked = asyncio.Event()

    @jobs.handler("long")
    async def long(ctx: Context, payload: Any) -> int:
        asked.set()
        try:
            await asyncio.sleep(0 if seen else 60)
        finally:
            seen.append((ctx.attempt, ctx.yield_requested, ctx.cancel_reason))
        return ctx.attempt

    await fleet.worker(jobs)
    ticket = await fleet.client.submit("long", resources="a", priority="low")
    await asked.wait()
    lease = await fleet.client.acquire("a", wait=5, priority="high", on_preempt="cancel_job", grace=0.05)
    assert seen == [(1, True, "somebody more urgent waits for what the job holds")]
    assert await ticket.state() == State.WAITING
    await lease.release()
    assert await ticket.result(5) == 1
    assert seen[1] == (1, False, "")


async def test_a_handler_may_end_by_itself_when_it_is_asked(fleet: Fleet) -> None:
    jobs, asked = Registry(), asyncio.Event()

    @jobs.handler("polite")
    async def polite(ctx: Context, payload: Any) -> str:
        asked.set()
        await until_async(lambda: ctx.yield_requested)
        return "done in time"

    @jobs.handler("urgent")
    async def urgent(ctx: Context, payload: Any) -> str:
        return "had it"

    await fleet.worker(jobs)
    first = await fleet.client.submit("polite", resources="a", priority="low")
    await asked.wait()
    second = await fleet.client.submit("urgent", resources="a", priority="high", on_preempt="cancel_job", grace=30)
    assert await second.result(5) == "had it"
    assert await first.result(5) == "done in time"
