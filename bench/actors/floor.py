"""No library: the least that redis-py and Redis can do, to know what is left to gain.

A job that is handed in costs one script with one command, and a lock that nobody else wants two of them. A job for an
idle worker, and a lock that others want, cost a push and a blocking pop. Nothing is kept of a job, no lock ends by
itself, and nobody knows who has it.
"""

from __future__ import annotations

from collections.abc import Sequence

import redis

from bench.actors.locker import Locker
from bench.actors.marks import mark
from bench.actors.producer import Parcel, Producer
from bench.actors.speech import said

PUSH = "return redis.call('LPUSH', KEYS[1], ARGV[1])"
TAKE = "return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', 10000)"
GIVE = "return redis.call('DEL', KEYS[1])"
# The locks that are waited for are there from the start, once, whichever process comes first.
LAY_OUT = """
if redis.call('SETNX', 'laid out', 1) == 1 then
  for _, name in ipairs(KEYS) do
    redis.call('LPUSH', name, 1)
  end
end
"""
ALONE, SHARED = "alone", ("passed", "wanted")


class Actor(Producer, Locker):
    """Hands in jobs for the workers below and for those of `floor_batches` and `floor_keyed`."""

    many = 1000

    def __init__(self) -> None:
        super().__init__()
        self._client = redis.Redis.from_url(said("URL"))
        self._push, self._take, self._give = (self._client.register_script(text) for text in (PUSH, TAKE, GIVE))
        self._client.eval(LAY_OUT, len(SHARED), *SHARED)

    def send(self, parcel: Parcel) -> None:
        self._push(keys=["jobs"], args=[parcel.what])

    def send_many(self, chunk: Sequence[Parcel]) -> None:
        with self._client.pipeline(transaction=False) as pipeline:
            for one in chunk:
                if one.resource is None:
                    pipeline.rpush("jobs", one.what)
                else:
                    pipeline.zadd(one.resource, {str(one.what): -(one.level or 0)})
            pipeline.execute()

    def acquire(self, name: str) -> str:
        if name == ALONE:
            self._take(keys=[name], args=["me"])
        else:
            self._client.blpop([name])
        return name

    def release(self, held: str) -> None:
        if held == ALONE:
            self._give(keys=[held])
        else:
            self._client.lpush(held, "1")


async def work() -> None:
    """A worker that takes one job after the other, until it is ended."""
    client = redis.Redis.from_url(said("URL"))
    while True:
        _, number = client.blpop(["jobs"]) or ("", "0")
        mark(int(number))
