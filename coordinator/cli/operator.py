"""What only people do: take from others, hand on, move in line; and the record of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from coordinator.cli import shapes, tables
from coordinator.cli.confirm import confirm, question
from coordinator.cli.options import By, Common, command, connect, doer, scope_of
from coordinator.cli.screen import Screen
from coordinator.cli.words import word
from coordinator.errors import IllegalTransition, InvalidInput
from coordinator.model.states import State
from coordinator.ops import heirs
from coordinator.ops.history import MOST_EVENTS

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseOptions:
    """Which holder, and why."""

    ident: Annotated[str, typer.Argument(metavar="ID", help="The id of the held lock or the running job.")]
    reason: Annotated[str, typer.Option(help="Why: the holder and whoever looks will read it.")]
    force: Annotated[bool, typer.Option("--force", help="Needed: the holder has not agreed to this.")] = False
    by: By = None
    yes: Yes = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferOptions:
    """From whom to whom, and why."""

    ident: Annotated[str, typer.Argument(metavar="ID", help="The id of the held lock or the running job.")]
    reason: Annotated[str, typer.Option(help="Why: the holder and whoever looks will read it.")]
    to: Annotated[str, typer.Option("--to", metavar="ID", help="The id of the request that is to have it.")] = ""
    to_owner: Annotated[
        str, typer.Option("--to-owner", metavar="OWNER", help="Or whose it is, of whom exactly one waits for it.")
    ] = ""
    by: By = None
    yes: Yes = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveOptions:
    """Who goes where."""

    ident: Annotated[str, typer.Argument(metavar="ID", help="The id of a request that waits.")]
    front: Annotated[bool, typer.Option("--front", help="Before everybody.")] = False
    back: Annotated[bool, typer.Option("--back", help="Behind everybody.")] = False
    before: Annotated[str | None, typer.Option(metavar="ID", help="Directly before this request.")] = None
    reason: Annotated[str | None, typer.Option(help="Why, for the audit.")] = None
    by: By = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOptions:
    """How much."""

    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST_EVENTS, help="At most so many, the newest.")] = 50


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    releases = ("coordinator release k3f9x2a7qp0d-1c --force --reason 'runner is gone'",)
    command(app, "release", examples=releases)(release)
    transfers = (
        "coordinator transfer k3f9x2a7qp0d-1c --to k3f9x2a7qp0d-2f --reason 'hotfix first'",
        "coordinator transfer k3f9x2a7qp0d-1c --to-owner pr-1498 --reason 'hotfix first'",
    )
    command(app, "transfer", examples=transfers)(transfer)
    moves = ("coordinator move k3f9x2a7qp0d-1c --front", "coordinator move k3f9x2a7qp0d-1c --before k3f9x2a7qp0d-2f")
    command(app, "move", examples=moves)(move)
    command(app, "audit", examples=("coordinator audit", "coordinator audit --json | jq '.audit[].fields.by'"))(audit)


def release(options: ReleaseOptions, common: Common) -> None:
    """Take a lock or a running job away from its holder.

    The holder is told and should stop, but may still be at work: whatever it does from now on carries an old fence.
    The next in line has the resource at once. A job goes back to its place and runs again.
    """
    if not options.force:
        raise InvalidInput("--force", False, "must be given: this takes a lock away from somebody who holds it")
    with connect(common) as coordinator:
        found = coordinator.explain(options.ident)
        if found.state not in (State.HELD, State.RUNNING):
            raise IllegalTransition(found.state, "release")
        if not options.yes:
            confirm(question(found, coordinator))
        state = coordinator.force_release(options.ident, options.reason, by=doer(options.by))
    said = word(f"{options.ident} was taken away and is {state}")
    Screen(common.json).show({"id": options.ident, "state": state}, said)


def transfer(options: TransferOptions, common: Common) -> None:
    """Take a lock or a running job away from its holder for somebody who waits.

    That one becomes the first in all its lines, so nobody else has the resource in between. The holder is told, and
    whatever it does from now on carries an old fence.
    """
    with connect(common) as coordinator:
        found = coordinator.explain(options.ident)
        if found.state not in (State.HELD, State.RUNNING):
            raise IllegalTransition(found.state, "transfer")
        to = coordinator.run(heirs.chosen(scope_of(coordinator), options.ident, options.to, options.to_owner))
        if not options.yes:
            confirm(question(found, coordinator))
        state = coordinator.transfer(options.ident, to, options.reason, by=doer(options.by))
    said = word(f"{options.ident} was taken away for {to}, which is {state}")
    Screen(common.json).show({"id": options.ident, "to": to, "state": state}, said)


def move(options: MoveOptions, common: Common) -> None:
    """Give a request that waits another place in all its lines, or in its queue.

    The place stays until the request gets another priority, or waits anew after a delayed retry.
    """
    chosen = [options.front, options.back, options.before is not None]
    if sum(chosen) != 1:
        raise InvalidInput("place", None, "give one of --front, --back and --before ID")
    place = "front" if options.front else "back"
    with connect(common) as coordinator:
        state = coordinator.reorder(
            options.ident, place, before=options.before or "", reason=options.reason, by=doer(options.by)
        )
    where = f"before {options.before}" if options.before else f"to the {place}"
    Screen(common.json).show(
        {"id": options.ident, "state": state}, word(f"{options.ident} went {where} and is {state}")
    )


def audit(options: AuditOptions, common: Common) -> None:
    """Print what operators did, when and why, with the fences before and after."""
    with connect(common) as coordinator:
        found = coordinator.audit(most=options.limit)
    views = [tables.happening(one) for one in found] or [word("nothing was done by hand", tables.DIM)]
    Screen(common.json).show({"audit": [shapes.happening(one) for one in found]}, *views)
