"""Locks: alone, with sixteen that want the same, and from hand to hand."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping

from bench.model import Figure, NotMeasured
from bench.processes import Actor
from bench.scene import Scene
from bench.server import between
from bench.statistics import jain, overlaps, percentile
from bench.workloads.base import Sizes, Workload
from bench.workloads.latency import FIGURES as SPREAD
from bench.workloads.latency import spread_ms

WARM = 50
PROCESSES, THREADS, HOLD_SECONDS = 2, 8, 0.001
START_SECONDS = 0.5
# Long enough for the next one to stand in line, or to fall into its rhythm of asking.
STAND_SECONDS = (0.003, 0.006)


def alone(scene: Scene, sizes: Sizes) -> Mapping[str, float]:
    """Acquire and release, again and again, with nobody else there."""
    actor = scene.actor()
    actor.ask("pairs", count=WARM, limit=sizes.limit)
    before = scene.server.totals()
    done = actor.ask("pairs", count=sizes.pairs, limit=sizes.limit)
    costs = between(before, scene.server.totals(), done["cpu"])
    return {"per_second": done["count"] / done["seconds"], **costs.per(done["count"])}


def contended(scene: Scene, sizes: Sizes) -> Mapping[str, float]:
    """Two processes with eight threads each want one lock and hold it for a millisecond."""
    actors = [scene.actor() for _ in range(PROCESSES)]
    for actor in actors:
        actor.ask("pairs", count=WARM, limit=sizes.limit)
    before = scene.server.totals()
    start_at = time.monotonic_ns() + int(START_SECONDS * 1e9)
    for actor in actors:
        actor.tell("contend", threads=THREADS, start_at=start_at, seconds=sizes.contend_seconds, hold=HOLD_SECONDS)
    answers = [actor.hear() for actor in actors]
    costs = between(before, scene.server.totals(), sum(one["cpu"] for one in answers))
    if wrong := overlaps((had, gave) for one in answers for had, gave in one["holds"]):
        # Whoever does not exclude has no rate to be compared.
        raise NotMeasured(f"{wrong:,} of the grants were had while another was")
    shares = [waits for one in answers for waits in one["waits"]]
    waits = [wait for share in shares for wait in share]
    mean = sum(waits) / len(waits)
    return {
        "per_second": len(waits) / sizes.contend_seconds,
        "jain": jain([len(share) for share in shares]),
        "p99_ms": percentile(waits, 99) / 1e6,
        "longest_ms": max(waits) / 1e6,
        "longest_over_mean": max(waits) / mean,
        **costs.per(len(waits)),
    }


def handed_on(scene: Scene, sizes: Sizes) -> Mapping[str, float]:
    """From before the holder's release to the return of the acquire of the one who waits, in another process. Processor
    time is that of taking and giving back alone, not of what tells the processes to."""
    holder, waiter = scene.actor(), scene.actor()
    holder.ask("take")
    deadline, found = time.monotonic() + sizes.limit, list[int]()
    before, cpu = scene.server.totals(), _spent(holder, waiter)
    while len(found) < sizes.handoffs and time.monotonic() < deadline:
        found.append(_hand_on(holder, waiter))
        holder, waiter = waiter, holder
    costs = between(before, scene.server.totals(), _spent(holder, waiter) - cpu)
    return {**spread_ms(found), **costs.per(len(found))}


def _spent(*actors: Actor) -> float:
    return sum(float(one.ask("spent")) for one in actors)


def _hand_on(holder: Actor, waiter: Actor) -> int:
    waiter.tell("take")
    time.sleep(random.uniform(*STAND_SECONDS))
    given: int = holder.ask("give")
    taken: int = waiter.hear()
    return taken - given


RATE = Figure("per_second", "pairs", "/s", "more")
WORKLOADS = (
    Workload("pairs", "lock, uncontended acquire and release", "locks", (RATE,), alone),
    Workload(
        "contend",
        "lock, 16 contenders, 1 ms held",
        "locks",
        (
            Figure("per_second", "grants", "/s", "more"),
            Figure("jain", "Jain index of the grants", "", "more"),
            Figure("p99_ms", "99th percentile of the wait", "ms"),
            Figure("longest_ms", "longest wait", "ms"),
            Figure("longest_over_mean", "longest wait / mean wait", ""),
        ),
        contended,
    ),
    Workload("handoff", "hand-off, release to next holder", "locks", SPREAD, handed_on),
)
