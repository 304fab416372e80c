"""Coordinator: producer, and the handlers that its own worker command runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.actors import keyed
from bench.actors.marks import mark
from bench.actors.producer import Parcel, Producer
from bench.actors.speech import said
from coordinator import Coordinator, Submission
from workers import Registry

jobs = Registry()


@jobs.handler("noop")
async def noop(ctx: Any, payload: Any) -> None:  # noqa: ARG001
    mark(payload)


@jobs.handler("keyed")
async def work_keyed(ctx: Any, payload: Any) -> None:  # noqa: ARG001
    await keyed.arun_held(payload)


def submission(parcel: Parcel) -> Submission:
    """The job of a parcel; its resource is a need, not something the handler waits for."""
    options: dict[str, Any] = {} if parcel.level is None else {"priority": parcel.level}
    if parcel.resource is None:
        return Submission("noop", parcel.what, **options)
    return Submission("keyed", parcel.what, resources=parcel.resource, **options)


class Actor(Producer):
    many = 1000

    def __init__(self) -> None:
        self._coordinator = Coordinator.connect(said("URL"))

    def send(self, parcel: Parcel) -> None:
        if parcel.level is None:
            self._coordinator.submit("noop", parcel.what)
        else:
            self.send_many([parcel])

    def send_many(self, chunk: Sequence[Parcel]) -> None:
        self._coordinator.submit_many([submission(one) for one in chunk])

    def settled(self) -> int:
        return self._coordinator.survey().counters.get("succeed", 0)
