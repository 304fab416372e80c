"""`coordinator lock`: holds a lock around a command."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from coordinator.cli import guard
from coordinator.cli.failures import Failure
from coordinator.cli.options import PRIORITIES, Common, command, connect, doer
from coordinator.cli.screen import Screen
from coordinator.cli.sentences import person
from coordinator.cli.signals import Signals, numbered
from coordinator.cli.waiting import View, ran_out, stand
from coordinator.cli.words import clean
from coordinator.client import Coordinator
from coordinator.errors import CoordinatorError, InvalidInput, LeaseLost, WaitTimeout
from coordinator.leases import Lease
from coordinator.model.names import milliseconds
from coordinator.model.need import Mode, Need, needs_of
from coordinator.policy.timeout import ADAPTIVE, Wait

EXAMPLES = (
    "coordinator lock infra/prod/vpc -- terraform apply",
    "coordinator lock vpc dns --priority high --wait 60 -- make deploy",
    "coordinator lock db/schema --shared --try -- ./report.sh || echo busy",
    "coordinator lock gpu --permits 2 -- python train.py",
    "coordinator lock site -- sh -c 'deploy --fence $COORDINATOR_FENCE'",
    "coordinator lock reports --priority low --on-yield TERM -- ./nightly.sh",
    "coordinator lock site --priority critical --on-preempt cancel_job --grace 20 -- ./hotfix.sh",
    "coordinator lock site --steal --reason 'the runner hangs' -- ./rollback.sh",
    "coordinator lock billing --durability replicated -- ./run.sh",
    "coordinator lock a -- sh -c 'coordinator lock b --within $COORDINATOR_LEASE_ID --wait 30 -- ./both.sh'",
)


class LockCommand(TyperCommand):
    """Everything behind `--` is the command to run, options of its own included."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        split = args.index("--") if "--" in args else len(args)
        return super().parse_args(ctx, [*args[:split], *(f"--command={one}" for one in args[split + 1 :])])

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "-- COMMAND [ARGS]..."]


@dataclass(frozen=True, slots=True, kw_only=True)
class LockOptions:
    """What is locked, how, and for which command."""

    names: Annotated[list[str], typer.Argument(metavar="NAME", help="The resources; all of them or none.")]
    shared: Annotated[bool, typer.Option("--shared", help="Share them with other shared holders.")] = False
    permits: Annotated[int, typer.Option(help="How many permits of each resource to take.")] = 1
    priority: Annotated[
        str | None,
        typer.Option("--priority", "-p", help=PRIORITIES, show_default="by the rules of priority, else normal"),
    ] = None
    wait: Annotated[
        str | None,
        typer.Option(
            *("--wait", "-w"),
            metavar="SECONDS",
            help='How long to wait in line, or "adaptive": as the fleet has learnt. Without end by default.',
        ),
    ] = None
    now: Annotated[bool, typer.Option("--try", help="Do not wait: exit with 75 if it is not free.")] = False
    steal: Annotated[
        bool, typer.Option("--steal", help="Take it away from whoever holds it, before all who wait. Needs --reason.")
    ] = False
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
    within: Annotated[
        str | None,
        typer.Option(metavar="ID", help="The id of a lock that is held meanwhile: a wait in a circle is ended then."),
    ] = None
    durability: Annotated[
        str | None,
        typer.Option(help="replicated: replicas have the lock before the command runs, else it is given back."),
    ] = None
    owner: Annotated[str | None, typer.Option(help="Who holds it, for people who look; user@host by default.")] = None
    reason: Annotated[str, typer.Option(help="What for, for people who look.")] = ""
    ttl: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Time after which the lock ends by itself, and the command is stopped."),
    ] = None
    on_yield: Annotated[
        str | None,
        typer.Option(metavar="SIGNAL", help="Sent to the command when somebody more urgent asks for the lock."),
    ] = None
    kill_after: Annotated[
        float, typer.Option(metavar="SECONDS", help="Time between SIGTERM and SIGKILL when the lock is lost.")
    ] = 5.0
    command: Annotated[list[str] | None, typer.Option("--command", hidden=True)] = None


def add_to(app: typer.Typer) -> None:
    """Add the command of this file."""
    command(app, "lock", examples=EXAMPLES, cls=LockCommand)(lock)


