"""BullMQ's own port to Python. It has no worker command: `work` is its documented use."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from typing import Any

import redis.asyncio
from bullmq import Queue, Worker

from bench.actors import keyed
from bench.actors.aproducer import AsyncProducer
from bench.actors.marks import mark
from bench.actors.producer import Parcel
from bench.actors.speech import said

NAME = "jobs"


def options(parcel: Parcel) -> dict[str, Any]:
    """Nothing is kept of a job that is done; 1 is the most urgent priority."""
    given: dict[str, Any] = {"removeOnComplete": True}
    return given if parcel.level is None else {**given, "priority": 5 - parcel.level}


def data(parcel: Parcel) -> dict[str, Any]:
    return {"what": parcel.what} if parcel.resource is None else {"what": parcel.what, "resource": parcel.resource}


class Actor(AsyncProducer):
    many = 1000

    async def open(self) -> None:
        self._queue = Queue(NAME, {"connection": said("URL")})

    async def send(self, parcel: Parcel) -> None:
        await self._queue.add("noop", data(parcel), options(parcel))

    async def send_many(self, chunk: Sequence[Parcel]) -> None:
        await self._queue.addBulk([{"name": "noop", "data": data(one), "opts": options(one)} for one in chunk])


async def work() -> None:
    """A worker, until SIGTERM."""
    locks = redis.asyncio.Redis.from_url(said("URL"))

    async def process(job: Any, token: str) -> None:  # noqa: ARG001
        if "resource" in job.data:
            await keyed.arun(job.data["what"], job.data["resource"], locks)
        else:
            mark(job.data["what"])

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    worker = Worker(NAME, process, {"connection": said("URL"), "concurrency": int(said("CONCURRENCY", "100"))})
    await stop.wait()
    await worker.close(True)
