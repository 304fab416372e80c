"""`coordinator ls`: what there is, page by page, so that a namespace of any size can be listed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.text import Text

from coordinator.cli import shapes, tables
from coordinator.cli.holding import list_held, list_owned
from coordinator.cli.options import Common, command, connect, scope_of
from coordinator.cli.screen import Screen, Tell
from coordinator.cli.words import word
from coordinator.client import Coordinator
from coordinator.errors import InvalidInput
from coordinator.ops import history, inspect
from coordinator.ops.history import DeadJob
from coordinator.ops.inspect import Survey

# The owners of holders are looked up for at most so many pages, of 100 resources each.
MOST_OWNER_PAGES = 10
EXAMPLES = (
    "coordinator ls",
    "coordinator ls infra/prod/",
    "coordinator ls 'infra/prod/**' --json | jq -r '.resources[].holders[].owner'",
    "coordinator ls --owner pr-1498",
    "coordinator ls --queues",
    "coordinator ls --dead --json | jq -r '.jobs[].id'",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions:
    """What to list."""

    prefix: Annotated[
        str,
        typer.Argument(
            metavar="[PREFIX|PATTERN]",
            help="Only resources whose names begin like this; or in detail those of `path/*` (one level), `path/**` "
            "(with all below it), `a/*/b`, `a/b*`.",
            show_default=False,
        ),
    ] = ""
    owner: Annotated[str, typer.Option("--owner", help="What this owner holds and waits for.", show_default=False)] = ""
    limit: Annotated[int, typer.Option("--limit", min=0, help="Of a pattern or an owner so many; 0 for all.")] = 1000
    queues: Annotated[bool, typer.Option("--queues", help="Queues instead of resources.")] = False
    sessions: Annotated[bool, typer.Option("--sessions", help="Processes instead of resources.")] = False
    dead: Annotated[bool, typer.Option("--dead", help="Failed and dead jobs instead of resources.")] = False


def add_to(app: typer.Typer) -> None:
    """Add the command of this file."""
    command(app, "ls", examples=EXAMPLES)(ls)


def ls(options: ListOptions, common: Common) -> None:
    """List resources that are held or waited for, with their holders and the length of their lines."""
    chosen = [name for name in ("owner", "queues", "sessions", "dead") if getattr(options, name)]
    if len(chosen) > 1 or (chosen and options.prefix):
        raise InvalidInput("ls", " ".join([options.prefix, *chosen]).strip(), "lists one kind of thing at a time")
    lists = {"queues": list_queues, "sessions": list_sessions, "dead": list_dead}
    with connect(common) as coordinator:
        if options.owner:
            list_owned(coordinator, Screen(common.json), options.owner, options.limit)
        elif "*" in options.prefix:
            list_held(coordinator, Screen(common.json), options.prefix, options.limit)
        elif chosen:
            lists[chosen[0]](coordinator, Screen(common.json))
        else:
            list_resources(coordinator, Screen(common.json), options.prefix)


def list_resources(coordinator: Coordinator, screen: Screen, prefix: str) -> None:
    """Resources, all pages of them."""
    with screen.progress("reading resources") as tell:
        pages = list(surveys(coordinator, prefix, tell))
        known = {} if screen.as_json else owners(coordinator, prefix)
    found = [one for page in pages for one in page.resources]
    document = shapes.resources(coordinator.settings.namespace, pages[0].at, found)
    empty = word(f"nothing is held or waited for{f' under {prefix}' if prefix else ''}", tables.DIM)
    screen.show(document, tables.resources(found, pages[-1], known) if found else empty)


def owners(coordinator: Coordinator, prefix: str) -> dict[str, str]:
    """Who holds the resources that begin like this, by the ids of requests; of very many the first."""
    path = prefix.rpartition("/")[0]
    pattern, found, after = f"{path}/**" if path else "**", dict[str, str](), ""
    for _ in range(MOST_OWNER_PAGES):
        try:
            page = coordinator.holders(pattern, after)
        except InvalidInput:  # the beginning of a name may be no pattern
            return found
        found.update((who.ident, who.owner or who.name) for one in page.resources for who in one.holders)
        after = page.after
        if not after:
            return found
    return found


def surveys(coordinator: Coordinator, prefix: str, tell: Tell, most: int = 0) -> Iterator[Survey]:
    """The namespace page by page; at most so many pages, 0 for all."""
    after, pages, seen = "", 0, 0
    while True:
        page = coordinator.run(inspect.survey(scope_of(coordinator), after, inspect.PAGE, prefix))
        yield page
        after, pages, seen = page.after, pages + 1, seen + len(page.resources)
        if not page.more or pages == most:
            return
        tell(seen, None)


def list_queues(coordinator: Coordinator, screen: Screen) -> None:
    """Queues with their numbers."""
    survey = coordinator.survey(most=1)
    view = tables.queues(survey.queues) if survey.queues else Text("no queues yet", style=tables.DIM)
    screen.show(shapes.queues(coordinator.settings.namespace, survey), view)


def list_sessions(coordinator: Coordinator, screen: Screen) -> None:
    """Processes."""
    survey = coordinator.survey(most=1)
    view = tables.sessions(survey.sessions, survey.at) if survey.sessions else Text("no processes", style=tables.DIM)
    screen.show(shapes.sessions(coordinator.settings.namespace, survey), view)


def list_dead(coordinator: Coordinator, screen: Screen) -> None:
    """Failed and dead jobs, all pages of them."""
    found, scope = list[DeadJob](), scope_of(coordinator)
    page = coordinator.run(history.dead(scope))
    first = page
    with screen.progress("reading dead jobs") as tell:
        while page.jobs:
            found += page.jobs
            page = coordinator.run(history.dead(scope, skip=len(found), until=first.at))
            tell(len(found), page.total)
    view = tables.dead(found, first.at) if found else Text("no job failed or is dead", style=tables.DIM)
    screen.show(shapes.dead(coordinator.settings.namespace, first.total, found), view)
