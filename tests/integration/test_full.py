"""What still works when the server has no memory left: looking, and everything that gives memory back."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from coordinator import Settings, State
from coordinator.drivers.embedded import EmbeddedServer
from coordinator.errors import StorageFull
from tests.support.faces import connected
from tests.support.server import chosen_server, plain_client
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
        with pytest.raises(StorageFull):
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
