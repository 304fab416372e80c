"""The command line of the bench."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench import catalogue
from bench.facts import facts
from bench.model import Record
from bench.report import markdown, number, with_unit
from bench.results import Results
from bench.session import Plan, Task, run
from bench.workloads.base import QUICK, Sizes

USAGE = 64

EXAMPLES = """Examples:
$ scripts/bench --peers none --quick
$ scripts/bench --peers dramatiq,huey --only enqueue,drain --repeat 1
$ scripts/bench --json run.json --markdown run.md --charts docs/bench
"""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")


@app.command(epilog=EXAMPLES)
def bench(  # noqa: PLR0913, PLR0917  (typer: every option is a parameter)
    peers: Annotated[
        str, typer.Option(help="Libraries to compare with, with commas between; `all`, or `none` for us alone.")
    ] = "all",
    only: Annotated[str, typer.Option(help="Workloads to run, with commas between; all unless given.")] = "",
    repeat: Annotated[int, typer.Option(min=1, max=100, help="How often everything is measured.")] = 3,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes: to see that it works, not how fast.")] = False,
    aof: Annotated[bool, typer.Option("--aof", help="With an append-only file, synced every second.")] = False,
    as_json: Annotated[Path | None, typer.Option("--json", help="Write every measurement to this file.")] = None,
    as_markdown: Annotated[Path | None, typer.Option("--markdown", help="Write the report to this file.")] = None,
    charts: Annotated[Path | None, typer.Option(help="Draw PNG charts into this folder.")] = None,
) -> None:
    """Measure Coordinator side by side with other libraries, each on a fresh private Redis server.

    The exit code is 1 if a repetition of ours failed.
    """
    # A signal that ends this process ends its children too, in order: they are in sessions of their own.
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, _end)
    try:
        plan = Plan(
            catalogue.chosen_workloads(only),
            catalogue.chosen_peers(peers),
            repeat,
            QUICK if quick else Sizes(),
            aof,
        )
    except catalogue.UnknownName as error:
        typer.echo(f"bench: {error}", err=True)
        raise typer.Exit(USAGE) from None
    known = facts(plan.peers, repeat, aof, quick)
    started = time.monotonic()
    results = Results(plan.workloads, _run(plan))
    known["took"] = f"{time.monotonic() - started:.0f} s"
    report = markdown(results, known)
    told = {"facts": known, "records": [asdict(one) for one in results.records]}
    text = json.dumps(told, indent=1) + "\n"
    if as_json:
        as_json.write_text(text, encoding="utf-8")
    if as_markdown:
        as_markdown.write_text(report + "\n", encoding="utf-8")
    typer.echo(report)
    if charts:
        _draw(text, charts)
    if failed := results.failed():
        typer.echo(f"bench: a repetition of ours failed: {', '.join(failed)}", err=True)
        raise typer.Exit(1)


def _run(plan: Plan) -> list[Record]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("bench", total=sum(1 for _ in plan.tasks()))

        def tell(task: Task, record: Record) -> None:
            figure = task.workload.figures[0]
            said = with_unit(record.figures.get(figure.key), figure) if record.figures else f"n/a: {record.failure}"
            extra = ", ".join(f"{key} {number(value)}" for key, value in record.figures.items() if key != figure.key)
            console.print(
                f"{record.workload} {record.peer}: {said}  [dim]{extra}[/dim]", highlight=False, soft_wrap=True
            )
            progress.advance(bar)

        return run(plan, tell)


def _draw(text: str, folder: Path) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        done = subprocess.run([sys.executable, "-m", "bench.charts", file.name, str(folder)], check=False)
    if done.returncode:
        typer.echo("bench: no charts; they need matplotlib: pip install 'coordinator[bench]'", err=True)
        raise typer.Exit(1)


def _end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    sys.exit(128 + number)
