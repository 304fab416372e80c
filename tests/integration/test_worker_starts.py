"""When the start of a job is on record: mostly with the next beat, and at once where a worker may have died of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import redis

from coordinator import RetryPolicy, Settings
from coordinator.errors import JobFailed
from coordinator.keys import key
from tests.support.fleet import Fleet
from workers import Registry

jobs = Registry()


def _on_record(ctx: Any, payload: Any) -> Any:
    with redis.Redis.from_url(payload["url"]) as raw:
        return raw.hexists(payload["key"] + ctx.id, "started")


@jobs.handler("thread")
def in_thread(ctx: Any, payload: Any) -> Any:
    return _on_record(ctx, payload)


@jobs.handler("loop")
async def on_loop(ctx: Any, payload: Any) -> Any:
    return _on_record(ctx, payload)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """No beat comes in between, which would tell of a start."""
    return settings.model_copy(update={"session_ttl": 60.0, "sweep_interval": 20.0})


@pytest.fixture
async def fleet(redis_url: str, settings: Settings) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        made = Fleet(redis_url, settings, stack)
        stack.push_async_callback(made.client.close)
        yield made


@jobs.handler("hangs", timeout=0.1, retry=RetryPolicy(max_attempts=1))
async def hang(ctx: Any, payload: Any) -> None:
    await asyncio.Event().wait()


async def test_a_job_whose_start_is_on_record_first_is_cut_off_in_time(fleet: Fleet, raw: redis.Redis) -> None:
    ticket = await fleet.client.submit("hangs")
    raw.hset(key(fleet.settings.namespace, "REQ", ticket.ident), "unsure", "1")
    await fleet.worker(jobs)
    with pytest.raises(JobFailed, match="timed out"):
        await ticket.result(10)


@pytest.mark.parametrize("name", ["thread", "loop"])
async def test_where_a_worker_may_have_died_of_a_job_its_start_is_on_record_before_it_begins(
    fleet: Fleet, raw: redis.Redis, redis_url: str, name: str
) -> None:
    payload = {"url": redis_url, "key": key(fleet.settings.namespace, "REQ", "")}
    usual, unsure = await fleet.client.submit(name, payload), await fleet.client.submit(name, payload)
    raw.hset(payload["key"] + unsure.ident, "unsure", "1")
    await fleet.worker(jobs)
    assert await unsure.result(10) is True
    assert await usual.result(10) is False
    assert (await fleet.client.explain(unsure.ident)).fields["attempts"] == "1"
