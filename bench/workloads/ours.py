"""What only we state: the cost of depth, and of waiting."""

from __future__ import annotations

from collections.abc import Mapping

from bench.model import Figure
from bench.processes import Actor, stay_on
from bench.scene import Scene
from bench.server import between
from bench.workloads.base import Sizes, Workload

FILL_SECONDS = 300.0
SERVE_SECONDS = 120.0
KIB = 1024
# A client is at rest when the next span has not much fewer commands than the one before.
STEADY, MOST_SPANS = 0.9, 8
THOUSAND, MILLION = 1_000, 1_000_000


def short(depth: int) -> str:
    """1 k, 10 k, 1 M."""
    return f"{depth // MILLION} M" if depth >= MILLION else f"{depth // THOUSAND} k"


def deep(scene: Scene, sizes: Sizes) -> Mapping[str, float]:
    """A submission, and a job's share of a batch of a hundred settled and claimed, with more and more jobs queued.

    Growth is the ratio to a second server with the fewest jobs, measured at the same time. Both servers share one
    processor, and the client has another: where the system chose, one server had the better place for minutes, which
    made more than depth does (measured at nearly equal depths: 0.88 to 1.60, and this way 0.97 to 1.03).
    """
    actor, figures, costs, whole = scene.actor("our_depths"), {}, {}, {}
    shallow = scene.second_server()
    actor.ask("beside", FILL_SECONDS, url=shallow.url, depth=sizes.depths[0])
    stay_on(actor.pid, 0)
    for server in (scene.server, shallow):
        stay_on(server.pid(), 1)
    for depth in sizes.depths:
        actor.ask("fill", FILL_SECONDS, depth=depth)
        before = scene.server.totals()
        costs = actor.ask("costs")
        figures.update({f"enqueue_us_{depth}": costs["enqueue"], f"settle_us_{depth}": costs["settle"]})
        whole = between(before, scene.server.totals(), costs["cpu"]).per(costs["jobs"])
    return {**figures, "enqueue_growth": costs["enqueue_growth"], "settle_growth": costs["settle_growth"], **whole}


def waiting(scene: Scene, sizes: Sizes) -> Mapping[str, float]:
    """Asyncio tasks of one process that wait for a hundred locks held by another client."""
    actor = scene.actor("our_waiters")
    actor.ask("hold")
    heartbeat = _at_rest(scene, sizes, actor)
    memory, before, cpu = actor.memory(), scene.server.totals(), actor.cpu()
    actor.ask("wait", count=sizes.waiters)
    asked = between(before, scene.server.totals(), actor.cpu() - cpu)
    grown = actor.memory() - memory
    idle = _at_rest(scene, sizes, actor)
    seconds = actor.ask("let_go", SERVE_SECONDS)
    return {
        "idle_commands": max(0.0, idle - heartbeat),
        "heartbeat_commands": heartbeat,
        "kib": grown / sizes.waiters / KIB,
        "served": sizes.waiters / seconds,
        **asked.per(sizes.waiters),
    }


def _at_rest(scene: Scene, sizes: Sizes, actor: Actor) -> float:
    """Commands per second when what follows the last calls of a client (it tells what it has learnt) is over.

    Counted over a long span: a beat is some twenty commands and there is one a second for each client, so that one beat
    more or less in a span of 5 s looks like 4 commands a second.
    """
    rate = _idle(scene, sizes.rest_seconds, actor)
    for _ in range(MOST_SPANS):
        before, rate = rate, _idle(scene, sizes.rest_seconds, actor)
        if rate > before * STEADY:
            break
    return _idle(scene, sizes.idle_seconds, actor)


def _idle(scene: Scene, seconds: float, actor: Actor) -> float:
    """Commands per second while nothing happens."""
    before = scene.server.totals()
    actor.ask("idle", seconds=seconds)
    return between(before, scene.server.totals()).commands / seconds


DEPTH = Workload(
    "depth",
    "depth: cost with the most jobs queued / with the fewest",
    "jobs",
    (
        Figure("enqueue_growth", "enqueue", ""),
        Figure("settle_growth", "claim and settle", ""),
        *(Figure(f"enqueue_us_{depth}", f"enqueue at {short(depth)}", "us") for depth in Sizes().depths),
        *(Figure(f"settle_us_{depth}", f"claim and settle at {short(depth)}", "us") for depth in Sizes().depths),
    ),
    deep,
    ours_only="its cost is compared with itself",
    once=True,
)
WAITERS = Workload(
    "waiters",
    "asyncio tasks waiting for locks in one process",
    "locks",
    (
        Figure("idle_commands", "idle commands beyond the heartbeat", "/s"),
        Figure("heartbeat_commands", "heartbeat of two clients", "/s"),
        Figure("kib", "memory per waiter", "KiB"),
        Figure("served", "waiters served when the locks are given back", "/s", "more"),
    ),
    waiting,
    ours_only="no peer lets one connection wait for many locks",
    once=True,
)
