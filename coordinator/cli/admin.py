"""What only people do: take a lock away from its holder, define a resource."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Annotated

import typer

from coordinator.cli.failures import Failure
from coordinator.cli.options import Common, command, connect
from coordinator.cli.screen import Screen
from coordinator.cli.words import clean, count, word
from coordinator.client import Coordinator
from coordinator.errors import IllegalTransition, InvalidInput
from coordinator.model.lease import Explanation
from coordinator.model.states import State


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseOptions:
    """Which holder, and why."""

    ident: Annotated[str, typer.Argument(metavar="ID", help="The id of the held lock or the running job.")]
    reason: Annotated[str, typer.Option(help="Why: the holder and whoever looks will read it.")]
    force: Annotated[bool, typer.Option("--force", help="Needed: the holder has not agreed to this.")] = False
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DefineOptions:
    """Which resource, and how many permits."""

    resource: Annotated[str, typer.Argument(metavar="RESOURCE", help="The resource.")]
    capacity: Annotated[int, typer.Option(help="How many permits it has.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    releases = ("coordinator release k3f9x2a7qp0d-1c --force --reason 'runner is gone'",)
    command(app, "release", examples=releases)(release)
    command(app, "define", examples=("coordinator define gpu --capacity 8",))(define)


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
        state = coordinator.force_release(options.ident, options.reason)
    said = word(f"{options.ident} was taken away and is {state}")
    Screen(common.json).show({"id": options.ident, "state": state}, said)


def question(found: Explanation, coordinator: Coordinator) -> str:
    """What is about to happen, to whom, and in which namespace."""
    what = f"job {found.fields.get('name', '')}" if found.kind == "job" else "lock"
    names = ", ".join(one.need.resource for one in found.needs) or "nothing"
    who = f" of {found.owner}" if found.owner else ""
    return clean(f"Take {what} {found.ident}{who} (holds {names}) away, in namespace {coordinator.settings.namespace}?")


def confirm(text: str) -> None:
    """Ask at the terminal. Raises Failure if there is none, or the answer is no."""
    if not sys.stdin.isatty():
        raise Failure(os.EX_NOPERM, "this needs a yes, and there is no terminal to ask at", "give --yes")
    try:
        agreed = typer.confirm(text, err=True)
    except typer.Abort:
        agreed = False
    if not agreed:
        raise Failure(os.EX_NOPERM, "not confirmed", "nothing was changed")


def define(options: DefineOptions, common: Common) -> None:
    """Set how many permits a resource has; 1 unless defined. Fewer never takes one back from a holder."""
    with connect(common) as coordinator:
        coordinator.define(options.resource, capacity=options.capacity)
    said = word(f"{options.resource} has {count(options.capacity, 'permit')}")
    Screen(common.json).show({"resource": options.resource, "capacity": options.capacity}, said)
