"""Freezes: nobody is granted a resource for a time. And waiting until those who had it are done."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table

from coordinator.cli import tables
from coordinator.cli.options import By, Common, command, connect, doer, scope_of
from coordinator.cli.screen import Screen
from coordinator.cli.words import clean, moment, word
from coordinator.drivers.ids import new_id
from coordinator.errors import InvalidInput
from coordinator.ops import draining, operator
from coordinator.ops.freezing import Freeze

Pattern = Annotated[str, typer.Argument(metavar="PATTERN", help="A resource, `path/**` for all below it too, or `**`.")]
Reason = Annotated[str, typer.Option(help="Why: whoever waits will read it.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeOptions:
    """What, for how long, and why."""

    pattern: Pattern
    reason: Reason
    seconds: Annotated[
        float | None, typer.Option("--for", metavar="SECONDS", help="For how long; `thaw` ends it sooner.")
    ] = None
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="Until when by the server's clock: 2026-12-01T08:00Z"),
    ] = None
    by: By = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainOptions:
    """What, for how long at most, and why."""

    pattern: Pattern
    reason: Reason
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long to wait at most until nobody holds any of it.")
    ] = draining.WAIT
    seconds: Annotated[
        float, typer.Option("--for", metavar="SECONDS", help="For how long it stays frozen; `thaw` ends it sooner.")
    ] = draining.FROZEN
    by: By = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ThawOptions:
    """Which freeze."""

    pattern: Pattern
    reason: Annotated[str | None, typer.Option(help="Why, for the audit.")] = None
    by: By = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PassOptions:
    """Who may pass, and why."""

    ident: Annotated[str, typer.Argument(metavar="ID", help="The id of a request that waits.")]
    reason: Reason
    by: By = None


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    freezes_prod = (
        "coordinator freeze 'infra/prod/**' --for 7200 --reason 'release day'",
        "coordinator freeze 'infra/prod/**' --until 2026-12-01T08:00Z --reason 'release day'",
    )
    command(app, "freeze", examples=freezes_prod)(freeze)
    command(app, "thaw", examples=("coordinator thaw 'infra/prod/**'",))(thaw)
    command(app, "freezes", examples=("coordinator freezes",))(freezes)
    command(app, "pass", examples=("coordinator pass k3f9x2a7qp0d-1c --reason 'fixes the outage'",))(let_pass)
    command(app, "drain", examples=("coordinator drain 'db/**' --reason 'maintenance' --wait 300",))(drain)


def freeze(options: FreezeOptions, common: Common) -> None:
    """Grant a resource to nobody for a time.

    What is held stays held, and everybody keeps their place in line. `coordinator pass ID` lets somebody through.
    """
    with connect(common) as coordinator:
        made = coordinator.freeze(
            options.pattern, options.seconds, options.reason, until=moment_of(options.until), by=doer(options.by)
        )
    Screen(common.json).show(asdict(made), word(f"{clean(options.pattern)} is frozen until {moment(made.until)}"))


def moment_of(said: str | None) -> datetime | None:
    """A moment as ISO 8601 writes it. Raises InvalidInput, also without a time zone."""
    try:
        found = None if said is None else datetime.fromisoformat(said)
    except ValueError:
        raise InvalidInput("--until", said, "must be a time such as 2026-12-01T08:00Z") from None
    if found is not None and found.utcoffset() is None:
        raise InvalidInput("--until", said, "must say its time zone: 2026-12-01T08:00Z, or +01:00 at its end")
    return found


def thaw(options: ThawOptions, common: Common) -> None:
    """End a freeze. Whoever stands in front has the resource at once."""
    with connect(common) as coordinator:
        coordinator.thaw(options.pattern, options.reason, by=doer(options.by))
    Screen(common.json).show({"pattern": options.pattern}, word(f"{clean(options.pattern)} is granted again"))


def freezes(common: Common) -> None:
    """List what is frozen, until when, by whom and why."""
    with connect(common) as coordinator:
        found = coordinator.freezes()
    shown = table(found) if found else word("nothing is frozen", tables.DIM)
    Screen(common.json).show({"freezes": [asdict(one) for one in found]}, shown)


def let_pass(options: PassOptions, common: Common) -> None:
    """Let a request that waits have what is frozen, before everybody else.

    It still waits for those who hold what it needs.
    """
    with connect(common) as coordinator:
        state = coordinator.let_pass(options.ident, options.reason, by=doer(options.by))
    Screen(common.json).show({"id": options.ident, "state": state}, word(f"{options.ident} may pass and is {state}"))


def drain(options: DrainOptions, common: Common) -> None:
    """Freeze a resource, or all below a path, and wait until nobody holds any of it.

    It stays frozen afterwards: `coordinator thaw` ends that. The exit code is 75 if somebody still holds it in the end.
    """
    screen = Screen(common.json)
    with connect(common) as coordinator, screen.progress("waiting for holders") as tell:
        deed = operator.reasoned(doer(options.by), options.reason, new_id())
        scope = scope_of(coordinator)
        coordinator.run(
            draining.drain(scope, options.pattern, options.seconds, options.wait, deed, lambda left: tell(left, None))
        )
    said = word(f"nobody holds any of {clean(options.pattern)}, and it is frozen")
    screen.show({"pattern": options.pattern, "held": []}, said)


def table(found: list[Freeze]) -> Table:
    """Freezes for people."""
    shown = tables.columns("PATTERN", "UNTIL", "SINCE", "BY", "REASON")
    for one in found:
        words = (one.pattern, moment(one.until), moment(one.since or one.until), one.by, one.reason)
        shown.add_row(*map(word, words))
    return shown
