"""The worker's commands: `coordinator worker ...`, also `python -m workers ...`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from coordinator.errors import (
    ConfigError,
    CoordinatorError,
    InvalidInput,
    StoreUnavailable,
    UnknownOutcome,
    UnsafeServer,
)
from coordinator.model.names import one_of
from coordinator.settings import Settings
from workers import logs, loop
from workers.registry import load
from workers.served import Served
from workers.shards import Shards
from workers.supervisor import Supervisor, watch_supervisor
from workers.worker import Worker, WorkerOptions

app = typer.Typer(
    name="worker",
    help="Run the handlers of an application: take jobs from queues and work them off.",
    no_args_is_help=True,
    add_completion=False,
)

# By which a supervisor tells its children where Redis is. Stronger than their settings, as its own option is.
PASSED_URL = "COORDINATOR_WORKER_URL"

LEVELS = ("debug", "info", "warning", "error")

_HELP = """Work off jobs until told to stop.

An example. In `app/tasks.py`:

\b
    from workers import Registry
    jobs = Registry()

\b
    @jobs.handler("deploy.apply")
    async def apply(ctx, payload): ...

Then:

\b
    coordinator worker run app.tasks:jobs --queues default,bulk --processes 2
    coordinator worker run app.tasks:jobs --queues default=3,bulk=1
    coordinator worker run app.tasks:jobs --namespace orders:0 --namespace orders:1=2

SIGTERM or Ctrl-C: claims nothing more, hands back what has not begun, and lets running handlers finish for `--grace` \
seconds; a second signal does not wait for them. Jobs that are handed back lose no attempt. The exit code is 0.
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for on the command line."""

    target: str
    url: str | None
    namespaces: tuple[str, ...]
    queues: tuple[str, ...] | None
    concurrency: int
    grace: float
    level: str
    config: Path | None
    insecure: bool = False

    def settings(self) -> Settings:
        """The settings of the worker. Raises ConfigError, InvalidInput."""
        options = {"url": self.url, "allow_insecure_tls": self.insecure or None}
        given = {name: value for name, value in options.items() if value is not None}
        found = Settings.of(**given) if self.config is None else Settings.from_toml(self.config, **given)
        return Settings.of_client(found, next(iter(self.weights()), None))

    def weights(self) -> dict[str, int]:
        """The namespaces that were named, with their weights. Raises InvalidInput."""
        try:
            found = Served.of(self.namespaces).weights
        except InvalidInput as error:
            raise InvalidInput("namespace", error.value, error.problem) from None
        return {name: weight or 1 for name, weight in found.items()}


@app.callback()
def main() -> None:
    """Run the handlers of an application: take jobs from queues and work them off."""


@app.command(
    help=_HELP, epilog="Other settings come from --config or from the environment, such as COORDINATOR_SESSION_TTL."
)
def run(  # noqa: PLR0913, PLR0917  (typer: every option is a parameter)
    target: Annotated[
        str, typer.Argument(metavar="MODULE:REGISTRY", help="Where the handlers are, as app.tasks:jobs.")
    ],
    url: Annotated[
        str | None, typer.Option(help="Where Redis is. Default: $COORDINATOR_URL, else 127.0.0.1:6379.")
    ] = None,
    namespace: Annotated[
        list[str] | None,
        typer.Option(
            "--namespace",
            "-n",
            help="Which coordinator on that Redis. Given several times, they share this worker, also by weights: "
            "-n orders:0 -n orders:1=2.",
        ),
    ] = None,
    queues: Annotated[
        str | None,
        typer.Option(
            help="Queues, with commas between. Default: those of the handlers. With weights they share this worker: "
            "default=3,bulk=1."
        ),
    ] = None,
    processes: Annotated[int, typer.Option(min=1, max=1024, help="Worker processes.")] = 1,
    concurrency: Annotated[int, typer.Option(min=1, max=10_000, help="Jobs at once in each process.")] = 64,
    grace: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long running handlers may take when stopping.")
    ] = 25.0,
    config: Annotated[Path | None, typer.Option(help="A TOML file with settings.")] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Allow a URL that has certificates not checked.")
    ] = False,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
    watch_pipe: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Work off jobs until told to stop."""
    names = None if queues is None else tuple(name.strip() for name in queues.split(",") if name.strip())
    url = url or os.environ.get(PASSED_URL)
    plan = Plan(target, url, tuple(namespace or ()), names, concurrency, grace, log_level, config, insecure)
    raise typer.Exit(_guarded(plan, processes, watch_pipe))


def _guarded(plan: Plan, processes: int, watch_pipe: int | None) -> int:
    """Do it, and say an expected error in one line. Returns the exit code, as sysexits has it."""
    try:
        one_of(plan.level, "log-level", LEVELS)
        if plan.queues == ():
            raise InvalidInput("queues", "", "must name at least one queue")
        logs.configure(logs.suitable(), plan.level)
        if processes > 1:
            return _supervise(plan, processes)
        loop.run(_work(plan, watch_pipe))
    except (InvalidInput, ConfigError, UnsafeServer) as error:
        typer.echo(f"coordinator worker: {error}", err=True)
        return os.EX_USAGE if isinstance(error, InvalidInput) else os.EX_CONFIG
    except (StoreUnavailable, UnknownOutcome) as error:
        typer.echo(f"coordinator worker: {error}", err=True)
        return os.EX_UNAVAILABLE
    except CoordinatorError as error:
        typer.echo(f"coordinator worker: {error}", err=True)
        return os.EX_SOFTWARE
    return os.EX_OK


async def _work(plan: Plan, watch_pipe: int | None) -> None:
    settings, namespaces = plan.settings(), plan.weights()
    options: dict[str, Any] = {"queues": plan.queues or (), "concurrency": plan.concurrency, "grace": plan.grace}
    worker: Worker | Shards
    if len(namespaces) > 1:
        worker = Shards(load(plan.target), namespaces, settings=settings, **options)
    else:
        worker = Worker(load(plan.target), settings=settings, **options)
    here = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        here.add_signal_handler(number, worker.stop_soon)
    if watch_pipe is not None:
        watch_supervisor(watch_pipe, lambda: _hurry(here, worker))
    await worker.run()


def _hurry(here: asyncio.AbstractEventLoop, worker: Worker | Shards) -> None:
    for _ in range(2):
        here.call_soon_threadsafe(worker.stop_soon)


def _supervise(plan: Plan, processes: int) -> int:
    # What can be wrong in the plan is said once, here, and not by every child.
    WorkerOptions(queues=plan.queues or (), concurrency=plan.concurrency, grace=plan.grace)
    if plan.settings().url == "embedded://":
        raise ConfigError(["embedded:// gives each process a server of its own; embedded:///DIRECTORY is shared"])
    words = ["run", plan.target, "--processes", "1", "--watch-pipe", "{pipe}", "--log-level", plan.level]
    words += ["--concurrency", str(plan.concurrency), "--grace", str(plan.grace)]
    for one in plan.namespaces:
        words += ["--namespace", one]
    if plan.config is not None:
        words += ["--config", str(plan.config)]
    if plan.insecure:
        words.append("--insecure")
    if plan.queues:
        words += ["--queues", ",".join(plan.queues)]
    environment = dict(os.environ)
    if plan.url is not None:
        # Not among the words: a URL may hold a password, and everybody can see the command line of a process.
        environment[PASSED_URL] = plan.url
    return Supervisor([sys.executable, "-m", "workers", *words], processes, environment).run()
