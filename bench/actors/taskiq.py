"""taskiq with the stream broker of taskiq-redis."""

from __future__ import annotations

import redis.asyncio
from taskiq.serializers import ORJSONSerializer
from taskiq_redis import RedisStreamBroker

from bench.actors import keyed
from bench.actors.aproducer import AsyncProducer
from bench.actors.marks import mark
from bench.actors.producer import Parcel, What
from bench.actors.speech import said

# From the beginning of the stream, for the jobs are there before the workers.
broker = RedisStreamBroker(said("URL"), consumer_id="0").with_serializer(ORJSONSerializer())
locks = redis.asyncio.Redis.from_url(said("URL"))


@broker.task
async def noop(what: What) -> None:
    mark(int(what))


@broker.task
async def work_keyed(number: int, resource: str) -> None:
    await keyed.arun(number, resource, locks)


class Actor(AsyncProducer):
    async def open(self) -> None:
        await broker.startup()

    async def send(self, parcel: Parcel) -> None:
        if parcel.resource is None:
            await noop.kiq(parcel.what)
        else:
            await work_keyed.kiq(parcel.what, parcel.resource)
