"""A worker whose claim was carried out, and whose reply never came."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from coordinator import Settings, Submission
from coordinator.drivers.aio import AsyncDriver
from coordinator.errors import CoordinatorError, ProtocolError, StoreUnavailable
from coordinator.ops.fleet import Exchange
from tests.support.fleet import Fleet
from workers import Registry
from workers.desk import Desk

POLL, SOON = 60.0, 20.0


@pytest.fixture
async def fleet(redis_url: str, namespace: str) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        made = Fleet(redis_url, Settings.of(namespace=namespace), stack)
        await stack.enter_async_context(made.client)
        yield made


@pytest.mark.parametrize(
    ("parks", "first", "with_it", "error"),
    [
        (False, "wait", "raw_jobs", StoreUnavailable("the answer was lost")),
        (True, "wait", "raw_jobs", StoreUnavailable("the answer was lost")),
        (False, "quick", "raw_verdicts", ProtocolError("the answer could not be read")),
    ],
)
async def test_who_was_rung_while_its_claim_had_no_answer_claims_once_more(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, parks: bool, first: str, with_it: str, error: CoordinatorError
) -> None:
    """The claim found less than it asked for, and so was noted as idle, and rung for what came afterwards. When it is
    repeated its answer is that of the first time, which says nothing of what the bell was for."""
    jobs, begun, go_on, heard = Registry(), asyncio.Queue[str](), asyncio.Event(), asyncio.Event()

    @jobs.handler("wait")
    async def wait(ctx: Any, payload: str) -> None:
        begun.put_nowait(payload)
        await go_on.wait()

    @jobs.handler("quick")
    async def quick(ctx: Any, payload: str) -> None:
        begun.put_nowait(payload)

    run, ring, lost = AsyncDriver.run, Desk.ring, []

    def ringing(desk: Desk) -> None:
        ring(desk)
        heard.set()

    async def losing(driver: AsyncDriver, operation: Any, *more: Any) -> Any:
        reply = await run(driver, operation, *more)
        if isinstance(reply, Exchange) and getattr(reply, with_it) and not lost:
            lost.append(reply)
            heard.clear()
            await fleet.client.submit_many([Submission("wait", f"later {n}") for n in range(3)])
            await heard.wait()
            raise error
        return reply

    monkeypatch.setattr(AsyncDriver, "run", losing)
    monkeypatch.setattr(Desk, "ring", ringing)
    if not parks:
        monkeypatch.setattr(AsyncDriver, "park", lambda *_: False)
    await fleet.client.submit(first, "first")
    await fleet.worker(jobs, concurrency=16, poll=POLL)
    async with asyncio.timeout(SOON):
        found = {await begun.get() for _ in range(4)}
    assert lost
    assert found == {"first", "later 0", "later 1", "later 2"}
    go_on.set()
