"""dramatiq with its Redis broker."""

from __future__ import annotations

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

from bench.actors import keyed
from bench.actors.marks import mark
from bench.actors.producer import Parcel, Producer, What
from bench.actors.speech import said

broker = RedisBroker(url=said("URL"))
dramatiq.set_broker(broker)
locks = redis.Redis.from_url(said("URL"))


@dramatiq.actor(queue_name="jobs")
def noop(what: What) -> None:
    mark(int(what))


@dramatiq.actor(queue_name="jobs")
def work_keyed(number: int, resource: str) -> None:
    keyed.run(number, resource, locks)


class Actor(Producer):
    def send(self, parcel: Parcel) -> None:
        if parcel.resource is None:
            noop.send(parcel.what)
        else:
            work_keyed.send(parcel.what, parcel.resource)
