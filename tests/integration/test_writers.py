"""A writer among readers who arrive for ever waits for those ahead of it, and for nobody else."""

import asyncio
import os
import time

import pytest
import redis

from coordinator import AsyncCoordinator, Need, Settings

LONG = os.environ.get("COORDINATOR_TEST_LONG") == "1"
SECONDS = 30.0 if LONG else 0.5
READERS = 8  # of each of two clients


@pytest.mark.any_version
@pytest.mark.timeout(120)
async def test_a_writer_is_passed_by_no_reader_that_came_later(
    redis_url: str, raw: "redis.Redis", namespace: str
) -> None:
    ends = time.monotonic() + SECONDS
    written: list[str] = []

    async def read(co: AsyncCoordinator) -> None:
        while time.monotonic() < ends:
            async with co.lock(Need("book", "shared")):
                # Long enough that another comes before it goes: with no writer there is always a reader.
                await asyncio.sleep(0.002)

    async def write(co: AsyncCoordinator) -> None:
        while time.monotonic() < ends:
            async with co.lock("book") as lease:
                written.append(lease.ident)
            await asyncio.sleep(0.01)

    settings = Settings.of(namespace=namespace, max_events=10**6)
    async with (
        AsyncCoordinator.connect(redis_url, settings=settings) as one,
        AsyncCoordinator.connect(redis_url, settings=settings) as two,
    ):
        await asyncio.gather(*(read(co) for co in (one, two) for _ in range(READERS)), write(one), write(two))
    events = [
        (fields[b"event"].decode(), fields[b"id"].decode()) for _, fields in raw.xrange(f"co:{{{namespace}}}:events")
    ]
    asked = {ident: at for at, (event, ident) in enumerate(events) if event == "ask"}
    granted = [ident for event, ident in events if event == "grant"]
    for place, ident in enumerate(granted):
        if ident in written:
            passed_by = [other for other in granted[:place] if asked[other] > asked[ident]]
            assert not passed_by, f"{len(passed_by)} readers that came later went before it"
    print(f"{len(written)} writes among {len(granted) - len(written)} reads")
    assert 0 < len(written) < len(granted)
