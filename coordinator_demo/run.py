"""A whole run: the server, the workers and the instances as processes of their own, watched to the end and judged.

The parent takes no part in what is replayed: it starts, looks and, when all is over, puts the accounts together.
"""

from __future__ import annotations

import contextlib
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from coordinator import Coordinator
from coordinator.drivers.embedded import EmbeddedServer
from coordinator.errors import ConfigError
from coordinator_demo import account, checker, figures, history, watch
from coordinator_demo.facts import Wanted
from coordinator_demo.processes import ChildError, Children
from coordinator_demo.report import Judged
from coordinator_demo.trace import Trace

QUEUE = "default"
CONCURRENCY = 64
# One level of priority is worth a day of waiting, on the scale of the trace.
AGING_TRACE_SECONDS = 86400.0
EVENTS_PER_PULL = 64
SPARE_SECONDS = 3600.0
READY_SECONDS = 30.0
HEAD_START = 2.0
# How much longer than planned a replay may take before it is called stuck.
PATIENCE = (5.0, 60.0)
LIVE_SECONDS = 0.25
PLAIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is asked to do."""

    trace_path: Path
    seconds: float
    namespace: str
    url: str | None = None
    keep: bool = False
    instances: int = 0
    workers: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run keeps its things. `again` is how the kept server is reached later."""

    folder: Path
    url: str
    again: str


def aging_after(trace: Trace, seconds: float) -> float:
    """How long a request waits for one level of priority, rounded as the setting is written."""
    return max(1e-6, round(AGING_TRACE_SECONDS * trace.factor(seconds), 6))


def settings_of(trace: Trace, seconds: float) -> dict[str, str]:
    """The settings that all processes of a run share, as environment variables."""
    return {
        "COORDINATOR_AGING_AFTER": f"{aging_after(trace, seconds):.6f}",
        "COORDINATOR_MAX_EVENTS": str(max(10_000, EVENTS_PER_PULL * len(trace.pulls))),
        # What the checker reads at the end must still be there.
        "COORDINATOR_RESULT_TTL": f"{seconds * PATIENCE[0] + SPARE_SECONDS:.0f}",
    }


def run(options: Options, trace: Trace, console: Console) -> Judged:
    """Carry out a run. Raises ChildError, CoordinatorError."""
    shared = settings_of(trace, options.seconds)
    with place_for(options.url, options.keep) as place:
        anchor = repr(history.clock() - time.monotonic())
        environment = {**shared, history.FOLDER: str(place.folder), history.ANCHOR: anchor}
        with account.raw_client(place.url) as client:
            if not account.is_empty(client, options.namespace):
                raise ConfigError([f"namespace {options.namespace!r} is in use; the demonstration needs an empty one"])
            try:
                with Children(place.folder, environment) as children:
                    _replay(options, trace, place, children, console)
                judged = judge(client, options, trace, place.folder)
            finally:
                if not options.keep:
                    account.remove(client, options.namespace)
        if options.keep:
            kept = f"kept: history in {place.folder}, namespace {options.namespace!r} on {place.again}"
            console.print(kept, soft_wrap=True, highlight=False)
        return judged


def judge(client: Any, options: Options, trace: Trace, folder: Path) -> Judged:
    """Put a finished run's accounts together and check them."""
    lines = history.read(folder)
    said = account.read_account(client, options.namespace)
    aging_us = round(aging_after(trace, options.seconds) * 1_000_000)
    wanted = [Wanted(one.key, frozenset(one.resources), int(one.priority)) for one in trace.pulls]
    verdict = checker.check(wanted, said.facts, figures.claims(lines), aging_us)
    found = figures.figures(trace, lines, said)
    return Judged(found, verdict, said.missing, trace.factor(options.seconds))


def _replay(options: Options, trace: Trace, place: Place, children: Children, console: Console) -> None:
    common = ["--url", place.url, "--namespace", options.namespace]
    for number in range(options.workers):
        arguments = [
            "run",
            "coordinator_demo.handlers:jobs",
            *common,
            "--queues",
            QUEUE,
            "--concurrency",
            str(CONCURRENCY),
        ]
        children.start(f"worker-{number}", ["-m", "workers", *arguments])
    with Coordinator.connect(place.url, options.namespace) as co:
        await_workers(co, options.workers, children)
        start = history.clock() + HEAD_START
        for index in range(options.instances):
            arguments = ["--index", str(index), "--of", str(options.instances), "--start", repr(start)]
            arguments += ["--trace", str(options.trace_path.absolute()), "--seconds", str(options.seconds)]
            arguments += ["--history", str(place.folder)]
            children.start(f"instance-{index}", ["-m", "coordinator_demo", "instance", *common, *arguments])
        _watch(co, options, len(trace.pulls), start, children, console)


def await_workers(co: Coordinator, wanted: int, children: Children) -> None:
    """Wait until so many workers have a session. Raises ChildError."""
    deadline, started = time.monotonic() + READY_SECONDS, len(children.unfinished("worker-"))
    while sum(bool(one.fields.get("queues")) for one in co.survey().sessions) < wanted:
        if len(children.unfinished("worker-")) < started:
            raise ChildError("a worker ended before it had any work")
        if time.monotonic() > deadline:
            raise ChildError(f"the workers were not ready after {READY_SECONDS:g} s:\n{children.tail('worker-0')}")
        time.sleep(0.05)


def _watch(co: Coordinator, options: Options, pulls: int, start: float, children: Children, console: Console) -> None:
    ends = start + options.seconds * PATIENCE[0] + PATIENCE[1]
    live = console.is_terminal
    with _screen(options, pulls, live, console) as show:
        while children.unfinished("instance-"):
            children.unfinished("worker-")
            now = history.clock()
            if now > ends:
                raise ChildError(f"the replay is not over after {now - start:.0f} s")
            show(watch.look(co, max(0.0, now - start), live))
            time.sleep(LIVE_SECONDS)
        show(watch.look(co, history.clock() - start, live))


@contextlib.contextmanager
def _screen(options: Options, pulls: int, live: bool, console: Console) -> Iterator[Callable[[watch.Glance], None]]:
    if live:
        view = watch.LiveView(options.seconds, pulls, "Coordinator: Terraform pull requests, replayed")
        with Live(console=console, auto_refresh=False, transient=True) as screen:
            yield lambda glance: screen.update(view.show(glance), refresh=True)
        return
    due = 0.0

    def show(glance: watch.Glance) -> None:
        nonlocal due
        over = glance.over == pulls
        if glance.elapsed >= due or (over and due < math.inf):
            due = math.inf if over else glance.elapsed + PLAIN_SECONDS
            console.print(watch.plain(glance, options.seconds, pulls), soft_wrap=True, highlight=False)

    yield show


@contextlib.contextmanager
def place_for(url: str | None, keep: bool) -> Iterator[Place]:
    """A folder and a server for one run: the one named, or a private one. What is kept outlives the run."""
    with contextlib.ExitStack() as stack:
        if keep:
            folder = Path(tempfile.mkdtemp(prefix="coordinator-demo-"))
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="coordinator-demo-")))
        if url is not None and not url.startswith("embedded:"):
            yield Place(folder, url, url)
            return
        home = (url or "embedded://").removeprefix("embedded://")
        kept = Path(home) if home else folder / "redis" if keep else None
        server = stack.enter_context(EmbeddedServer(kept))
        yield Place(folder, server.url, f"embedded://{kept}" if kept else server.url)
