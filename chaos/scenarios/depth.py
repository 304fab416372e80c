"""A namespace with very much in it: how long the server is busy with each script."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from chaos.faults.node import Node
from chaos.scenario import Figure, Run, Scenario, Verdict
from coordinator import Coordinator, Settings, Submission
from coordinator.drivers.ids import new_id
from coordinator.ops.submission import to_ask
from coordinator.wire import calls
from coordinator.wire.calls import Claim, Report, Scope
from coordinator.wire.step import Call

LINES = ("latency-tracking-info-percentiles 50 99 99.9",)
TARGET_MS = 5.0
BATCH = 100
HOLD_MS = 86_400_000
PAYLOAD = {"text": "x" * 90}


@dataclass(slots=True)
class _Deep:
    """A client of the namespace, and what its calls need."""

    co: Coordinator
    scope: Scope
    claims: int = 0
    batch: list[tuple[str, str]] = field(default_factory=list)

    @property
    def session(self) -> str:
        return str(self.co._driver.keeper.ensure())

    def call(self, call: Call) -> Any:
        return self.co._driver.store.call(call)

    def submit(self, jobs: int) -> Call:
        asks = [to_ask(new_id(), Submission("job", PAYLOAD), 10_000) for _ in range(jobs)]
        return calls.submit(self.scope, 10_000, asks)

    def claim(self) -> None:
        self.claims += 1
        raw = self.call(calls.claim(self.scope, self.session, self._ask()))
        self.batch = [(job[0].decode(), job[1].decode()) for job in raw[1:]]

    def settle(self) -> None:
        self.claims += 1
        reports = [Report(ident, fence, "succeeded", 0, b"\xc0") for ident, fence in self.batch]
        raw = self.call(calls.settle(self.scope, self.session, self._ask(), reports))
        self.batch = [(job[0].decode(), job[1].decode()) for job in raw[2]]

    def _ask(self) -> Claim:
        return Claim(self.claims, BATCH, HOLD_MS, ("default",))


def play(run: Run) -> Verdict:
    """Fill the namespace, then measure each script by itself, on the server."""
    settings = Settings.of(
        namespace=run.namespace, session_ttl=600, sweep_interval=1, max_queue=10_000_000, aging_after=None
    )
    figures: list[Figure] = []
    with Node(run.folder / "redis", LINES) as node, Coordinator.connect(node.url, settings=settings) as co:
        deep = _Deep(co, Scope.of(run.namespace, settings.terms()))
        _fill(run, deep)
        phases = dict(_phases(run, deep))
        for at, (name, work) in enumerate(phases.items()):
            run.progress(name, at, len(phases))
            middle, high = _measure(node, run.count("calls"), work)
            # Of a hundred calls the slowest is whichever met another process on its processor: the median is judged.
            limits = (None, TARGET_MS) if run.long else (TARGET_MS, None)
            for rank, value, most in zip(("p50", "p99.9"), (middle, high), limits, strict=True):
                figures.append(Figure(f"{name}: {rank}", value, "ms", most=most))
    return Verdict(figures=(Figure("queued", run.size["queued"]), Figure("held", run.size["held"]), *figures))


def _fill(run: Run, deep: _Deep) -> None:
    left, held = run.count("queued"), run.count("held")
    for done in range(0, left, 1000):
        run.progress("queueing", done, left)
        deep.call(deep.submit(min(1000, left - done)))
    with ThreadPoolExecutor(4) as threads:
        for done, _ in enumerate(threads.map(lambda n: deep.co.acquire(f"held/{n}"), range(held))):
            run.progress("taking locks", done, held)


def _measure(node: Node, count: int, work: Callable[[], object]) -> tuple[float, float]:
    """The median and the 99.9th percentile of the server's time for a call, in milliseconds."""
    node.ask("CONFIG RESETSTAT")
    for _ in range(count):
        work()
    found: dict[str, Any] = node.ask("INFO", "latencystats")
    busy = [values for name, values in found.items() if name.endswith(("_fcall", "_evalsha", "_fcall_ro"))]
    middle, high = (max(float(values[rank]) for values in busy) / 1000 for rank in ("p50", "p99.9"))
    return middle, high


def _phases(run: Run, deep: _Deep) -> Iterator[tuple[str, Callable[[], object]]]:
    """The scripts, each with its arguments as the product sends them; the order matters to some."""
    co, scope, call = deep.co, deep.scope, deep.call
    pick = run.random.randrange
    held = run.count("held")
    yield "submit", lambda: call(deep.submit(1))
    yield f"submit, {BATCH} jobs", lambda: call(deep.submit(BATCH))
    yield f"claim, {BATCH} jobs", deep.claim
    yield f"settle and claim, {BATCH} jobs", deep.settle
    yield "beat", lambda: call(calls.beat(scope, deep.session, 1000))
    yield "sweep", lambda: call(calls.sweep(scope))
    yield "request and release", lambda: co.acquire(f"free/{pick(10**6)}").release()
    yield "request in line and cancel", lambda: co.request(f"held/{pick(held)}").cancel()
    yield "explain, watch", lambda: co.get(deep.batch[0][0]).progress()
    yield "line", lambda: co.line(f"held/{pick(held)}")
    yield "survey", co.survey
    yield "reprioritise", lambda: co.reprioritise(co.submit("job", queue="other").ident, "high")
    yield "define", lambda: co.define(f"held/{pick(held)}", capacity=1 + pick(3))
    yield "reconcile", lambda: call(calls.reconcile(scope, deep.session, (), [("nothing", "1")]))
    yield "open and close a session", lambda: _session(deep)


def _session(deep: _Deep) -> None:
    session = new_id()
    deep.call(calls.open_session(deep.scope, session, {"host": "h", "queues": "default"}))
    deep.call(calls.close_session(deep.scope, session))


SCENARIOS = (
    Scenario(
        "depth",
        "However much is queued and held, the server is never busy for long with one script",
        "server-side p99.9 of every script <= 5 ms",
        {"queued": 20_000, "held": 1000, "calls": 100},
        {"queued": 1_000_000, "held": 100_000, "calls": 2000},
        play,
    ),
)
