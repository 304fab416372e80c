"""How long a job waits that an idle worker could begin at once."""

from __future__ import annotations

from collections.abc import Mapping

from bench.model import Figure
from bench.scene import Scene
from bench.server import between
from bench.statistics import percentile
from bench.workloads.base import Sizes, Workload

FIGURES = (Figure("p50_ms", "median", "ms"), Figure("p99_ms", "99th percentile", "ms"))
WARM = 20


def spread_ms(nanoseconds: list[int]) -> dict[str, float]:
    """Median and 99th percentile of some latencies."""
    return {"p50_ms": percentile(nanoseconds, 50) / 1e6, "p99_ms": percentile(nanoseconds, 99) / 1e6}


def idle(scene: Scene, sizes: Sizes) -> Mapping[str, float]:
    """From before the call that hands a job in to the first line of its handler, in one worker process with nothing
    else to do; the next job a few milliseconds later."""
    actor = scene.actor()
    scene.open_gate()
    with scene.workers("latency", 1) as workers:
        # The first ones wait for the worker to start, and for everybody's connections and scripts.
        actor.ask("latency", count=WARM, limit=60.0)
        before, cpu = scene.server.totals(), workers.cpu()
        found = actor.ask("latency", count=sizes.latency, limit=sizes.limit)
        costs = between(before, scene.server.totals(), workers.cpu() - cpu)
    return {**spread_ms(found), **costs.per(len(found))}


WORKLOADS = (Workload("latency", "idle latency, enqueue to first line of the handler", "jobs", FIGURES, idle),)
