"""The drop-in for redis-py's `Lock` where more want a lock than its line takes, sync and asyncio."""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
import redis.asyncio

from coordinator.compat.plain import resource_of
from coordinator.compat.redis import patch
from tests.support.faces import Face
from tests.support.until import until

Make = Callable[..., Any]


@pytest.fixture
def name(co: Any, namespace: str) -> str:
    """Of a lock whose line takes one."""
    co.define(resource_of(f"lock:{namespace}"), max_line=1)
    return f"lock:{namespace}"


@pytest.fixture
def new(kind: str, co: Any, redis_url: str) -> Iterator[Make]:
    """Makes locks whose token any thread sees."""
    with contextlib.ExitStack() as stack:
        if kind == "sync":
            client = stack.enter_context(patch(redis.Redis.from_url(redis_url), co))
            yield lambda *args, **options: client.lock(*args, thread_local=False, **options)
        else:
            other = patch(redis.asyncio.Redis.from_url(redis_url), co.target)
            stack.callback(lambda: co._loop.run(other.aclose()))
            yield lambda *args, **options: Face(co._loop, other.lock(*args, thread_local=False, **options))


def counted(lock: Any) -> list[str]:
    """Grows each time that a lock asks for a place."""
    found, asked = getattr(lock, "target", lock), list[str]()
    ask = found._come_to_head

    def again(*args: Any) -> Any:
        asked.append("asked")
        return ask(*args)

    async def awaited(*args: Any) -> Any:
        return await again(*args)

    found._come_to_head = awaited if found is not lock else again
    return asked


def test_who_finds_the_line_full_goes_on_asking(new: Make, co: Any, name: str) -> None:
    holder, waiter, outside = (new(name, timeout=60, sleep=0.005) for _ in range(3))
    assert holder.acquire()
    asked = counted(outside)
    with ThreadPoolExecutor(2) as threads:
        stands = threads.submit(waiter.acquire)
        until(lambda: co.line(resource_of(name)).line_length == 1)
        assert not new(name, timeout=60).acquire(blocking=False)
        assert not new(name, timeout=60, sleep=0.005).acquire(blocking_timeout=0.02)
        comes = threads.submit(outside.acquire)
        until(lambda: len(asked) > 2)
        assert not comes.done()
        holder.release()
        assert stands.result(30)
        waiter.release()
        assert comes.result(30)
    outside.release()
