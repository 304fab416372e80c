"""streaQ: its priorities are streams of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis.asyncio
from streaq import Worker

from bench.actors import keyed
from bench.actors.aproducer import AsyncProducer
from bench.actors.marks import mark
from bench.actors.producer import Parcel, What
from bench.actors.speech import said

LEVELS = ["p0", "p1", "p2", "p3", "p4"]
worker: Worker[None] = Worker(
    redis_url=said("URL"),
    queue_name="jobs",
    concurrency=int(said("CONCURRENCY", "100")),
    priorities=list(LEVELS),  # the worker turns the list it is given around
    anyio_kwargs={"use_uvloop": True},
)
locks = redis.asyncio.Redis.from_url(said("URL"))


@worker.task(ttl=0, silent=True)
async def noop(what: What) -> None:
    mark(int(what))


@worker.task(ttl=0, silent=True)
async def work_keyed(number: int, resource: str) -> None:
    await keyed.arun(number, resource, locks)


def task(parcel: Parcel) -> Any:
    """The task of a parcel, not yet sent."""
    if parcel.resource is None:
        made = noop.enqueue(parcel.what)
    else:
        made = work_keyed.enqueue(int(parcel.what), parcel.resource)
    return made if parcel.level is None else made.start(priority=LEVELS[parcel.level])


class Actor(AsyncProducer):
    many = 1000

    async def open(self) -> None:
        await worker.__aenter__()

    async def send(self, parcel: Parcel) -> None:
        await task(parcel)

    async def send_many(self, chunk: Sequence[Parcel]) -> None:
        await worker.enqueue_many([task(one) for one in chunk])
