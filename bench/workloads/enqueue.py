"""Handing jobs in, one by one and in bulk, with nobody there to take them."""

from __future__ import annotations

from collections.abc import Mapping

from bench.model import Figure
from bench.scene import Scene
from bench.server import between
from bench.workloads.base import Sizes, Workload

PAYLOAD = 100  # bytes
WARM = 200
RATE = (Figure("per_second", "jobs", "/s", "more"),)


def _measured(scene: Scene, order: str, count: int, warm: int, limit: float) -> Mapping[str, float]:
    actor = scene.actor()
    actor.ask(order, count=warm, payload=PAYLOAD, limit=limit)
    before = scene.server.totals()
    done = actor.ask(order, count=count, payload=PAYLOAD, limit=limit)
    costs = between(before, scene.server.totals(), done["cpu"])
    return {"per_second": done["count"] / done["seconds"], **costs.per(done["count"])}


def one_by_one(scene: Scene, sizes: Sizes) -> Mapping[str, float]:
    """Each job by a call of its own, the next when the last has been answered."""
    return _measured(scene, "enqueue", sizes.enqueue, WARM, sizes.limit)


def in_bulk(scene: Scene, sizes: Sizes) -> Mapping[str, float]:
    """By the library's own call for many jobs, a thousand at a time."""
    return _measured(scene, "enqueue_many", sizes.bulk, 1_000, sizes.limit)


WORKLOADS = (
    Workload("enqueue", "enqueue one by one, 100-byte payload", "jobs", RATE, one_by_one),
    Workload("bulk", "enqueue in bulk, 1,000 per call", "jobs", RATE, in_bulk),
)
