"""`coordinator doctor`: proves the invariants of a live namespace, and mends what is broken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from coordinator.cli import tables
from coordinator.cli.failures import FAILED
from coordinator.cli.options import Common, command, connect
from coordinator.cli.screen import Screen
from coordinator.cli.words import clean, count, word
from coordinator.doctor import examine
from coordinator.ops.doctor import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorOptions:
    """Whether to mend."""

    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended.")] = False


def add_to(app: typer.Typer) -> None:
    """Add the command of this file."""
    command(app, "doctor", examples=("coordinator doctor", "coordinator doctor --fix --json"))(doctor)


def doctor(options: DoctorOptions, common: Common) -> int:
    """Examine server and namespace for faults; exits with 1 if any is left.

    Safe on a namespace in use: each request and resource is judged at one moment, so traffic is no fault.
    """
    screen = Screen(common.json)
    with connect(common) as coordinator:
        with screen.progress("examining") as tell:
            report = examine(coordinator, fix=options.fix, progress=tell)
        screen.show(document(coordinator.settings.namespace, report), *views(report))
    return FAILED if left(report) else 0


def left(report: Report) -> int:
    """How many faults are still there."""
    return sum(not one.fixed for one in report.problems)


def document(namespace: str, report: Report) -> dict[str, Any]:
    """`doctor --json`."""
    problems = [
        {"kind": one.kind, "subject": one.subject, "detail": one.detail, "fixed": one.fixed} for one in report.problems
    ]
    return {
        "namespace": namespace,
        "server": report.server,
        "checked": report.checked,
        "fixed": report.fixed,
        "healthy": not left(report),
        "problems": problems,
    }


def views(report: Report) -> list[RenderableType]:
    """The findings and a summary."""
    table = tables.columns("", "KIND", "SUBJECT", "DETAIL")
    for one in report.problems:
        mark = Text("fixed", style="green") if one.fixed else Text("fault", style="bold red")
        table.add_row(mark, word(one.kind), word(one.subject), word(one.detail))
    rest = left(report)
    verdict = Text("healthy", style="green") if not rest else Text(count(rest, "fault"), style="bold red")
    checked = count(report.checked, "key and record", "keys and records")
    summary = Text.assemble(verdict, f": {checked} examined, {report.fixed} mended ({clean(report.server)})")
    return [table, "", summary] if report.problems else [summary]
