"""What live processes say of settings that were changed for the fleet: waiting for it, and showing it."""

from __future__ import annotations

import os
import time
from typing import Annotated, Any

import typer
from rich.text import Text

from coordinator.cli import tables
from coordinator.cli.options import scope_of
from coordinator.cli.words import clean, count
from coordinator.client import Coordinator
from coordinator.ops import configuring
from coordinator.ops.configuring import Answer, Answers

# Seconds: one heartbeat brings a process the news of a change, and the next one carries its answer.
WAIT, POLL_SECONDS = 2.0, 0.1
NO_WORKER = "no worker is running; those that are started have it"
Wait = Annotated[
    float, typer.Option(min=0, metavar="SECONDS", help="For how long to wait until all processes have taken it over.")
]


def look(coordinator: Coordinator) -> Answers:
    """What they say now."""
    return coordinator.run(configuring.answers(scope_of(coordinator)))


def collect(coordinator: Coordinator, version: int, seconds: float) -> Answers:
    """What they say once all have said something of that version or a later one, or the time is up."""
    ends = time.monotonic() + seconds
    while (found := look(coordinator)).silent or found.version < version:
        rest = ends - time.monotonic()
        if rest <= 0:
            break
        time.sleep(min(rest, POLL_SECONDS))
    return found


def document(found: Answers) -> dict[str, Any]:
    """For `--json`."""
    return {
        "taken": found.taken,
        "refused": [_shape(one) for one in found.refused],
        "silent": found.silent,
        "workers": found.workers,
    }


def lines(found: Answers) -> list[Text]:
    """For people."""
    said = []
    if found.taken:
        said.append(Text(f"taken over by {count(found.taken, 'process', 'processes')}", style="green"))
    said += refusals(found)
    if found.silent:
        rest = count(found.silent, "process", "processes")
        said.append(Text(f"not heard of {rest} yet: `coordinator config ls` tells who refuses", style=tables.DIM))
    elif not found.workers:
        said.append(Text(NO_WORKER, style="yellow"))
    return said


def refusals(found: Answers) -> list[Text]:
    """Who could not take all over, and why."""
    return [Text(clean(f"refused by {_who(one)}: {one.refused}"), style="bold red") for one in found.refused]


def verdict(found: Answers) -> int:
    """The exit code: settings that some process cannot have are wrong somewhere."""
    return os.EX_CONFIG if found.refused else os.EX_OK


def _who(one: Answer) -> str:
    return f"{one.kind} {one.host}:{one.pid} ({one.session})"


def _shape(one: Answer) -> dict[str, Any]:
    about = {"session": one.session, "kind": one.kind, "host": one.host, "pid": one.pid}
    return {**about, "version": one.version, "said": one.refused}
