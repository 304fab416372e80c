"""The server's wall clock is set back and forward under load."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

from chaos.checker import Problem, judge
from chaos.checker.losses import check_errors, check_fences
from chaos.faults.clock import WallClock
from chaos.faults.node import Node
from chaos.history import Op
from chaos.load import Load, acknowledged
from chaos.scenario import Figure, Run, Scenario, Verdict
from coordinator import Coordinator, Lease, Settings
from coordinator.errors import LeaseLost

HOUR = 3600.0
LEASE = 1.0
DELAY = 0.5
# Redis forgets what has a time to live by its wall clock: an hour must not be what the records have left.
KEPT = {"result_ttl": 100 * HOUR, "dead_ttl": 100 * HOUR}


def play(run: Run) -> Verdict:
    """Step by an hour and by seconds, both ways, and measure what a lease of a second comes to after each step back."""
    clock = WallClock(run.folder / "clock")
    errors: list[float] = []
    fences: list[int] = []
    with Node(run.folder / "redis", environment=clock.environment) as node, Load(run, node.url, KEPT) as load:
        load.producer(rate=run.size["rate"], delay=DELAY, resources=50)
        load.producer(rate=run.size["rate"] / 4, resources=5)
        load.locker()
        for _ in range(2):
            load.worker()
        with _client(run, node) as first, _client(run, node) as second:
            for number in range(run.count("steps")):
                run.progress("steps", number, run.size["steps"])
                size = run.random.choice((HOUR, HOUR, 5.0))
                for seconds in (size, -size):
                    with ExitStack() as held:
                        one = _acquire(load, first, held, ttl=LEASE)
                        began = time.monotonic()
                        clock.step(seconds)
                        other = _acquire(load, second, held)
                        found = abs(time.monotonic() - began - LEASE)
                    load.recorder.note("step", seconds=seconds, off_by=found)
                    fences += [one.fence, other.fence]
                    if seconds < 0:
                        errors.append(found)
        load.quiet()
        load.drain()
        findings = [Problem("incomplete", f"doctor: {one}") for one in load.doctor()]
        ops = load.history()
    growing = all(before < after for before, after in pairwise(fences))
    return Verdict(
        (*judge(ops), *check_fences(ops), *check_errors(ops), *findings),
        (
            Figure("steps", 2 * run.count("steps")),
            acknowledged(ops, run.size["steps"] * run.size["rate"] / 8),
            Figure("lease error after a step back, longest", max(errors), "s", most=1.0),
            Figure("fences that did not grow", 0 if growing else 1, most=0),
            Figure("delayed jobs run more than once without being taken back", _fired_twice(ops), most=0),
        ),
    )


def _client(run: Run, node: Node) -> Coordinator:
    settings = Settings.of(namespace=run.namespace, aging_after=None, max_events=10_000_000, **KEPT)
    return Coordinator.connect(node.url, settings=settings)


def _acquire(load: Load, co: Coordinator, held: ExitStack, **options: Any) -> Lease:
    with load.recorder.doing("acquire", resource="stepped") as asked:
        lease = co.acquire("stepped", wait=60, **options)
        asked.fence = lease.fence
        asked.args["request"] = lease.ident
    held.callback(_release, load, lease)
    return lease


def _release(load: Load, lease: Lease) -> None:
    with contextlib.suppress(LeaseLost), load.recorder.doing("release", resource="stepped", request=lease.ident) as end:
        end.fence = lease.fence
        lease.release()


def _fired_twice(ops: Sequence[Op]) -> int:
    """Jobs that came to an end under two fences; one that is only started again was taken back from its worker."""
    ended = [one for one in ops if one.process == "server" and one.op == "counted" and one.args["name"] == "succeed"]
    jobs = sum(one.process == "server" and one.op == "job" and one.arg("state") == "succeeded" for one in ops)
    return max(0, sum(int(one.args["count"]) for one in ended) - jobs)


SCENARIOS = (
    Scenario(
        "clock-steps",
        "The clock is set back and forward by up to an hour: leases keep their length after a step back, fences grow",
        "lease error <= 1 s after a step back, fences grow, delayed jobs fire once",
        {"steps": 3, "rate": 100},
        {"steps": 20, "rate": 200},
        play,
    ),
)
