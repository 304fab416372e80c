"""What we want to reach, in one place: a bound on a figure, or on its ratio to that of a library in the same run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

BEST = "best"  # the best library of the run, whichever it is


@dataclass(frozen=True, slots=True)
class Target:
    """`figure` of `workload` is to be at least (or at most) `bound`: itself, or divided by that of `against`."""

    workload: str
    figure: str
    sign: Literal[">=", "<="]
    bound: float
    against: str = ""

    def __str__(self) -> str:
        name = {"": "", BEST: " x best peer"}.get(self.against, f" x {self.against}")
        return f"{self.sign} {self.bound:g}{name}"

    def reached(self, value: float) -> bool:
        """Whether a value, or a ratio, is on the right side."""
        return value >= self.bound if self.sign == ">=" else value <= self.bound


TARGETS = (
    # huey hands jobs in faster, but at most once; dramatiq is the best that, like us, keeps a job until it is done.
    Target("enqueue", "per_second", ">=", 1.15, "dramatiq"),
    Target("bulk", "per_second", ">=", 3, BEST),
    Target("drain", "per_second", ">=", 5, BEST),
    Target("drain2", "per_second", ">=", 4, BEST),
    Target("ordered", "per_second", ">=", 10, BEST),
    Target("latency", "p50_ms", "<=", 0.75, BEST),
    Target("latency", "p99_ms", "<=", 1.0, BEST),
    Target("depth", "enqueue_growth", "<=", 1.3),
    Target("depth", "settle_growth", "<=", 1.3),
    Target("memory", "bytes", "<=", 420),
    Target("keyed", "makespan", "<=", 1.06),
    # Nothing lies between the two marks of a handler that begins with its resource: they are microseconds apart.
    Target("keyed", "lock_wait_ms", "<=", 0.01),
    Target("keyed", "urgent_wait_ms", "<=", 0.75, BEST),
    Target("pairs", "per_second", ">=", 1.05, BEST),
    Target("contend", "per_second", ">=", 900),
    Target("contend", "jain", ">=", 0.999),
    Target("contend", "longest_over_mean", "<=", 2),
    Target("handoff", "p50_ms", "<=", 0.7, BEST),
    Target("handoff", "p99_ms", "<=", 0.8, BEST),
    # Two spans of equal length can differ by a beat or two of the heartbeat; each is a command or two.
    Target("waiters", "idle_commands", "<=", 1),
    # Of ourselves with every policy off.
    Target("overhead", "drain", ">=", 0.85),
    Target("overhead", "flow", ">=", 0.85),
    Target("overhead", "pairs", ">=", 0.85),
)
