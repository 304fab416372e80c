"""What still works when the server has no memory left: looking, and everything that gives memory back."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from coordinator import Settings, State
from coordinator.drivers.embedded import EmbeddedServer
from coordinator.errors import MemoryFull, StorageFull
from tests.support.faces import connected
from tests.support.server import chosen_server, plain_client
from tests.support.until import until
from workers import Registry, Worker


@pytest.fixture
def full_url() -> Iterator[str]:
    """A server of the test's own, whose memory `fill` closes."""
    with EmbeddedServer(binary=chosen_server()) as server:
        yield server.url


def fill(url: str) -> None:
    with plain_client(url) as raw:
        raw.config_set("maxmemory", 1)


def test_a_full_server_can_be_looked_at_and_gives_back(full_url: str, kind: str, settings: Settings) -> None:
    with connected(kind, full_url, settings) as co:
        lease, job = co.acquire("a"), co.submit("job", b"x" * 1000)
        fill(full_url)
        with pytest.raises(StorageFull, match=r"^Redis takes nothing new: its memory is used up \(`maxmemory`\)$"):
            co.submit("job")
        with pytest.raises(StorageFull):
            co.acquire("b")
        assert job.state() is State.READY
        assert co.explain(job.ident).ident == job.ident
        assert co.survey().resources[0].name == "a"
        assert co.line("a").line_length == 0
        lease.extend(30)
        assert lease.held
        lease.release()
        assert job.cancel()


def test_what_is_new_is_refused_before_the_server_is_full(full_url: str, kind: str, settings: Settings) -> None:
    with connected(kind, full_url, settings) as co, plain_client(full_url) as raw:
        lease, job = co.acquire("a"), co.submit("job")
        raw.setrange("others", 16_000_000, b"x")  # beside which the buffers of connections count for little
        raw.config_set("maxmemory", int(raw.info("memory")["used_memory"] * 1.05))
        until(lambda: refused(co))
        with pytest.raises(MemoryFull) as caught:
            co.submit("job", priority="emergency")
        assert caught.value.used >= caught.value.limit > caught.value.until
        assert caught.value.retry_after > 0
        with pytest.raises(MemoryFull):
            co.acquire("b")
        lease.release()
        assert job.cancel()
        raw.config_set("maxmemory", 0)
        until(lambda: not refused(co))


def refused(co: Any) -> bool:
    try:
        co.submit("job")
    except MemoryFull:
        return True
    return False


def test_a_worker_that_starts_when_memory_is_full_works_off_the_queue(full_url: str, settings: Settings) -> None:
    jobs = Registry()

    @jobs.handler("job")
    async def job(_ctx: Any, payload: int) -> int:
        return payload

    with connected("sync", full_url, settings) as co:
        tickets = [co.submit("job", number) for number in range(20)]
        fill(full_url)

        async def work() -> list[int]:
            async with Worker(jobs, full_url, settings=settings):
                return [await asyncio.to_thread(one.result, 10) for one in tickets]

        assert asyncio.run(work()) == list(range(20))
