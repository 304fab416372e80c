"""A whole storm: a private server, the workers and the applications as processes of their own, watched and judged.

The parent stages the dependency and looks on; it hands in nothing and runs nothing.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.live import Live

from coordinator import Coordinator, Settings
from coordinator.errors import ConfigError
from coordinator_demo import account, history
from coordinator_demo.processes import ChildError, Children
from coordinator_demo.run import READY_SECONDS, Place, await_workers, place_for
from coordinator_demo.storm import curtain, record, scenes, watch
from coordinator_demo.storm.dependency import PORT, Dependency
from coordinator_demo.storm.plan import APPS, BATCH, BATCH_SLOTS, FLOODED, MAIN, MAX_QUEUE, SLOTS, Plan
from coordinator_demo.storm.record import Record, Timeout
from coordinator_demo.storm.scenes import Scene

TARGET = "coordinator_demo.storm.handlers:jobs"
# Two processes for what is steady, and two for the batch, so that its stuck job stands in nobody else's way.
POOLS = (("worker-main", f"{MAIN},{FLOODED}", SLOTS), ("worker-batch", BATCH, BATCH_SLOTS))
PROCESSES = 2
MAX_EVENTS = 200_000
HEAD_START = 0.2
LOOK_SECONDS, PLAIN_SECONDS = 0.2, 5.0
# How long after the last was handed in everything has to be over.
PATIENCE = 25.0


@dataclass(frozen=True, slots=True)
class Options:
    """What a storm is asked to be: how long the dependency fails, and where."""

    seconds: float
    namespace: str
    url: str | None = None
    keep: bool = False


@dataclass(slots=True)
class Stage:
    """What a run of it is made of while it goes on."""

    options: Options
    place: Place
    children: Children
    dependency: Dependency
    timeouts: list[Timeout] = field(default_factory=list)


def run(options: Options, console: Console) -> list[Scene]:
    """Have it rage, and judge it. Progress goes to `console`. Raises ChildError, CoordinatorError."""
    with place_for(options.url, options.keep) as place, account.raw_client(place.url) as client:
        if not account.is_empty(client, options.namespace):
            raise ConfigError([f"namespace {options.namespace!r} is in use; the storm needs an empty one"])
        try:
            judged = scenes.judge(_rage(options, place, client, console))
        finally:
            if not options.keep:
                account.remove(client, options.namespace)
        if options.keep:
            kept = f"kept: history in {place.folder}, namespace {options.namespace!r} on {place.again}"
            console.print(kept, soft_wrap=True, highlight=False)
        return judged


def _rage(options: Options, place: Place, client: Any, console: Console) -> Record:
    plan = Plan(0.0, options.seconds)
    with Dependency() as dependency:
        environment = {
            **_environment(plan),
            history.FOLDER: str(place.folder),
            history.ANCHOR: repr(history.clock() - time.monotonic()),
            PORT: str(dependency.port),
        }
        with Children(place.folder, environment) as children:
            stage = Stage(options, place, children, dependency)
            plan = _play(stage, console)
        # The workers have ended, and their last samples are in.
        lines, namespace = history.read(place.folder), options.namespace
        return Record(
            plan,
            record.jobs(client, namespace, lines),
            account.counters(client, namespace),
            list(account.events(client, namespace)),
            record.measured(client, namespace, history.clock()),
            dependency.book,
            lines,
            stage.timeouts,
        )


def _environment(plan: Plan) -> dict[str, str]:
    """The settings that all processes share."""
    return {
        "COORDINATOR_BREAKER__OPEN_FOR": f"{plan.open_for:.3f}",
        "COORDINATOR_SWEEP_INTERVAL": f"{plan.sweep:.3f}",
        "COORDINATOR_MAX_QUEUE": str(MAX_QUEUE),
        "COORDINATOR_MAX_EVENTS": str(MAX_EVENTS),
    }


def _play(stage: Stage, console: Console) -> Plan:
    options, children = stage.options, stage.children
    common = ["--url", stage.place.url, "--namespace", options.namespace]
    for name, queues, slots in POOLS:
        more = ["--queues", queues, "--processes", str(PROCESSES), "--concurrency", str(slots)]
        children.start(name, ["-m", "workers", "run", TARGET, *common, *more])
    for index in range(APPS):
        more = ["--index", str(index), "--seconds", str(options.seconds)]
        children.start(f"app-{index}", ["-m", "coordinator_demo", "storm-app", *common, *more])
    with Coordinator.connect(stage.place.url, options.namespace, Settings.of(max_queue=MAX_QUEUE)) as co:
        await_workers(co, PROCESSES * len(POOLS), children)
        _await_apps(stage)
        plan = stage.dependency.plan = Plan(history.clock() + HEAD_START, options.seconds)
        curtain.rise(stage.place.folder, plan.start)
        _watch(co, stage, plan, console)
    return plan


def _await_apps(stage: Stage) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not curtain.all_ready(stage.place.folder, APPS):
        stage.children.unfinished("app-")
        if time.monotonic() > deadline:
            raise ChildError(f"the applications were not ready after {READY_SECONDS:g} s")
        time.sleep(curtain.PAUSE)


def _watch(co: Coordinator, stage: Stage, plan: Plan, console: Console) -> None:
    with _screen(plan, console) as show:
        while True:
            stage.children.unfinished("worker-")
            handing_in = bool(stage.children.unfinished("app-"))
            glance = watch.look(co, history.clock(), stage.dependency.count("digest"))
            if glance.timeout is not None:
                stage.timeouts.append(Timeout(glance.at, glance.timeout, glance.moves))
            show(glance)
            if not handing_in and not glance.left:
                return
            if glance.at > plan.end + PATIENCE:
                raise ChildError(f"{glance.left} jobs are not over {PATIENCE:g} s after the last was handed in")
            time.sleep(LOOK_SECONDS)


@contextlib.contextmanager
def _screen(plan: Plan, console: Console) -> Iterator[Callable[[watch.Glance], None]]:
    if console.is_terminal:
        with Live(console=console, auto_refresh=False, transient=True) as screen:
            yield lambda glance: screen.update(watch.view(plan, glance), refresh=True)
        return
    due = plan.start

    def show(glance: watch.Glance) -> None:
        nonlocal due
        if glance.at >= due:
            due = glance.at + PLAIN_SECONDS
            console.print(watch.plain(plan, glance), soft_wrap=True, highlight=False)

    yield show
