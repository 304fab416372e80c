"""Shared calls from the command line: coalesce, forget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from coordinator.cli.jobs import read_payload
from coordinator.cli.options import Common, command, connect
from coordinator.cli.screen import Screen, dumps
from coordinator.cli.words import word

Name = Annotated[str, typer.Argument(metavar="NAME", help="The handler, such as report.build.")]
Payload = Annotated[str, typer.Option(help="JSON, @FILE or - for stdin.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoalesceOptions:
    """The call."""

    name: Name
    payload: Payload = "null"
    ttl: Annotated[
        float, typer.Option(metavar="SECONDS", help="For how long the result is the answer to further calls.")
    ] = 60.0
    resource: Annotated[
        list[str] | None, typer.Option("--resource", "-r", help="A resource the job holds; may be repeated.")
    ] = None
    priority: Annotated[str, typer.Option("--priority", "-p", help="low, normal, high, critical or emergency.")] = (
        "normal"
    )
    queue: Annotated[str, typer.Option("--queue", "-q", help="The queue that its workers subscribe to.")] = "default"
    timeout: Annotated[float | None, typer.Option(metavar="SECONDS", help="How long to wait; the job goes on.")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetOptions:
    """Whose answer."""

    name: Name
    payload: Payload = "null"


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    calls = ("coordinator coalesce report.build", "coordinator coalesce plan --payload '{\"pull\": 7}' --ttl 300")
    command(app, "coalesce", examples=calls)(coalesce)
    command(app, "forget", examples=("coordinator forget plan --payload '{\"pull\": 7}'",))(forget)


def coalesce(options: CoalesceOptions, common: Common) -> None:
    """Print what a handler returns, executed once for all identical calls; a result that is kept is printed at once."""
    payload, screen = read_payload(options.payload), Screen(common.json)
    with connect(common, patience=None) as coordinator:
        result = coordinator.coalesce(
            options.name,
            payload,
            ttl=options.ttl,
            timeout=options.timeout,
            resources=options.resource or (),
            priority=options.priority,
            queue=options.queue,
        )
        stats = coordinator.coalescing()
    how = "executed" if stats.executed else "joined" if stats.joined else "kept"
    screen.show({"how": how, "result": result}, dumps(result))


def forget(options: ForgetOptions, common: Common) -> None:
    """Drop the answer that is kept for a payload, so that the next call executes anew."""
    payload = read_payload(options.payload)
    with connect(common) as coordinator:
        coordinator.forget(options.name, [payload])
    Screen(common.json).show({"name": options.name, "forgotten": True}, word(f"nothing is kept of {options.name}"))
