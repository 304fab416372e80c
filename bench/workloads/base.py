"""What a workload is, and how large."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.model import Figure
from bench.peers import Kind
from bench.scene import Scene


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is done. The limits, in seconds, bound what a slow library takes; its rate is that of fewer jobs."""

    enqueue: int = 10_000
    bulk: int = 50_000
    drain: int = 20_000
    ordered: int = 5_000
    latency: int = 1_000
    memory: int = 20_000
    keyed: int = 2_000
    pairs: int = 5_000
    contend_seconds: float = 6.0
    handoffs: int = 1_000
    depths: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    waiters: int = 10_000
    turns: int = 6
    rest_seconds: float = 5.0
    idle_seconds: float = 60.0
    fill_limit: float = 3.0
    limit: float = 5.0


QUICK = Sizes(
    enqueue=1_000,
    bulk=5_000,
    drain=2_000,
    ordered=500,
    latency=100,
    memory=2_000,
    keyed=300,
    pairs=500,
    contend_seconds=1.0,
    handoffs=100,
    depths=(1_000, 10_000),
    waiters=1_000,
    turns=2,
    rest_seconds=2.0,
    idle_seconds=4.0,
    fill_limit=2.0,
    limit=3.0,
)

Measure = Callable[[Scene, Sizes], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Workload:
    """One row of the report. The first figure is the one that libraries are compared by.

    `ours_only` names why no peer takes part; `once`: repeating it would show nothing new and take long.
    """

    name: str
    title: str
    kind: Kind
    figures: tuple[Figure, ...]
    measure: Measure
    ours_only: str = ""
    once: bool = False
