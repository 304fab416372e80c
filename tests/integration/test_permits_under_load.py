"""Permits are taken by many while their number changes: never more than there are, and none taken back."""

import asyncio
import os
import random
import time

import pytest
import redis

from coordinator import AsyncCoordinator, Need, Settings
from coordinator.errors import OverCapacity

LONG = os.environ.get("COORDINATOR_TEST_LONG") == "1"
SECONDS = 30.0 if LONG else 0.5
TAKERS = 8  # of each of two clients


def judged(raw: "redis.Redis", namespace: str, taken: dict[str, int]) -> tuple[int, int]:
    """How often the number changed, and how often to fewer than were held. `taken` are the permits of each grant."""
    capacity, used, changes, beyond = 1, 0, 0, 0
    for _, fields in raw.xrange(f"co:{{{namespace}}}:events"):
        event, permits = fields[b"event"], taken.get(fields[b"id"].decode(), 0)
        assert event != b"lose", "a smaller number takes nothing back"
        if event == b"define":
            capacity, changes = int(fields.get(b"capacity", capacity)), changes + 1
            beyond += used > capacity
        elif event == b"grant":
            # Who wants more than there are by now has all there is.
            assert used == 0 or used + min(permits, capacity) <= capacity
            used += permits
        elif event == b"release":
            used -= permits
    assert used == 0
    return changes, beyond


@pytest.mark.any_version
@pytest.mark.timeout(120)
async def test_a_number_that_changes_is_kept_to_and_revokes_nothing(
    redis_url: str, raw: "redis.Redis", namespace: str
) -> None:
    ends = time.monotonic() + SECONDS
    chance = random.Random(namespace)
    taken: dict[str, int] = {}

    async def take(co: AsyncCoordinator) -> None:
        while time.monotonic() < ends:
            permits = chance.randint(1, 3)
            try:
                async with co.lock(Need("pool", permits=permits), wait=20) as lease:
                    taken[lease.ident] = permits
                    await asyncio.sleep(0.001)
            except OverCapacity:
                await asyncio.sleep(0.001)

    async def change(co: AsyncCoordinator) -> None:
        while time.monotonic() < ends:
            await co.define("pool", capacity=chance.randint(1, 6))
            await asyncio.sleep(0.003)

    settings = Settings.of(namespace=namespace, max_events=10**6)
    async with (
        AsyncCoordinator.connect(redis_url, settings=settings) as one,
        AsyncCoordinator.connect(redis_url, settings=settings) as two,
    ):
        await one.define("pool", capacity=4)
        await asyncio.gather(*(take(co) for co in (one, two) for _ in range(TAKERS)), change(one), change(two))
    changes, beyond = judged(raw, namespace, taken)
    print(f"{len(taken)} grants, {changes} changes, {beyond} of them below what was held")
    assert len(taken) > TAKERS
    assert changes > 1
