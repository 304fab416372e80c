"""What the policies cost: everything on against everything off, in turns."""

from __future__ import annotations

import time
from collections.abc import Mapping
from statistics import median

from bench.actors.producer import parcels
from bench.model import Figure
from bench.peers import Peer, ours
from bench.scene import Scene
from bench.server import between
from bench.workloads.base import Sizes, Workload
from bench.workloads.drain import FINISH_SECONDS, rate
from bench.workloads.locks import WARM

# As it is by default, and a handler with a breaker of what it depends on, a limit of rate and an adaptive timeout.
ON: Mapping[str, str] = {}
OFF = {
    "COORDINATOR_BATCHING__ENABLED": "false",
    "COORDINATOR_METRICS__ENABLED": "false",
    "COORDINATOR_RETRIES__BUDGET": "false",
    "COORDINATOR_SHED__ENABLED": "false",
    "COORDINATOR_STEALING__ENABLED": "false",
    "COORDINATOR_TIMEOUTS__LEARN": "false",
}
DONE = ("drain", "flow", "pairs")


def overhead(scene: Scene, sizes: Sizes) -> Mapping[str, float]:
    """Both sides do the same, each on a server of its own; who is first changes with each turn, and the ratio is the
    median over the turns."""
    sides = {"on": ours("bench.actors.our_policies:every", ON), "off": ours("bench.actors.our_policies:none", OFF)}
    turns: list[dict[str, dict[str, float]]] = []
    for turn in range(sizes.turns):
        order = list(sides) if turn % 2 else list(reversed(sides))
        turns.append({side: _done(scene, sides[side], sizes) for side in order})
    ratios = {what: median(one["on"][what] / one["off"][what] for one in turns) for what in DONE}
    figures = {f"{what}_{side}": median(one[side][what] for one in turns) for what in turns[0]["on"] for side in sides}
    return {**ratios, **figures}


def _done(scene: Scene, peer: Peer, sizes: Sizes) -> dict[str, float]:
    """Rates of one side: pairs of acquire and release, jobs of a full queue, and jobs that are handed in meanwhile."""
    with scene.beside(peer) as one:
        locker, producer, rows = one.actor("our_lock"), one.actor(), parcels(sizes.drain)
        locker.ask("pairs", count=WARM, limit=sizes.limit)
        pairs = locker.ask("pairs", count=sizes.pairs, limit=sizes.limit)
        filled = int(producer.ask("fill", rows=rows, limit=sizes.fill_limit)["count"])
        with one.workers("drain", 1) as workers:
            one.wait_at_gate(1, workers)
            before, cpu = one.server.totals(), workers.cpu()
            one.open_gate()
            marks = one.wait_for_marks(filled, sizes.limit, workers)
            time.sleep(FINISH_SECONDS)
            costs = between(before, one.server.totals(), workers.cpu() - cpu).per(len(marks))
            begun = time.monotonic_ns()
            more = int(producer.ask("fill", rows=rows, limit=sizes.fill_limit)["count"])
            last = one.wait_for_marks(len(marks) + more, sizes.limit, workers)[-1]
    return {
        "drain": rate(marks),
        "flow": more / (last.at - begun) * 1e9,
        "pairs": pairs["count"] / pairs["seconds"],
        "commands": costs["commands"],
        "redis_us": costs["redis_us"],
        "worker_us": costs["client_us"],
    }


def _both(key: str, label: str, unit: str, better: str) -> tuple[Figure, ...]:
    return tuple(Figure(f"{key}_{side}", f"{label}, all {side}", unit, better) for side in ("on", "off"))  # type: ignore[arg-type]


OVERHEAD = Workload(
    "overhead",
    "every policy on / every policy off, in turns",
    "jobs",
    (
        Figure("drain", "drain", "", "more"),
        Figure("flow", "enqueue and drain", "", "more"),
        Figure("pairs", "lock pairs", "", "more"),
        *_both("drain", "drain", "/s", "more"),
        *_both("flow", "enqueue and drain", "/s", "more"),
        *_both("pairs", "lock pairs", "/s", "more"),
        *_both("commands", "Redis commands per job of a drain", "", "less"),
        *_both("redis_us", "Redis CPU per job of a drain", "us", "less"),
        *_both("worker_us", "worker CPU per job of a drain", "us", "less"),
    ),
    overhead,
    ours_only="it is compared with itself",
    once=True,
)
