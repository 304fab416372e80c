"""What a resource is defined with: permits, the order of its line, limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, cast

import typer

from coordinator.cli import sentences, shapes
from coordinator.cli.options import By, Common, command, connect, doer
from coordinator.cli.screen import Screen
from coordinator.cli.words import clean, word
from coordinator.model.definition import MODES, Terms

EXAMPLES = (
    "coordinator define gpu --capacity 8",
    "coordinator define infra/prod --mode newest_ready_first --max-line 20 --reason 'only the newest deploy counts'",
    "coordinator define infra/prod --max-hold 1800 --lock-delay 15",
    "coordinator define infra/prod --mode priority --max-line 0 --lock-delay 0",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DefineOptions:
    """Which resource, and what of it."""

    resource: Annotated[str, typer.Argument(metavar="RESOURCE", help="The resource.")]
    capacity: Annotated[
        int | None,
        typer.Option(help="How many permits it has: with more than 1, several hold it at once.", show_default=False),
    ] = None
    mode: Annotated[str | None, typer.Option(help=f"The order of its line: {', '.join(MODES)}.")] = None
    max_line: Annotated[int | None, typer.Option(help="How many may wait; 0: as the settings say.")] = None
    max_hold: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="How long one grant lasts at most; 0: as the settings say.")
    ] = None
    lock_delay: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Granted to nobody for so long after a crash of a holder; 0: at once."),
    ] = None
    reason: Annotated[str | None, typer.Option(help="Why, for the audit.")] = None
    by: By = None


def add_to(app: typer.Typer) -> None:
    """Add the command of this file."""
    command(app, "define", examples=EXAMPLES)(define)


def define(options: DefineOptions, common: Common) -> None:
    """Say how a resource is granted: its permits, the order of its line, its limits.

    What is not named stays as it is. Nobody loses what they hold, and whoever waits goes on waiting, in the new order.
    """
    given: dict[str, Any] = {"capacity": options.capacity, "mode": options.mode}
    # On a command line 0 stands for what holds where nothing is defined.
    limits = {"max_line": options.max_line, "max_hold": options.max_hold, "lock_delay": options.lock_delay}
    terms = {name: value for name, value in given.items() if value is not None}
    terms |= {name: value or None for name, value in limits.items() if value is not None}
    with connect(common) as coordinator:
        found = coordinator.define(options.resource, reason=options.reason, by=doer(options.by), **cast(Terms, terms))
    said = word(f"{clean(options.resource)}: {', '.join(sentences.sayings(found))}")
    Screen(common.json).show({"resource": options.resource, **shapes.defined(found)}, said)
