"""The question before what cannot be undone."""

from __future__ import annotations

import os
import sys

import typer

from coordinator.cli.failures import Failure
from coordinator.cli.words import clean
from coordinator.client import Coordinator
from coordinator.model.lease import Explanation


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
