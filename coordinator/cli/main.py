"""The command line put together: our commands, those that other packages contribute, and how errors leave."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from coordinator import __version__
from coordinator.cli import (
    acl,
    alerts,
    coalescing,
    config,
    defining,
    doctor,
    following,
    freezing,
    gates,
    jobs,
    listing,
    live,
    lock,
    look,
    operator,
    rules,
    timeouts,
)
from coordinator.cli.failures import MEANINGS, Failure, document, failure_of, line
from coordinator.cli.screen import dumps

GROUP = "coordinator.commands"
# What is asked for under other words, where the nearest name is another thing.
ELSEWHERE = {
    "holders": "`coordinator ls 'infra/**'` lists holders, `coordinator show RESOURCE` those of one resource",
    "locks": "`coordinator ls` lists what is held or waited for",
    "line": "`coordinator show RESOURCE` shows its holders and its line",
    "unlock": "`coordinator release ID --force --reason ...` takes a lock away from its holder",
    "unfreeze": "`coordinator thaw PATTERN` ends a freeze",
}

EPILOG = "Exit codes:\n" + "\n".join(f"{code:<9} {meaning}" for code, meaning in MEANINGS)


class Commands(TyperGroup):
    """The commands, ours and those of the entry-point group `coordinator.commands`.

    Those of others are loaded when they are asked for: looking at a lock does not import a worker, and a package that
    cannot be loaded stops nothing but its own command.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *sorted(_contributed())]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        known = super().get_command(ctx, cmd_name)
        if known is not None:
            return known
        entry = _contributed().get(cmd_name)
        return None if entry is None else _load(entry)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        hint = ELSEWHERE.get(args[0]) if args and self.get_command(ctx, args[0]) is None else None
        if hint is not None:
            raise Failure(os.EX_USAGE, f"no command {args[0]!r}", hint)
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="coordinator",
    cls=Commands,
    help="Locks and jobs on Redis: a job queue and a lock manager that are one thing.",
    epilog=EPILOG,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
for module in (
    lock,
    jobs,
    coalescing,
    look,
    listing,
    live,
    following,
    timeouts,
    alerts,
    config,
    rules,
    operator,
    defining,
    freezing,
    gates,
    doctor,
    acl,
):
    module.add_to(app)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"coordinator {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(arguments: Sequence[str]) -> int:
    """Run one command and answer with its exit code."""
    try:
        code = _program().main(args=list(arguments), prog_name="coordinator", standalone_mode=False)
    except Exception as error:
        failure = failure_of(error)
        if failure is None:
            raise
        as_json = "--json" in arguments[: arguments.index("--") if "--" in arguments else None]
        sys.stderr.write((dumps(document(failure, error), None) if as_json else line(failure)) + "\n")
        return failure.code
    return code if isinstance(code, int) else 0


def run() -> None:
    """The console script."""
    sys.exit(main(sys.argv[1:]))


@cache
def _program() -> Any:
    """The whole command line. To build it takes longer than most commands, so it is built once."""
    return get_command(app)


def _contributed() -> dict[str, EntryPoint]:
    return {one.name: one for one in entry_points(group=GROUP)}


def _load(entry: EntryPoint) -> Any:
    contributed: Any
    try:
        contributed = get_group(entry.load())
    except Exception as error:
        contributed = get_command(_stand_in(entry, error))
    contributed.name = entry.name
    return contributed


def _stand_in(entry: EntryPoint, error: Exception) -> typer.Typer:
    """For a command whose package cannot be loaded: it is listed, and says what is wrong."""
    problem = f"{entry.value} cannot be loaded: {type(error).__name__}: {error}"
    made = typer.Typer(add_completion=False)

    @made.command(
        help=f"(cannot be loaded: {type(error).__name__})",
        context_settings={"ignore_unknown_options": True, "help_option_names": []},
    )
    def tell(_words: Annotated[list[str] | None, typer.Argument(hidden=True)] = None) -> None:
        raise Failure(os.EX_CONFIG, problem, "install the package that contributes it again")

    return made
