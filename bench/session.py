"""A run: every workload of every library, then all of it again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench.model import NotInstalled, NotMeasured, Record
from bench.peers import OURS, Peer
from bench.scene import scene_for
from bench.workloads.base import Sizes, Workload


@dataclass(frozen=True, slots=True)
class Task:
    """One measurement to be made."""

    workload: Workload
    peer: Peer
    repetition: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be measured, and how."""

    workloads: Sequence[Workload]
    peers: Sequence[Peer]
    repeat: int
    sizes: Sizes
    aof: bool

    def tasks(self) -> Iterator[Task]:
        """All measurements; repetitions are the outer loop, so that a slow minute does not fall on one library."""
        for repetition in range(self.repeat):
            for workload in self.workloads:
                if not (workload.once and repetition):
                    yield from (Task(workload, peer, repetition) for peer in self._partners(workload))

    def _partners(self, workload: Workload) -> Iterator[Peer]:
        for peer in self.peers:
            able = workload.kind in peer.actors and not workload.ours_only
            if peer.name == OURS or (able and (not peer.only or workload.name in peer.only)):
                yield peer


def run(plan: Plan, tell: Callable[[Task, Record], None]) -> list[Record]:
    """Measure all of it. `tell` hears of each measurement when it is made."""
    records = []
    missing: dict[str, str] = {}
    for task in plan.tasks():
        figures, reason = {}, task.peer.lacks.get(task.workload.name) or missing.get(task.peer.name, "")
        try:
            if not reason:
                figures = _measured(task, plan)
        except NotInstalled as error:
            reason = missing[task.peer.name] = str(error)
        except NotMeasured as error:
            reason = str(error)
        record = Record(task.workload.name, task.peer.name, task.repetition, figures, reason)
        records.append(record)
        tell(task, record)
    return records


def _measured(task: Task, plan: Plan) -> dict[str, float]:
    with scene_for(task.peer, task.workload.kind, plan.aof) as scene:
        return dict(task.workload.measure(scene, plan.sizes))
