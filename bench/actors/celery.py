"""Celery with Redis as its broker, and no result backend."""

from __future__ import annotations

import redis
from celery import Celery

from bench.actors import keyed
from bench.actors.marks import mark
from bench.actors.producer import Parcel, Producer, What
from bench.actors.speech import said

app = Celery("bench", broker=said("URL"))
app.conf.update(
    task_ignore_result=True,
    # "If you have many tasks with a short run time, 64 or 128": the optimizing guide. One at a time keeps an order.
    worker_prefetch_multiplier=int(said("PREFETCH", "128")),
    # A list per priority; the kombu transport looks through them in this order.
    broker_transport_options={"priority_steps": [0, 1, 2, 3, 4], "queue_order_strategy": "priority"},
)
locks = redis.Redis.from_url(said("URL"))


@app.task
def noop(what: What) -> None:
    mark(int(what))


@app.task
def work_keyed(number: int, resource: str) -> None:
    keyed.run(number, resource, locks)


class Actor(Producer):
    def send(self, parcel: Parcel) -> None:
        # 0 is the most urgent here.
        options = {} if parcel.level is None else {"priority": 4 - parcel.level}
        if parcel.resource is None:
            noop.apply_async((parcel.what,), **options)
        else:
            work_keyed.apply_async((parcel.what, parcel.resource), **options)
