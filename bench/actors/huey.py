"""huey: its plain Redis storage, and the one with priorities where these are asked for."""

from __future__ import annotations

import redis
from huey import PriorityRedisHuey, RedisHuey

from bench.actors import keyed
from bench.actors.marks import mark
from bench.actors.producer import Parcel, Producer, What
from bench.actors.speech import said

plain = RedisHuey("jobs", url=said("URL"), results=False)
urgent = PriorityRedisHuey("urgent", url=said("URL"), results=False)
locks = redis.Redis.from_url(said("URL"))


@plain.task()
def noop(what: What) -> None:
    mark(int(what))


@urgent.task(name="ranked")
def ranked(what: What) -> None:
    mark(int(what))


@urgent.task(name="keyed")
def work_keyed(number: int, resource: str) -> None:
    keyed.run(number, resource, locks)


class Actor(Producer):
    def send(self, parcel: Parcel) -> None:
        if parcel.resource is not None:
            work_keyed(parcel.what, parcel.resource, priority=parcel.level)
        elif parcel.level is not None:
            ranked(parcel.what, priority=parcel.level)
        else:
            noop(parcel.what)
