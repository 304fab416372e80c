"""`scripts/chaos`: plays scenarios, shows how far they are, and ends with a table of verdicts."""

from __future__ import annotations

import contextlib
import json
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from chaos import checker, history, report
from chaos.run import play
from chaos.scenario import Progress as Say
from chaos.scenario import Scenario
from chaos.scenarios import SCENARIOS

EXAMPLES = """Examples:
$ scripts/chaos list
$ scripts/chaos all           # the short forms, some six minutes
$ scripts/chaos kill-storm --long --json run.json
$ scripts/chaos replies --seed 7 --keep histories
$ scripts/chaos soak --minutes 60
"""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
LIST, ALL, JUDGE = "list", "all", "judge"
PLAIN_WIDTH = 140
UNAVAILABLE = 69
# Seconds between two lines of progress where nobody watches.
EVERY = 5.0


@app.command(epilog=EXAMPLES)
def chaos(  # noqa: PLR0913, PLR0917  (typer: every option is a parameter)
    names: Annotated[
        list[str], typer.Argument(metavar="list | all | SCENARIO... | judge FOLDER", help="What to play, or `list`.")
    ],
    seed: Annotated[
        int | None, typer.Option(help="Repeats what chance decided in a run; drawn anew if absent.")
    ] = None,
    long: Annotated[bool, typer.Option("--long", help="The sizes of the targets instead of those of CI.")] = False,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="How long `soak` lasts.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write the verdicts here.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep histories here, of runs that pass, too.")
    ] = None,
    allow_skips: Annotated[
        bool, typer.Option("--allow-skips", help="Exit with 0 though some scenarios could not be played here.")
    ] = False,
) -> None:
    """Break a running Coordinator on purpose, and judge what came of it.

    Every scenario starts its own Redis and its own processes, and ends them. A run that fails keeps its history and
    says where; `judge` looks at such a folder again. The exit code is 1 if anything failed, and 69 if nothing failed
    but something could not be played on this machine: it was skipped, which is no pass. In a pipe the verdicts are
    JSON.
    """
    if names == [LIST]:
        Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH).print(_listing())
        return
    if names[0] == JUDGE:
        raise typer.Exit(_judge([Path(one) for one in names[1:]]))
    chosen = list(SCENARIOS.values()) if names == [ALL] else [_find(name) for name in names]
    if minutes is not None:
        chosen = [one.lasting(minutes) for one in chosen]
    drawn = secrets.randbelow(10**6) if seed is None else seed
    with _showing() as say:
        results = [play(one, drawn, long=long, keep=keep, progress=say) for one in chosen]
    data = json.dumps(report.as_json(results), indent=2)
    if json_file is not None:
        json_file.write_text(data + "\n", encoding="utf-8")
    if sys.stdout.isatty():
        Console().print(report.as_table(results))
    else:
        typer.echo(data)
    came_out = report.passed(results)
    if came_out is None:
        raise typer.Exit(0 if allow_skips else UNAVAILABLE)
    raise typer.Exit(0 if came_out else 1)


def _find(name: str) -> Scenario:
    if name not in SCENARIOS:
        raise typer.BadParameter(f"no scenario {name!r}; there are {', '.join(SCENARIOS)}")
    return SCENARIOS[name]


def _listing() -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("scenario", "claim", "target"):
        table.add_column(column, no_wrap=column == "scenario")
    for one in SCENARIOS.values():
        table.add_row(one.name, one.claim, one.target)
    return table


def _judge(folders: list[Path]) -> int:
    broken = 0
    if not folders:
        raise typer.BadParameter("judge takes the folder of a run")
    for folder in folders:
        ops = history.read(folder / "history" if (folder / "history").is_dir() else folder)
        if not ops:
            # In which nothing was done no rule was kept either.
            raise typer.BadParameter(f"there is no history in {folder}")
        problems = checker.judge(ops)
        broken += len(problems)
        for problem in problems:
            typer.echo(f"{folder}: {problem}")
        typer.echo(f"{folder}: {len(problems) or 'no'} rule{'' if len(problems) == 1 else 's'} broken")
    return 1 if broken else 0


@contextlib.contextmanager
def _showing() -> Iterator[Say]:
    """Progress on stderr: a bar on a terminal, now and then a line elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(console)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task("starting", total=None)

        def say(what: str, done: float, total: float) -> None:
            bars.update(task, description=what, completed=done, total=total or None)

        yield say


def _lines(console: Console, now: Callable[[], float] = time.monotonic) -> Say:
    due, last = 0.0, ""

    def say(what: str, done: float, total: float) -> None:
        nonlocal due, last
        text = f"{what} {10 * int(10 * done / total)} %" if total else what
        if text != last and now() >= due:
            console.print(text, highlight=False)
            due, last = now() + EVERY, text

    return say
