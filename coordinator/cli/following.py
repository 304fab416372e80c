"""`coordinator watch`: what becomes of resources, as it happens."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated

import typer
from rich.text import Text

from coordinator.cli import tables
from coordinator.cli.options import Common, command, connect
from coordinator.cli.screen import Screen
from coordinator.cli.words import clean, moment
from coordinator.ops.watching import GAP, Change

STYLES = {
    "granted": "green",
    "waiting": "yellow",
    "lost": "red",
    "frozen": "cyan",
    GAP: "bold red",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """What to watch, and from where on."""

    pattern: Annotated[
        str,
        typer.Argument(metavar="[PATTERN]", help="A resource, `path/*`, `path/**`, `a/*/b`, `a/b*`."),
    ] = "**"
    after: Annotated[
        str | None, typer.Option("--after", metavar="ID", help="Go on from this change, and tell if any are missing.")
    ] = None
    limit: Annotated[int, typer.Option("--limit", min=0, help="End after so many changes; 0 never.")] = 0


def add_to(app: typer.Typer) -> None:
    """Add the command of this file."""
    examples = (
        "coordinator watch 'infra/prod/**'",
        "coordinator watch 'infra/**' --json | jq -r 'select(.what == \"lost\") | .resources[]'",
    )
    command(app, "watch", examples=examples)(watch)


def watch(options: WatchOptions, common: Common) -> None:
    """Print what becomes of resources as it happens: granted, released, lost, waiting, cancelled, frozen, and so on.

    With --json one document a line; the `id` of the last one is what `--after` takes. `gap` says that some were missed.
    """
    screen, seen = Screen(common.json), 0
    with connect(common) as coordinator, coordinator.watch(options.pattern, options.after or "") as changes:
        for one in changes:
            if screen.as_json:
                screen.line(shape(one))
            else:
                screen.out.print(line(one))
            seen += 1
            if seen == options.limit:
                return


def shape(one: Change) -> dict[str, object]:
    """A change for `--json`."""
    fields = asdict(one)
    return {"id": fields.pop("ident"), **fields, "resources": list(one.resources), "fields": dict(one.fields)}


def line(one: Change) -> Text:
    """A change for people: when, what, to what, and whose."""
    if one.what == GAP:
        return Text("some changes were missed here", style=STYLES[GAP])
    shown = Text.assemble((moment(one.at), tables.DIM), "  ", (f"{clean(one.what):<10}", STYLES.get(one.what, "bold")))
    shown.append(f" {clean(', '.join(one.resources))}  {clean(one.subject)}")
    for name in ("fence", "why", "by"):
        if name in one.fields:
            shown.append(f"  {name}=", tables.DIM).append(clean(one.fields[name]))
    return shown
