"""Weights, from the settings to what workers run; how they change meanwhile; what people and the doctor see of them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from coordinator import Coordinator, Priority, Settings
from coordinator.policy.share import WEIGHTS, patience
from tests.support.fleet import Fleet, until_async
from tests.support.health import assert_healthy
from tests.support.scene import Scene
from workers import Registry

SHARED = "bulk 16:8:4:2:1"
jobs = Registry()
ran: list[tuple[str, Priority]] = []


@jobs.handler("note", queue="bulk")
async def note(ctx: Any, _payload: Any) -> None:
    ran.append((ctx.queue, ctx.priority))


@pytest.fixture
async def fleet(redis_url: str, settings: Settings) -> AsyncIterator[Fleet]:
    ran.clear()
    async with AsyncExitStack() as stack:
        one = Fleet(redis_url, settings, stack)
        stack.push_async_callback(one.client.close)
        yield one


async def fill(fleet: Fleet, urgent: int, low: int, queue: str = "bulk") -> list[Any]:
    tickets = [await fleet.client.submit("note", queue=queue, priority="emergency") for _ in range(urgent)]
    return tickets + [await fleet.client.submit("note", queue=queue, priority="low") for _ in range(low)]


async def test_a_worker_goes_by_the_weights_of_its_settings(fleet: Fleet) -> None:
    fleet.settings = fleet.settings.model_copy(
        update={"queues": Settings.of(queues={"bulk": {"sharing": "weighted"}}).queues}
    )
    tickets = await fill(fleet, 40, 2)
    await fleet.worker(jobs, queues="bulk", concurrency=1)
    for one in tickets:
        await one.result(10)
    places = [place for place, (_, priority) in enumerate(ran) if priority is Priority.LOW]
    assert places[0] <= patience(WEIGHTS, 4)
    assert places[1] - places[0] <= patience(WEIGHTS, 4) + 1


async def test_weights_change_while_a_worker_runs(fleet: Fleet) -> None:
    worker = await fleet.worker(jobs, queues="bulk", concurrency=1)
    other = Coordinator.connect(fleet.url, settings=fleet.settings)
    try:
        other.configure({"queues": {"bulk": {"sharing": "weighted", "weights": [1, 1, 1, 1, 1]}}})
        await until_async(lambda: worker._exchange._queues == ("bulk 1:1:1:1:1",))
        for one in await fill(fleet, 4, 4):
            await one.result(10)
        other.configure({}, unset=["queues"])
        await until_async(lambda: worker._exchange._queues == ("bulk",))
    finally:
        other.close()


async def test_a_worker_shares_its_slots_among_queues(fleet: Fleet) -> None:
    tickets = [*await fill(fleet, 0, 9, "bulk"), *await fill(fleet, 30, 0, "default")]
    await fleet.worker(jobs, queues=("default=3", "bulk=1"), concurrency=1)
    for one in tickets:
        await one.result(10)
    assert [queue for queue, _ in ran[:32]].count("bulk") == 8


def test_why_says_which_share_a_job_has(scene: Scene) -> None:
    for priority in ("emergency", "low", "low"):
        last = scene.co.submit("note", queue="bulk", priority=priority)
    assert scene.co.explain(last.ident).share is None
    scene.claim(queue=SHARED)
    found = scene.co.explain(last.ident)
    assert found.share is not None
    assert (found.share.weights, found.share.place, found.share.ready) == (WEIGHTS, 1, 2)
    assert_healthy(scene.co)


@pytest.mark.plants_faults
def test_the_doctor_knows_the_index(scene: Scene) -> None:
    ident = scene.co.submit("note", queue="bulk", priority="low").ident
    scene.co.submit("note", queue="bulk", priority="high")
    scene.claim(queue=SHARED)
    assert_healthy(scene.co)
    scene.raw.zadd(scene.key("CLASS", "bulk:3"), {ident: 1, "ghost": 1})
    assert scene.faults(ident) == ["is ready, but is in class:bulk:3"]
    assert scene.faults("ghost") == ["has no record, but is in class:bulk:3"]
    scene.mend()
    assert [one for one, _ in scene.claim(queue=SHARED)] == [ident]
