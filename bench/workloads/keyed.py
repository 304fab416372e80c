"""Jobs that need a resource each, few of which everybody wants: how much of the ideal time they take."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.actors.keyed import BODY_SECONDS, STEPS
from bench.actors.marks import Mark
from bench.model import Figure, NotMeasured
from bench.scene import Scene
from bench.server import between
from bench.statistics import ideal_makespan, overlaps, zipf_choices
from bench.workloads.base import Sizes, Workload

RESOURCES, EXPONENT, LEVELS, SEED = 20, 1.1, 5, 7
PROCESSES, CONCURRENCY = 2, 8
FILL_SECONDS, DRAIN_SECONDS = 10.0, 20.0


@dataclass(frozen=True, slots=True)
class KeyedJob:
    """A job of the plan: its resource and how urgent it is (4 first)."""

    resource: int
    level: int


def planned(count: int) -> list[KeyedJob]:
    """The same jobs for everybody: resources by Zipf's law, levels evenly at random."""
    levels = random.Random(SEED)
    return [KeyedJob(resource, levels.randrange(LEVELS)) for resource in zipf_choices(count, RESOURCES, EXPONENT, SEED)]


def judged(jobs: Sequence[KeyedJob], marks: Sequence[Mark], opened: int) -> dict[str, float]:
    """Figures from the marks of all jobs; `opened` is when they could begin, in ns. Raises NotMeasured."""
    steps: dict[int, dict[int, int]] = defaultdict(dict)
    for mark in marks:
        steps[mark.number // STEPS].setdefault(mark.number % STEPS, mark.at)
    whole = {number: found for number, found in steps.items() if len(found) == STEPS}
    if len(whole) < len(jobs):
        raise NotMeasured(f"only {len(whole):,} of {len(jobs):,} jobs were done within {DRAIN_SECONDS:g} s")
    spans: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number, found in whole.items():
        spans[jobs[number].resource].append((found[1], found[2]))
    if wrong := sum(overlaps(each) for each in spans.values()):
        # Whoever does not exclude has no makespan to be compared.
        raise NotMeasured(f"{wrong:,} of {len(jobs):,} jobs had their resource while another had it")
    slots = PROCESSES * CONCURRENCY
    bodies = [(jobs[number].resource, (found[2] - found[1]) / 1e9) for number, found in whole.items()]
    took = (max(found[2] for found in whole.values()) - opened) / 1e9
    urgent = [found[1] - opened for number, found in whole.items() if jobs[number].level == LEVELS - 1]
    return {
        "makespan": took / ideal_makespan(bodies, slots),
        "makespan_nominal": took / ideal_makespan([(one.resource, BODY_SECONDS) for one in jobs], slots),
        "lock_wait_ms": sum(found[1] - found[0] for found in whole.values()) / len(whole) / 1e6,
        "urgent_wait_ms": sum(urgent) / len(urgent) / 1e6,
        "body_ms": sum(seconds for _, seconds in bodies) / len(bodies) * 1e3,
    }


def keyed(scene: Scene, sizes: Sizes) -> Mapping[str, float]:
    """All jobs are queued, then two worker processes with eight slots each work them off."""
    jobs = planned(sizes.keyed)
    rows = [(number, job.level, f"r{job.resource}") for number, job in enumerate(jobs)]
    filled = scene.actor().ask("fill", rows=rows, limit=FILL_SECONDS)["count"]
    if filled < len(rows):
        raise NotMeasured(f"only {filled:,} of {len(rows):,} jobs could be queued in {FILL_SECONDS:g} s")
    with scene.workers("keyed", PROCESSES, CONCURRENCY) as workers:
        scene.wait_at_gate(PROCESSES, workers)
        before, cpu, opened = scene.server.totals(), workers.cpu(), time.monotonic_ns()
        scene.open_gate()
        marks = scene.wait_for_marks(len(jobs) * STEPS, DRAIN_SECONDS, workers)
        costs = between(before, scene.server.totals(), workers.cpu() - cpu)
    return {**judged(jobs, marks, opened), **costs.per(len(jobs))}


WORKLOADS = (
    Workload(
        "keyed",
        "keyed jobs: 20 resources, Zipf 1.1, 5 priorities, 2 workers x 8",
        "jobs",
        (
            Figure("makespan", "makespan / ideal", ""),
            Figure("makespan_nominal", "the same, were each body 2 ms", ""),
            Figure("lock_wait_ms", "a worker slot's wait for locks per job", "ms"),
            Figure("urgent_wait_ms", "mean wait of the most urgent", "ms"),
            Figure("body_ms", "mean body", "ms", "neither"),
        ),
        keyed,
    ),
)
