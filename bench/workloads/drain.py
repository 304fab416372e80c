"""Working off jobs that do nothing: one worker process, two, and in the exact order of five priorities.

The queue is filled first. The workers start, each takes its first job and waits with it until all processes are there;
then the gate opens. The rate is that from the end of the first tenth of the jobs to the last one, so neither the start
of a process nor what it had fetched before the gate opened counts for anybody.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from bench.actors.marks import Mark
from bench.actors.producer import parcels
from bench.model import Figure, NotMeasured
from bench.peers import Mode
from bench.processes import Actor
from bench.scene import Scene
from bench.server import between
from bench.statistics import inversions
from bench.workloads.base import Sizes, Workload

LEVELS = 5
LEAST = 50  # jobs from which a rate is taken
FINISH_SECONDS = 0.2  # for the last outcomes to reach Redis before its counters are read
SETTLE_SECONDS = 5.0  # until what has begun has to be on record as done
RATE = (Figure("per_second", "jobs", "/s", "more"),)


def rate(marks: Sequence[Mark]) -> float:
    """Jobs per second after the first tenth of them. Raises NotMeasured."""
    begin = len(marks) // 10
    if len(marks) < LEAST:
        raise NotMeasured(f"only {len(marks)} jobs were worked off")
    return (len(marks) - 1 - begin) / (marks[-1].at - marks[begin].at) * 1e9


def _drained(
    scene: Scene, mode: Mode, processes: int, rows: Sequence[tuple[object, ...]], sizes: Sizes
) -> tuple[list[Mark], dict[str, float]]:
    actor = scene.actor()
    filled = int(actor.ask("fill", rows=rows, limit=sizes.fill_limit)["count"])
    with scene.workers(mode, processes) as workers:
        scene.wait_at_gate(processes, workers)
        before, cpu = scene.server.totals(), workers.cpu()
        scene.open_gate()
        marks = scene.wait_for_marks(filled, sizes.limit, workers)
        time.sleep(FINISH_SECONDS)
        costs = between(before, scene.server.totals(), workers.cpu() - cpu)
        _check_settled(actor, len(marks))
    return marks, {"per_second": rate(marks), **costs.per(len(marks))}


def _check_settled(actor: Actor, begun: int) -> None:
    """Of a library that says how many jobs are done: whether those are all that have begun. Raises NotMeasured."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while (done := actor.ask("settled")) is not None and done < begun:
        if time.monotonic() > deadline:
            raise NotMeasured(f"{begun:,} jobs were begun, and only {done:,} are on record as done")
        time.sleep(FINISH_SECONDS)


def one_process(scene: Scene, sizes: Sizes) -> Mapping[str, float]:
    """One worker process."""
    return _drained(scene, "drain", 1, parcels(sizes.drain), sizes)[1]


def two_processes(scene: Scene, sizes: Sizes) -> Mapping[str, float]:
    """Two worker processes."""
    return _drained(scene, "drain", 2, parcels(sizes.drain), sizes)[1]


def in_order(scene: Scene, sizes: Sizes) -> Mapping[str, float]:
    """One worker process, five priorities handed in mixed; the order in which jobs began is checked."""
    marks, figures = _drained(scene, "ordered", 1, parcels(sizes.ordered, LEVELS), sizes)
    wrong = inversions([mark.number % LEVELS for mark in marks])
    if wrong:
        raise NotMeasured(
            f"{figures['per_second']:,.0f}/s, but {wrong:,} of {len(marks):,} jobs began after a less urgent one"
        )
    return figures


WORKLOADS = (
    Workload("drain", "drain no-op jobs, one worker process", "jobs", RATE, one_process),
    Workload("drain2", "drain no-op jobs, two worker processes", "jobs", RATE, two_processes),
    Workload("ordered", "drain, five priorities in exact order", "jobs", RATE, in_order),
)
