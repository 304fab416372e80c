"""The lock of redis-py: as it comes, and asked for every millisecond."""

from __future__ import annotations

import redis
from redis.lock import Lock

from bench.actors.locker import Locker
from bench.actors.speech import said

LEASE_SECONDS = 10.0
USUAL_SLEEP = "0.1"


class Actor(Locker):
    def __init__(self) -> None:
        super().__init__()
        self._client = redis.Redis.from_url(said("URL"))
        self._sleep = float(said("SLEEP", USUAL_SLEEP))

    def acquire(self, name: str) -> Lock:
        lock = self._client.lock(name, timeout=LEASE_SECONDS, sleep=self._sleep)
        lock.acquire()
        return lock

    def release(self, held: Lock) -> None:
        held.release()
