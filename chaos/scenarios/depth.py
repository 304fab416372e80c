"""A namespace with very much in it: how long the server is busy with each script."""

from __future__ import annotations

import contextlib
import statistics
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import chain

from chaos import crowds, telling
from chaos.busy import Spent
from chaos.deep import Deep, phases
from chaos.faults.node import Node
from chaos.quantiles import rank
from chaos.scenario import Figure, Run, Scenario, Verdict
from chaos.scripts import NAMES
from coordinator import Coordinator, Settings
from coordinator.wire.calls import Scope

TARGET_MS = 5.0
CHUNK = 1000


def play(run: Run) -> Verdict:
    """Fill the namespace, then measure each script by itself, on the server."""
    limits = {"max_queue": 10_000_000, "max_line": 100_000}
    settings = Settings.of(namespace=run.namespace, session_ttl=600, sweep_interval=60, aging_after=None, **limits)
    figures: list[Figure] = []
    with ExitStack() as stack:
        node = stack.enter_context(Node(run.folder / "redis"))
        co = stack.enter_context(Coordinator.connect(node.url, settings=settings))
        deep = stack.enter_context(
            contextlib.closing(Deep(node, co, Scope.of(run.namespace, settings.terms()), run.count("held")))
        )
        _fill(run, deep)
        every = chain(phases(deep, run.random.randrange), telling.phases(deep), crowds.phases(deep))
        for at, (what, script, work) in enumerate(every):
            run.progress(f"{script}, {what}", at, 2 * len(NAMES))
            deep.watched, deep.times = script, []
            for _ in range(run.count("calls")):
                # Some work is several calls.
                if len(deep.times) < run.count("calls"):
                    work()
            figures += _judged(run, f"{script}, {what}", deep.times)
    missing = sorted(set(NAMES) - deep.called)
    return Verdict(
        figures=(
            Figure("queued", run.size["queued"]),
            Figure("held", run.size["held"]),
            Figure("batches that were not full", deep.short, most=2),
            Figure("outcomes that were refused", deep.refused, most=0),
            Figure(f"scripts never called {' '.join(missing)}".rstrip(), len(missing), most=0),
            *figures,
        )
    )


def _judged(run: Run, name: str, times: list[Spent]) -> tuple[Figure, ...]:
    # Of a hundred calls the slowest is whichever met another process on its processor: the median is judged.
    middle, high = (None, TARGET_MS) if run.long else (TARGET_MS, None)
    clock, processor = [one.clock for one in times], [one.processor for one in times]
    return (
        Figure(f"{name}: calls", len(times), least=0.9 * run.size["calls"]),
        Figure(f"{name}: p50", statistics.median(clock or [0.0]), "ms", most=middle),
        Figure(f"{name}: p99.9", rank(clock, 0.999), "ms", most=high),
        Figure(f"{name}: p99.9 of its processor", rank(processor, 0.999), "ms", most=high),
    )


def _fill(run: Run, deep: Deep) -> None:
    left, held = run.count("queued"), run.count("held")
    for done in range(0, left, CHUNK):
        run.progress("queueing", done, left)
        deep.submit(min(CHUNK, left - done))
    with ThreadPoolExecutor(4) as threads:
        for done, _ in enumerate(threads.map(lambda n: deep.co.acquire(f"held/{n}"), range(held))):
            run.progress("taking locks", done, held)


SCENARIOS = (
    Scenario(
        "depth",
        "However much is queued and held, the server is never busy for long with one script",
        "server-side p99.9 of every script <= 5 ms",
        {"queued": 20_000, "held": 1000, "calls": 50},
        {"queued": 1_000_000, "held": 100_000, "calls": 2000},
        play,
    ),
)
