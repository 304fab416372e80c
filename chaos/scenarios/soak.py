"""Mixed load for long, and every few seconds something goes wrong, chosen by chance."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil
import redis

from chaos import account
from chaos.checker import Problem, judge
from chaos.checker.losses import check_errors, check_fences
from chaos.faults.clock import WallClock
from chaos.faults.node import Node
from chaos.faults.power import Mains
from chaos.load import Load, acknowledged
from chaos.processes import Child
from chaos.roles import STEP
from chaos.scenario import Figure, Run, Scenario, Verdict
from coordinator import Coordinator, Settings
from coordinator.keys import key
from coordinator.wire import calls
from coordinator.wire.calls import Scope

HOUR = 3600.0
SETTINGS = {"session_ttl": 3.0, "operation_timeout": 2.0, "result_ttl": 100 * HOUR, "dead_ttl": 100 * HOUR}
# The first half of a run is not looked at for growth. It is not only that what is used is being loaded: the allocator
# settles with each kind of fault that is met for the first time. Measured with a fault every other second: 3.9 MB by
# the 150th, then 0.05 MB by the 290th, while the number of objects stayed the same.
WARM = 0.5
# glibc's allocator has arenas for threads, and an application has thirteen threads here: each fault, met by one or
# another of them, leaves a little more in its arena, for hours. Measured: with 475 faults 1.6 to 2.4 MB, and no end of
# it; with one arena, and what waits for the collector collected, 0.1 to 0.4 MB with 719. The objects stay the same.
ONE_ARENA = {"MALLOC_ARENA_MAX": "1"}
MOST_GROWTH = 1.0  # MB an hour


@dataclass(slots=True)
class _Soak:
    """What can go wrong, and how often it did. The first worker is spared kills, as are all applications: their memory
    is measured."""

    run: Run
    node: Node
    load: Load
    mains: Mains
    clock: WallClock
    steady: Child
    applications: tuple[Child, ...]
    count: dict[str, int] = field(default_factory=dict)
    memory: dict[int, list[tuple[float, float]]] = field(default_factory=dict)

    def strike(self) -> None:
        """One fault, chosen by chance."""
        faults: tuple[Callable[[], None], ...] = (
            self.server_killed,
            self.power_cut,
            self.server_paused,
            self.scripts_forgotten,
            self.connections_cut,
            self.worker_killed,
            self.worker_paused,
            self.clock_stepped,
        )
        chosen = self.run.random.choice(faults)
        name = chosen.__name__
        self.count[name] = self.count.get(name, 0) + 1
        self.load.recorder.note(name)
        chosen()

    def server_killed(self) -> None:
        self.node.kill()
        time.sleep(self.run.random.random())
        self.node.start()

    def power_cut(self) -> None:
        self.mains.cut(self.node)
        time.sleep(self.run.random.random())
        self.node.start()

    def server_paused(self) -> None:
        self.node.pause()
        time.sleep(1 + self.run.random.random())
        self.node.resume()

    def scripts_forgotten(self) -> None:
        self.node.ask("SCRIPT FLUSH")
        self.node.ask("FUNCTION FLUSH")

    def connections_cut(self) -> None:
        self.node.ask("CLIENT KILL", "TYPE", "normal", "SKIPME", "yes")

    def worker_killed(self) -> None:
        self.run.random.choice([one for one in self.load.workers() if one is not self.steady]).kill()
        self.load.worker()

    def worker_paused(self) -> None:
        child = self.run.random.choice(self.load.workers())
        child.stop()
        time.sleep(4 * self.run.random.random())
        child.go_on()

    def clock_stepped(self) -> None:
        self.clock.step(self.run.random.choice((-HOUR, -5.0, 5.0, HOUR)))

    def measure(self, at: float) -> None:
        """Note the memory of those that are spared."""
        for one in (self.steady, *self.applications):
            with contextlib.suppress(psutil.NoSuchProcess):
                size = psutil.Process(one.pid).memory_info().rss / 1e6
                self.memory.setdefault(one.pid, []).append((at, size))


def play(run: Run) -> Verdict:
    """Load and faults for some minutes, then drain and judge."""
    mains, clock = Mains(run.folder / "mains"), WallClock(run.folder / "clock")
    environment = {**mains.environment, **clock.environment}
    environment["LD_PRELOAD"] = f"{mains.environment['LD_PRELOAD']}:{clock.environment['LD_PRELOAD']}"
    lines = ("appendonly yes", "appendfsync always", "auto-aof-rewrite-min-size 16mb")
    with Node(run.folder / "redis", lines, environment=environment) as node, _load(run, node) as load:
        with _client(node, load) as co:
            lease = co.acquire("first")
            lease.release()
            job = co.submit(STEP, {"ms": 1}, resources=["first"])
            job.cancel()
        for what in ("acquire", "release"):
            load.recorder.note(what, lease.fence, resource="first", request=lease.ident)
        for what in ("submit", "cancel"):
            load.recorder.note(what, job=job.ident)
        # What workers tell of their handlers' gates stays, and is as much as there are handlers; so do the samples of
        # what is measured, capped in length.
        first = account.lasting(node.url, run.namespace) | {
            key(run.namespace, name) for name in ("GATES", "TOLD", "METRICS", "PULSE")
        }
        applications = (
            load.producer(rate=run.size["rate"]),
            load.producer(rate=run.size["rate"] / 4, resources=5),
            load.producer(rate=run.size["rate"] / 10, resources=20, delay=1.0),
            load.locker(ms=run.size["lock_ms"]),
        )
        soak = _Soak(run, node, load, mains, clock, load.worker(), applications)
        for _ in range(2):
            load.worker()
        _strike_on(soak)
        load.quiet()
        load.drain()
        findings = [Problem("incomplete", f"doctor: {one}") for one in load.doctor()]
        left = _left(run, node, load, first)
        ops = load.history()
    problems = (*judge(ops), *check_fences(ops), *check_errors(ops), *findings)
    least = run.size["minutes"] * 60 * run.size["rate"] / 10
    return Verdict(
        problems, (acknowledged(ops, least), *_figures(soak, left), Figure("operations in the history", len(ops)))
    )


def _load(run: Run, node: Node) -> Load:
    return Load(run, node.url, SETTINGS, environment=ONE_ARENA)


def _strike_on(soak: _Soak) -> None:
    run = soak.run
    began = time.monotonic()
    seconds = run.size["minutes"] * 60
    while (gone := time.monotonic() - began) < seconds:
        run.progress("soaking", gone, seconds)
        time.sleep(run.size["every"] * (0.5 + run.random.random()))
        soak.measure(gone)
        with contextlib.suppress(redis.RedisError):
            soak.strike()


def _client(node: Node, load: Load) -> Coordinator:
    return Coordinator.connect(node.url, settings=Settings.of(**load.settings))


def _left(run: Run, node: Node, load: Load, first: frozenset[str]) -> frozenset[str]:
    """The keys that stay and were not there at first, once the session of whoever was killed last has lapsed."""
    scope = Scope.of(run.namespace, Settings.of(**load.settings).terms())
    ends = time.monotonic() + SETTINGS["session_ttl"] + 5
    with _client(node, load) as co:
        while True:
            co._driver.store.call(calls.sweep(scope))
            left = account.lasting(node.url, run.namespace) ^ first
            if not left or time.monotonic() > ends:
                return left
            time.sleep(0.1)


def _figures(soak: _Soak, left: frozenset[str]) -> tuple[Figure, ...]:
    return (
        Figure("faults", sum(soak.count.values())),
        *(Figure(name.replace("_", " "), count) for name, count in sorted(soak.count.items())),
        Figure(f"keys that stay, and were not there at first {' '.join(sorted(left))}".rstrip(), len(left), most=0),
        *growth(
            soak.memory.get(soak.steady.pid, []),
            [soak.memory.get(one.pid, []) for one in soak.applications],
            MOST_GROWTH if soak.run.long else None,
        ),
    )


def growth(
    worker: list[tuple[float, float]], applications: list[list[tuple[float, float]]], most: float | None
) -> tuple[Figure, ...]:
    """What became of the memory of the worker and of the applications: when, in seconds, and how much, in MB. `most`:
    by how much each may grow in an hour."""
    return (
        Figure("a worker's memory, settling in the first half", _settled(worker), "MB"),
        Figure("growth of a worker's memory", _slope(worker), "MB/h", most=most),
        Figure("an application's memory, settling, the most of four", max(map(_settled, applications)), "MB"),
        Figure(
            "growth of an application's memory, the most of four", max(map(_slope, applications)), "MB/h", most=most
        ),
    )


def _settled(memory: list[tuple[float, float]]) -> float:
    """By how much it grew before it is looked at."""
    early = memory[: int(len(memory) * WARM) + 1]
    return early[-1][1] - early[0][1] if early else 0.0


def _slope(memory: list[tuple[float, float]]) -> float:
    """Least squares, in MB an hour, without the first part."""
    points = memory[int(len(memory) * WARM) :]
    if len(points) <= 1:
        return 0.0
    middle = sum(at for at, _ in points) / len(points)
    mean = sum(size for _, size in points) / len(points)
    spread = sum((at - middle) ** 2 for at, _ in points)
    return HOUR * sum((at - middle) * (size - mean) for at, size in points) / spread


# The judge holds the whole history in memory, at about a kilobyte for each operation: an hour at these rates is a
# million of them.
SCENARIOS = (
    Scenario(
        "soak",
        "Whatever goes wrong, in whatever order and for long: nothing is lost, nothing is left, nothing grows",
        "all checkers pass; key count returns to its start; RSS slope < 1 MB/h",
        {"minutes": 0.3, "every": 3, "rate": 50, "lock_ms": 2},
        {"minutes": 60, "every": 3, "rate": 20, "lock_ms": 200},
        play,
    ),
)
