"""The command line of the demonstration.

`coordinator demo` does everything by itself. `python -m coordinator_demo instance` is one application instance and
`python -m coordinator_demo check` the judging alone: for when other machinery, such as compose, starts the processes.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from coordinator import AsyncCoordinator, Coordinator, CoordinatorError
from coordinator.errors import ConfigError, StoreUnavailable
from coordinator_demo import account, history, report
from coordinator_demo.instance import Log, Share, run_async, run_threads
from coordinator_demo.processes import ChildError
from coordinator_demo.report import Judged
from coordinator_demo.run import Options, judge, run
from coordinator_demo.storm import curtain
from coordinator_demo.storm import report as storm_report
from coordinator_demo.storm import run as storm
from coordinator_demo.storm.app import App
from coordinator_demo.storm.plan import APPS, Plan
from coordinator_demo.trace import DEFAULT_TRACE, Trace, TraceError, load

DEFAULT_SECONDS, STORM_SECONDS = 40.0, 20.0
# Options that say what is replayed, and by how many.
NOT_IN_STORM = {"trace", "instances", "workers"}
# Wide enough for the tables where there is no terminal that says how wide it is.
PLAIN_WIDTH = 110
# The exit codes of sysexits.h.
DATA_ERROR, NO_INPUT, UNAVAILABLE, SOFTWARE, CONFIG = 65, 66, 69, 70, 78

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

TraceFile = Annotated[
    Path,
    typer.Option(
        "--trace", show_default="the one that is shipped", help="A CSV file of the shape of the trace that is shipped."
    ),
]
Seconds = Annotated[float, typer.Option(min=0.5, max=86400, help="How long the whole trace should take here.")]
Url = Annotated[str, typer.Option(help="The Redis that all processes of the run share.")]
Namespace = Annotated[str, typer.Option(help="The namespace on that Redis.")]
Folder = Annotated[Path, typer.Option("--history", envvar=history.FOLDER, help="The folder of the histories.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the report as JSON, and progress on stderr.")]
HERE = Path("history")


@app.callback(invoke_without_command=True)
def demo(  # noqa: PLR0913, PLR0917  (the options of a command are its parameters)
    context: typer.Context,
    trace: TraceFile = DEFAULT_TRACE,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0.5,
            max=86400,
            metavar="SECONDS",
            show_default="40; 20 for the storm",
            help="How long the whole trace should take here; of a storm, how long the dependency fails.",
        ),
    ] = None,
    url: Annotated[str | None, typer.Option(help="A Redis to use instead of a private one.")] = None,
    namespace: Annotated[str, typer.Option(help="An empty namespace; one of its own unless given.")] = "",
    as_json: AsJson = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the history and the namespace, and say where.")] = False,
    instances: Annotated[int, typer.Option(min=1, max=64, help="Application instances.")] = 3,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes.")] = 2,
    in_storm: Annotated[
        bool, typer.Option("--storm", help="Have a fleet go through a storm instead, and judge what became of it.")
    ] = False,
) -> None:
    """Replay real Terraform pull requests on several processes, and check that every promise was kept.

    With `--storm`, instead: a dependency fails, another becomes slow, a queue is flooded, a job keeps its worker busy,
    and a hundred callers ask for the same. Each claim is judged by what was recorded; in a pipe the verdict is JSON.
    """
    if context.invoked_subcommand is not None:
        _refuse(context, set(context.params), f"with {context.invoked_subcommand}, which has options of its own")
        return
    # A signal that ends this process ends its children too, in order: they are in sessions of their own.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    named = namespace or f"demo-{secrets.token_hex(3)}"
    if in_storm:
        _refuse(context, NOT_IN_STORM, "with --storm, whose processes and work are always the same")
        _weather(storm.Options(seconds or STORM_SECONDS, named, url, keep), as_json)
        return
    options = Options(trace, seconds or DEFAULT_SECONDS, named, url, keep, instances, workers)
    _show(run(options, load(trace), _console(as_json)), as_json)


@app.command()
def instance(  # noqa: PLR0913, PLR0917  (as above)
    index: Annotated[int, typer.Option(min=0, help="Which instance this is, from 0.")],
    of: Annotated[int, typer.Option(min=1, help="How many instances there are.")],
    url: Url,
    namespace: Namespace = "demo",
    trace: TraceFile = DEFAULT_TRACE,
    seconds: Seconds = DEFAULT_SECONDS,
    start: Annotated[float | None, typer.Option(help="Epoch seconds when the trace begins; now if not given.")] = None,
    folder: Folder = HERE,
) -> None:
    """Be one application instance: replay its share of the trace."""
    if index >= of:
        raise typer.BadParameter(f"must be below --of ({of})", param_hint="--index")
    loaded = load(trace)
    share = Share(index, of, loaded.factor(seconds), history.clock() if start is None else start)
    recorder = history.Recorder(folder, f"instance-{index}")
    log = Log(recorder)
    try:
        _replay(share, loaded, (url, namespace), log)
    finally:
        recorder.close()
    if log.failed:
        raise ChildError(f"{log.failed} asks failed; the history says why")


@app.command("storm-app", hidden=True)
def storm_app(
    index: Annotated[int, typer.Option(min=0, max=APPS - 1, help="Which application this is, from 0.")],
    seconds: Seconds,
    url: Url,
    namespace: Namespace,
    folder: Folder = HERE,
) -> None:
    """Be one application in the storm."""

    async def whole() -> None:
        async with AsyncCoordinator.connect(url, namespace) as co:
            plan = Plan(curtain.await_start(folder), seconds)
            await App(co, plan, index, recorder).run()

    curtain.ready(folder, f"app-{index}")
    recorder = history.Recorder(folder, f"app-{index}")
    try:
        asyncio.run(whole())
    finally:
        recorder.close()


@app.command()
def check(
    url: Url,
    namespace: Namespace = "demo",
    trace: TraceFile = DEFAULT_TRACE,
    seconds: Seconds = DEFAULT_SECONDS,
    folder: Folder = HERE,
    as_json: AsJson = False,
) -> None:
    """Judge a run that is over, from its histories and what Redis still knows."""
    with account.raw_client(url) as client:
        _show(judge(client, Options(trace, seconds, namespace), load(trace), folder), as_json)


def _refuse(context: typer.Context, options: set[str], why: str) -> None:
    """Refuse options that would change nothing, rather than ignore them."""
    given = [
        one.opts[0]
        for one in context.command.params
        if one.name in options and getattr(context.get_parameter_source(one.name), "name", "") == "COMMANDLINE"
    ]
    if given:
        raise typer.BadParameter(f"cannot be used {why}", ctx=context, param_hint=", ".join(given))


def _replay(share: Share, trace: Trace, where: tuple[str, str], log: Log) -> None:
    errands = share.errands(trace)
    if share.threaded:
        with Coordinator.connect(*where) as co:
            run_threads(co, errands, share.start, log)
        return

    async def whole() -> None:
        async with AsyncCoordinator.connect(*where) as co:
            await run_async(co, errands, share.start, log)

    asyncio.run(whole())


def _show(judged: Judged, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report.as_json(judged), indent=2))
    else:
        _console(False).print(report.as_tables(judged))
    if judged.problems:
        raise typer.Exit(1)


def _weather(options: storm.Options, as_json: bool) -> None:
    plain = as_json or not sys.stdout.isatty()
    judged = storm.run(options, _console(plain))
    if plain:
        typer.echo(json.dumps(storm_report.as_json(judged), indent=2))
    else:
        _console(False).print(storm_report.as_tables(judged))
    if storm_report.problems(judged):
        raise typer.Exit(1)


def _console(stderr: bool) -> Console:
    console = Console(stderr=stderr)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    return console


def main() -> None:
    """Run the command line; every expected error becomes one sentence and an exit code."""
    try:
        app()
    except TraceError as error:
        _fail(str(error), DATA_ERROR)
    except StoreUnavailable as error:
        _fail(str(error), UNAVAILABLE)
    except ConfigError as error:
        _fail(str(error), CONFIG)
    except (CoordinatorError, ChildError) as error:
        _fail(str(error), SOFTWARE)
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error), NO_INPUT)


def _end(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _fail(text: str, code: int) -> None:
    typer.echo(f"demo: {text}", err=True)
    sys.exit(code)
