"""`coordinator breaker` and `coordinator limits`: what holds jobs back although nobody is in their way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from coordinator.cli.delays import for_ever
from coordinator.cli.options import By, Common, command, connect, doer
from coordinator.cli.screen import Screen
from coordinator.cli.tables import DIM, columns
from coordinator.cli.words import duration, word
from coordinator.ops.gates import BreakerView, LimitView

STYLES = {"closed": "green", "open": "bold red", "half_open": "yellow"}


Undeclared = Annotated[
    bool, typer.Option("--undeclared", help="Also if no worker has told of a breaker of that name yet.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOptions:
    """Which breaker, for how long, and why."""

    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of a handler, or of what handlers depend on.")]
    reason: Annotated[str, typer.Option(help="Why: whoever looks will read it.")]
    seconds: Annotated[
        float | None, typer.Option("--for", help="For so many seconds; else until it is closed.", metavar="SECONDS")
    ] = None
    undeclared: Undeclared = False
    by: By = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseOptions:
    """Which breaker, and why."""

    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of a handler, or of what handlers depend on.")]
    reason: Annotated[str | None, typer.Option(help="Why, for the audit.")] = None
    undeclared: Undeclared = False
    by: By = None


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    group = typer.Typer(
        name="breaker",
        help="Look at breakers, and open and close them: jobs behind an open one wait in their order.",
        no_args_is_help=True,
        rich_markup_mode="rich",
    )
    lists = ("coordinator breaker ls", "coordinator breaker ls --json | jq '.breakers[] | select(.waiting > 0)'")
    command(group, "ls", examples=lists)(ls)
    opens = (
        "coordinator breaker open github --for 600 --reason 'announced maintenance'",
        "coordinator breaker open deploy.apply --reason 'freeze'",
        "coordinator breaker open new-service --undeclared --reason 'not before Monday'",
    )
    command(group, "open", examples=opens)(open_)
    command(group, "close", examples=("coordinator breaker close github --reason 'they are back'",))(close)
    app.add_typer(group)
    command(app, "limits", examples=("coordinator limits", "coordinator limits --json"))(limits)


def ls(common: Common) -> None:
    """List the breakers of all handlers and of what they depend on."""
    with connect(common) as coordinator:
        found = coordinator.breakers()
        at = coordinator.survey(most=1).at
        namespace = coordinator.settings.namespace
    document = {"namespace": namespace, "at": at, "breakers": [asdict(one) for one in found]}
    empty = word("there are no breakers: no worker has told of any", DIM)
    Screen(common.json).show(document, _breakers(found, at) if found else empty)


def open_(options: OpenOptions, common: Common) -> None:
    """Hold the jobs behind a breaker back. Those that run are not disturbed; the others wait in their order.

    After the time probes are let through; without --for the breaker stays open until somebody closes it.
    """
    with connect(common) as coordinator:
        coordinator.open_breaker(
            options.name, options.seconds, options.reason, undeclared=options.undeclared, by=doer(options.by)
        )
    until = f"for {duration(options.seconds)}" if options.seconds is not None else "until it is closed"
    document = {"breaker": options.name, "state": "open", "seconds": options.seconds}
    Screen(common.json).show(document, word(f"{options.name} is open {until}"))


def close(options: CloseOptions, common: Common) -> None:
    """Let the jobs behind a breaker go on, and forget the failures that it has counted."""
    with connect(common) as coordinator:
        coordinator.close_breaker(options.name, options.reason, undeclared=options.undeclared, by=doer(options.by))
    Screen(common.json).show({"breaker": options.name, "state": "closed"}, word(f"{options.name} is closed"))


def limits(common: Common) -> None:
    """List the limits of rate, and those that a handler has closed because it was told to come back later."""
    with connect(common) as coordinator:
        found = coordinator.limits()
        at = coordinator.survey(most=1).at
        namespace = coordinator.settings.namespace
    document = {"namespace": namespace, "at": at, "limits": [asdict(one) for one in found]}
    Screen(common.json).show(document, _limits(found, at) if found else word("there are no limits", DIM))


def _breakers(found: Iterable[BreakerView], at: float) -> Table:
    table = columns("BREAKER", "STATE", "WAITING", "FAILURES", "PASSED", "UNTIL", "REASON", right=("WAITING",))
    for one in found:
        table.add_row(
            word(one.name),
            word(one.state.replace("_", " "), STYLES.get(one.state, "")),
            word(one.waiting, "yellow" if one.waiting else DIM),
            word(one.failures or "", "yellow"),
            word(one.passed or ""),
            word("somebody closes it") if for_ever(one.since, one.until) else _until(one.until, at),
            word(one.reason),
        )
    return table


def _limits(found: Iterable[LimitView], at: float) -> Table:
    table = columns("LIMIT", "KIND", "WAITING", "PER SECOND", "BURST", "TOKENS", "CLOSED UNTIL", right=("WAITING",))
    for one in found:
        numbers = ("" if number is None else f"{number:g}" for number in (one.per_second, one.burst))
        tokens = "" if one.tokens is None else f"{one.tokens:.1f}"
        waiting = word(one.waiting, "yellow" if one.waiting else DIM)
        cells = (word(cell) for cell in (*numbers, tokens))
        table.add_row(word(one.name), word(one.kind), waiting, *cells, _until(one.until, at))
    return table


def _until(until: float | None, at: float) -> Text:
    return word("" if until is None else f"in {duration(until - at)}")