def lock(options: LockOptions, common: Common) -> int:
    """Hold a lock while a command runs.

    Waits in line for all the resources, runs the command, and releases them when it ends. Its exit code is passed on
    (128 + n when signal n ended it); signals sent to `coordinator lock` are passed to it. If the lock is lost, the
    command gets SIGTERM, and SIGKILL --kill-after seconds later; the exit code is 76 then.

    The command finds COORDINATOR_FENCE, COORDINATOR_LEASE_ID and COORDINATOR_RESOURCES (one a line) in its environment.
    A resource that is written under the fence of its lock should refuse smaller ones.
    """
    words, screen = options.command or [], Screen(common.json)
    if not words:
        raise InvalidInput("command", "", "must be given after --, as in `coordinator lock NAME -- make deploy`")
    milliseconds(options.kill_after, "--kill-after")
    on_yield = None if options.on_yield is None else numbered(options.on_yield)
    guard.runnable(words)
    with Signals() as signals, connect(common, patience=None) as coordinator:
        lease = obtain(coordinator, options, signals, screen)
        if on_yield is not None:
            guard.pass_on_when_asked(lease, on_yield, signals)
        code = guard.run(lease, words, signals, options.kill_after)
        return give_back(lease, code, screen)


def obtain(coordinator: Coordinator, options: LockOptions, signals: Signals, screen: Screen) -> Lease:
    """The lock, after waiting if that is wanted. Raises Failure."""
    mode: Mode = "shared" if options.shared else "exclusive"
    needs = needs_of(Need(one, mode, options.permits) for one in options.names)
    names = ", ".join(one.resource for one in needs)
    asked: dict[str, Any] = {
        "priority": options.priority,
        "owner": _owner(options),
        "reason": options.reason,
        "ttl": options.ttl,
        "within": options.within,
        "durability": options.durability,
    }
    _refuse_contrary(options)
    if options.steal:
        return stolen(coordinator, options, needs, asked)
    if options.now:
        lease = coordinator.try_acquire(needs, **asked)
        if lease is None:
            raise busy(coordinator, needs)
        return lease
    try:
        how: dict[str, Any] = {"on_preempt": options.on_preempt, "grace": options.grace}
        ticket = coordinator.request(needs, wait=patience(options.wait), **asked, **how)
    except WaitTimeout:
        raise ran_out(names, 0) from None
    return stand(ticket, View(lambda: coordinator.explain(ticket.ident), names, screen), ticket.may_wait, signals)


def stolen(coordinator: Coordinator, options: LockOptions, needs: tuple[Need, ...], asked: dict[str, Any]) -> Lease:
    """The lock, taken from whoever holds it. Raises InvalidInput."""
    if not options.reason:
        raise InvalidInput("--reason", "", "must be given: who loses the lock will read it")
    return coordinator.steal(needs, by=asked["owner"], **asked)


def patience(text: str | None) -> Wait:
    """How long to wait, from `--wait`. Raises InvalidInput."""
    if text is None or text == ADAPTIVE:
        return None if text is None else "adaptive"
    try:
        return float(text)
    except ValueError:
        raise InvalidInput("--wait", text, 'must be a number of seconds or "adaptive"') from None


def busy(coordinator: Coordinator, needs: tuple[Need, ...]) -> Failure:
    """The failure for a lock that is not free, naming who is in the way."""
    for need in needs:
        view = coordinator.line(need.resource)
        if view.holders or view.waiters:
            how = "held by" if view.holders else "waited for by"
            who = person((view.holders or view.waiters)[0], view.at)
            return Failure(os.EX_TEMPFAIL, f"{need.resource} is {how} {who}", "--wait SECONDS stands in line")
    return Failure(os.EX_TEMPFAIL, f"{needs[0].resource} was not free", "it is now: try again")


def give_back(lease: Lease, code: int, screen: Screen) -> int:
    """Release, and pass the command's exit code on. Raises Failure if the lock had been lost meanwhile."""
    try:
        lease.release()
    except LeaseLost:
        raise guard.lost(lease) from None
    except CoordinatorError as error:
        # The command is done, and what it held ends with the session: no reason to call its work a failure.
        screen.note(clean(f"coordinator: the lock was not released and will lapse: {error}"))
    return code


def _refuse_contrary(options: LockOptions) -> None:
    """Nothing that was said is left out silently. Raises InvalidInput."""
    waits = {"--wait": options.wait, "--on-preempt": options.on_preempt, "--grace": options.grace}
    said = [name for name, value in waits.items() if value is not None]
    if options.steal and (said or options.now):
        raise InvalidInput(
            "--steal", True, f"does not wait in line, so it does not go with {said[0] if said else '--try'}"
        )
    if options.now and said:
        raise InvalidInput("--try", True, f"does not wait, so it does not go with {said[0]}")


def _owner(options: LockOptions) -> str:
    return doer(None) if options.owner is None else options.owner
