"""python-redis-lock: waits by a blocking pop."""

from __future__ import annotations

import redis
from redis_lock import Lock

from bench.actors.locker import Locker
from bench.actors.speech import said

LEASE_SECONDS = 10


class Actor(Locker):
    def __init__(self) -> None:
        super().__init__()
        self._client = redis.Redis.from_url(said("URL"))

    def acquire(self, name: str) -> Lock:
        lock = Lock(self._client, name, expire=LEASE_SECONDS)
        lock.acquire()
        return lock

    def release(self, held: Lock) -> None:
        held.release()
