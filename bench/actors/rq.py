"""RQ; five queues are its five priorities."""

from __future__ import annotations

from collections.abc import Sequence

import redis
from rq import Queue

from bench.actors.marks import mark
from bench.actors.producer import Parcel, Producer, What
from bench.actors.speech import said

# No result is kept, and no heartbeat of its own is needed within the default timeout of 180 s.
OPTIONS = {"result_ttl": 0}


def noop(what: What) -> None:
    mark(int(what))


class Actor(Producer):
    many = 1000

    def __init__(self) -> None:
        connection = redis.Redis.from_url(said("URL"))
        self._queues = {level: Queue(f"q{level}", connection=connection) for level in range(5)}

    def send(self, parcel: Parcel) -> None:
        self._queues[parcel.level or 0].enqueue(noop, parcel.what, **OPTIONS)

    def send_many(self, chunk: Sequence[Parcel]) -> None:
        for level, queue in self._queues.items():
            told = [Queue.prepare_data(noop, (one.what,), **OPTIONS) for one in chunk if (one.level or 0) == level]
            if told:
                queue.enqueue_many(told)
