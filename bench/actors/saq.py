"""SAQ on Redis."""

from __future__ import annotations

from typing import Any

import redis.asyncio
from saq import Queue

from bench.actors import keyed
from bench.actors.aproducer import AsyncProducer
from bench.actors.marks import mark
from bench.actors.producer import Parcel, What
from bench.actors.speech import said

queue = Queue.from_url(said("URL"), name="jobs")
locks = redis.asyncio.Redis.from_url(said("URL"))


async def noop(ctx: Any, *, what: What) -> None:  # noqa: ARG001
    mark(int(what))


async def work_keyed(ctx: Any, *, number: int, resource: str) -> None:  # noqa: ARG001
    await keyed.arun(number, resource, locks)


settings = {"queue": queue, "functions": [noop, work_keyed], "concurrency": int(said("CONCURRENCY", "100"))}


class Actor(AsyncProducer):
    async def send(self, parcel: Parcel) -> None:
        # A ttl of -1 keeps nothing of a job that is done.
        if parcel.resource is None:
            await queue.enqueue("noop", what=parcel.what, ttl=-1)
        else:
            await queue.enqueue("work_keyed", number=parcel.what, resource=parcel.resource, ttl=-1)
