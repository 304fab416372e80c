"""Jobs from the command line: submit, cancel, reprioritise, replay."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.status import Status

from coordinator.cli.failures import Failure
from coordinator.cli.options import PRIORITIES, By, Common, command, connect, doer, scope_of
from coordinator.cli.screen import Screen, dumps
from coordinator.cli.words import count, word
from coordinator.client import Coordinator, JobTicket
from coordinator.errors import InvalidInput, NotFound, Refused
from coordinator.model.names import Priority
from coordinator.ops import history
from coordinator.ops.likeness import Similar
from coordinator.ops.submission import Dedup

Ident = Annotated[str, typer.Argument(metavar="ID", help="The id of the request.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitOptions:
    """The job."""

    name: Annotated[str, typer.Argument(metavar="NAME", help="The handler, such as deploy.apply.")]
    payload: Annotated[str, typer.Option(help="JSON, @FILE or - for stdin.")] = "null"
    resource: Annotated[
        list[str] | None, typer.Option("--resource", "-r", help="A resource it holds while it runs; may be repeated.")
    ] = None
    priority: Annotated[
        str | None,
        typer.Option("--priority", "-p", help=PRIORITIES, show_default="by the rules of priority, else normal"),
    ] = None
    queue: Annotated[str, typer.Option("--queue", "-q", help="The queue that its workers subscribe to.")] = "default"
    delay: Annotated[float, typer.Option(metavar="SECONDS", help="How long until it is queued.")] = 0
    wait_timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="How long it may wait for its start.")
    ] = None
    run_timeout: Annotated[float | None, typer.Option(metavar="SECONDS", help="How long each run may take.")] = None
    dedup: Annotated[str | None, typer.Option(metavar="KEY", help="One job at a time with this key.")] = None
    on_conflict: Annotated[
        str | None, typer.Option(help="If there is one with the key: reject, join (the default), replace or rerun.")
    ] = None
    on_similar: Annotated[
        str | None,
        typer.Option(help="Compare its text with that of earlier jobs, and if one is alike: report, reject or join."),
    ] = None
    on_preempt: Annotated[
        str | None,
        typer.Option(
            help="Less urgent holders are asked to let go (ask), jobs to go back to their place (cancel_job)."
        ),
    ] = None
    grace: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="How long a job that is asked to cancel has to wind up; 30 by default."),
    ] = None
    owner: Annotated[str, typer.Option(help="Who wants it, for people who look.")] = ""
    reason: Annotated[str, typer.Option(help="What for, for people who look.")] = ""
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end and print its result.")] = False
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="With --wait: how long to wait; the job goes on.")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOptions:
    """Which request, and why."""

    ident: Ident
    reason: Annotated[str | None, typer.Option(help="Why, for people who look.")] = None
    by: By = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReprioritiseOptions:
    """Which request, and its new priority."""

    ident: Ident
    priority: Annotated[str, typer.Argument(metavar="PRIORITY", help="low, normal, high, critical or emergency.")]
    reason: Annotated[str | None, typer.Option(help="Why, for the audit.")] = None
    by: By = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """Which job, or all of them."""

    ident: Annotated[str | None, typer.Argument(metavar="[ID]", help="The id of the job.")] = None
    all_dead: Annotated[bool, typer.Option("--all-dead", help="All jobs that failed or are dead now.")] = False


def add_to(app: typer.Typer) -> None:
    """Add the commands of this file."""
    submits = (
        "coordinator submit report.build",
        "coordinator submit deploy.apply --payload '{\"pull\": 1498}' -r vpc --wait",
        "coordinator submit mail.send --payload @mail.json -q bulk -p low",
        'coordinator submit triage --payload \'{"title": "Login fails"}\' --on-similar reject',
        "coordinator submit cache.warm --dedup front-page --on-conflict rerun",
    )
    command(app, "submit", examples=submits)(submit)
    command(app, "cancel", examples=("coordinator cancel k3f9x2a7qp0d-1c --reason 'wrong branch'",))(cancel)
    urgent = ("coordinator reprioritise k3f9x2a7qp0d-1c critical --reason 'site is down'",)
    command(app, "reprioritise", examples=urgent)(reprioritise)
    replays = ("coordinator replay k3f9x2a7qp0d-1c", "coordinator ls --dead && coordinator replay --all-dead")
    command(app, "replay", examples=replays)(replay)


def submit(options: SubmitOptions, common: Common) -> None:
    """Hand in a job for the workers; prints its id, or with --wait its result as JSON."""
    payload, screen = read_payload(options.payload), Screen(common.json)
    if options.timeout is not None and not options.wait:
        raise InvalidInput("--timeout", options.timeout, "goes only with --wait")
    if options.on_conflict is not None and options.dedup is None:
        raise InvalidInput("--on-conflict", options.on_conflict, "goes only with --dedup KEY")
    with connect(common, patience=None) as coordinator:
        ticket = coordinator.submit(options.name, payload, **submission(options))
        said: dict[str, Any] = {"id": ticket.ident, "duplicate": ticket.duplicate, "replaced": ticket.replaced}
        if options.on_similar is not None or ticket.similar is not None:
            said["similar"] = None if ticket.similar is None else ticket.similar._asdict()
        if not options.wait:
            screen.show(said, word(ticket.ident))
            return
        result = await_result(ticket, options.timeout, screen)
    screen.show({**said, "state": "succeeded", "result": result}, dumps(result))


def submission(options: SubmitOptions) -> dict[str, Any]:
    """The options of a job, as the client knows them."""
    dedup = None if options.dedup is None else Dedup(options.dedup, options.on_conflict or "join")  # type: ignore[arg-type]
    return {
        "resources": options.resource or (),
        "priority": options.priority,
        "queue": options.queue,
        "dedup": dedup,
        "similar": None if options.on_similar is None else Similar(on_similar=options.on_similar),  # type: ignore[arg-type]
        "delay": options.delay,
        "wait_timeout": options.wait_timeout,
        "run_timeout": options.run_timeout,
        "on_preempt": options.on_preempt,
        "grace": options.grace,
        "owner": options.owner,
        "reason": options.reason,
    }


def await_result(ticket: JobTicket, timeout: float | None, screen: Screen) -> Any:
    """The result, with a spinner for whoever watches."""
    if not screen.lively:
        return ticket.result(timeout)
    with Status(word(f"waiting for {ticket.ident}"), console=screen.err):
        return ticket.result(timeout)


def read_payload(given: str) -> Any:
    """JSON from the command line, a file or stdin. Raises Failure."""
    where = "stdin" if given == "-" else given[1:] if given.startswith("@") else "--payload"
    try:
        if given == "-":
            given = sys.stdin.read()
        elif given.startswith("@"):
            given = Path(where).read_text(encoding="utf-8")
        return json.loads(given)
    except OSError as error:
        raise Failure(os.EX_NOINPUT, f"{where}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise Failure(os.EX_DATAERR, f"{where} is not JSON: {error}", "a string needs its quotes: '\"text\"'") from None


def cancel(options: CancelOptions, common: Common) -> None:
    """Take a request out of its lines and its queue; a running job is told to stop.

    A held lock is not cancelled: `coordinator release ID --force` takes it away.
    """
    with connect(common) as coordinator:
        over = coordinator.cancel(options.ident, options.reason, by=doer(options.by))
    said = f"{options.ident} is cancelled" if over else f"{options.ident} runs, and was told to stop"
    Screen(common.json).show({"id": options.ident, "cancelled": over, "told": not over}, word(said))


def reprioritise(options: ReprioritiseOptions, common: Common) -> None:
    """Change the priority of a request that waits; its time of arrival counts as before."""
    wanted: Any = int(options.priority) if options.priority.isdigit() else options.priority
    priority = Priority.of(wanted).name.lower()
    with connect(common) as coordinator:
        coordinator.reprioritise(options.ident, priority, reason=options.reason, by=doer(options.by))
    screen = Screen(common.json)
    screen.show({"id": options.ident, "priority": priority}, word(f"{options.ident} has priority {priority}"))


def replay(options: ReplayOptions, common: Common) -> int:
    """Queue failed or dead jobs again, their payloads as they were."""
    screen = Screen(common.json)
    if (options.ident is None) != options.all_dead:
        raise InvalidInput("ID", options.ident or "", "must be given, or else --all-dead, and not both")
    with connect(common) as coordinator:
        if options.ident is not None:
            coordinator.replay(options.ident)
            screen.show({"replayed": [options.ident], "refused": []}, word(f"{options.ident} is queued again"))
            return 0
        return replay_all(coordinator, screen)


def replay_all(coordinator: Coordinator, screen: Screen) -> int:
    """Replay page by page, and say what became of it."""
    replayed: list[str] = []
    refused: list[dict[str, str]] = []
    with screen.progress("queueing again") as tell:
        for ident, total in dead_idents(coordinator, refused):
            try:
                coordinator.replay(ident)
                replayed.append(ident)
            except (Refused, NotFound) as error:
                refused.append({"id": ident, "error": str(error)})
            tell(len(replayed) + len(refused), total)
    lines = [word(f"{one['id']}: {one['error']}", "red") for one in refused]
    screen.show({"replayed": replayed, "refused": refused}, *lines, word(f"{count(len(replayed), 'job')} queued again"))
    return os.EX_TEMPFAIL if refused else 0


def dead_idents(coordinator: Coordinator, refused: list[dict[str, str]]) -> Iterator[tuple[str, int]]:
    """The ids of all jobs that are dead now, each with how many there are.

    Those that were refused stay at the front and are left out; a job that dies again meanwhile is not taken again.
    """
    scope = scope_of(coordinator)
    page = coordinator.run(history.dead(scope))
    until, total = page.at, page.total
    while page.jobs:
        for one in page.jobs:
            yield one.ident, total
        page = coordinator.run(history.dead(scope, skip=len(refused), until=until))
