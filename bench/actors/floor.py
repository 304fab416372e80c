"""No library: the least that redis-py and Redis can do, to know what is left to gain."""

from __future__ import annotations

import asyncio
import signal

import redis
import redis.asyncio

from bench.actors.locker import Locker
from bench.actors.marks import mark
from bench.actors.producer import Parcel, Producer
from bench.actors.speech import said

SCRIPT = "return redis.call('LPUSH', KEYS[1], ARGV[1])"


class Actor(Producer, Locker):
    """One small script per job that is handed in; a push and a blocking pop for a job, and for a lock."""

    def __init__(self) -> None:
        super().__init__()
        self._client = redis.Redis.from_url(said("URL"))
        self._push = self._client.register_script(SCRIPT)

    def send(self, parcel: Parcel) -> None:
        self._push(keys=["jobs"], args=[parcel.what])

    def acquire(self, name: str) -> str:
        self._client.blpop([name])
        return name

    def release(self, held: str) -> None:
        self._client.lpush(held, "1")


async def work() -> None:
    """A worker, until SIGTERM."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)  # type: ignore[union-attr]
    async with redis.asyncio.Redis.from_url(said("URL")) as client:
        while True:
            _, number = await client.blpop(["jobs"]) or ("", "0")
            mark(int(number))
