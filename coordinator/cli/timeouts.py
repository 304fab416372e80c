"""`coordinator timeouts`: how the adaptive timeouts of the fleet stand, and what they follow from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from coordinator.cli import tables
from coordinator.cli.measured import seconds
from coordinator.cli.options import Common, command, connect, scope_of
from coordinator.cli.screen import Screen
from coordinator.cli.words import clean, count, duration, word
from coordinator.client import Coordinator
from coordinator.model.lease import Explanation
from coordinator.model.names import one_of
from coordinator.model.states import FINAL, State
from coordinator.ops import lessons, timing
from coordinator.ops.lessons import NOTHING_LEARNT, Learnt
from coordinator.ops.timing import TimeoutView
from coordinator.policy.adaptive import BASES, LOCK, MARGIN, OPERATION, QUEUE, SHARE

EXAMPLES = (
    "coordinator timeouts",
    "coordinator timeouts --type operation",
    "coordinator timeouts --json | jq '.timeouts[] | select(.timeouts > 0)'",
)
OTHERS = "(all others)"
NONE: Mapping[str, Learnt] = {}
# In the record of a request whose wait was shrunk.
SHRUNK_WORDS = 4
NUMBERS = ("BASE", "NOW", "P50", "P99", "OK", "CUT OFF")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeoutOptions:
    """Which timeouts."""

    type: Annotated[
        str | None, typer.Option("--type", help=f"Only those of one type: {', '.join(BASES)}.", show_default=False)
    ] = None


def add_to(app: typer.Typer) -> None:
    """Add the command of this file."""
    command(app, "timeouts", examples=EXAMPLES)(timeouts)


def timeouts(options: TimeoutOptions, common: Common) -> None:
    """List adaptive timeouts with what was seen in the last 24 hours.

    For each resource, queue or handler: the base it began from, the timeout now, the latencies it follows from, how
    many succeeded and were cut off, how far a handler is escalated, and the strategy. Without a strategy nobody goes by
    it: it is only counted.
    """
    if options.type is not None:
        one_of(options.type, "--type", tuple(BASES))
    with connect(common) as coordinator:
        found = coordinator.run(timing.look(scope_of(coordinator)))
        names = [one.name for one in found if one.kind == OPERATION and one.name]
        policy = coordinator.settings.escalation.policy()
        known = coordinator.run(lessons.learnt(scope_of(coordinator), names, policy))
    shown = sorted((one for one in found if options.type in (None, one.kind)), key=lambda one: (one.kind, one.name))
    document = {"namespace": coordinator.settings.namespace, "timeouts": [shape(one, known) for one in shown]}
    Screen(common.json).show(document, table(shown, known) if shown else Text("nothing was seen yet", style=tables.DIM))


def shape(one: TimeoutView, known: Mapping[str, Learnt] = NONE) -> dict[str, Any]:
    """One timeout for `--json`; `name` is null for all that are counted together, `level` for what has none."""
    learnt = known.get(one.name) if one.kind == OPERATION else None
    return {
        "type": one.kind,
        "name": one.name or None,
        "base": one.base,
        "current": one.current,
        "strategy": one.strategy or None,
        "p50": one.seen.latencies.quantile(0.5),
        "p99": one.seen.latencies.quantile(SHARE),
        "successes": one.seen.successes,
        "timeouts": one.seen.timeouts,
        "level": learnt.escalation.level if learnt else None,
        "moves": one.version,
        "moved": one.moved_at,
        "seen": one.seen_at,
    }


def table(found: Sequence[TimeoutView], known: Mapping[str, Learnt] = NONE) -> Table:
    """The list for people."""
    made = tables.columns("TYPE", "NAME", *NUMBERS, "LEVEL", "STRATEGY", right=(*NUMBERS, "LEVEL"))
    for one in found:
        name = word(one.name) if one.name else Text(OTHERS, style=tables.DIM)
        figures = (
            duration(one.base),
            duration(one.current),
            *(_seconds(one.seen.latencies.quantile(share)) for share in (0.5, SHARE)),
            str(one.seen.successes),
            str(one.seen.timeouts),
        )
        made.add_row(one.kind, name, *figures, _level(one, known), word(one.strategy or "-"))
    return made


def _level(one: TimeoutView, known: Mapping[str, Learnt]) -> Text:
    """How far the handler is escalated, and what its time is multiplied by."""
    found = known.get(one.name) if one.kind == OPERATION else None
    level = found.escalation.level if found else 0
    return word(f"{level} (x{found.escalation.factor:.3g})", "yellow") if found and level else Text("-", tables.DIM)


def learnt_of(coordinator: Coordinator, found: Explanation) -> Learnt:
    """What the fleet has learnt of the handler of a job that is not over."""
    name = found.fields.get("name", "")
    if found.kind != "job" or not name or found.state in FINAL:
        return NOTHING_LEARNT
    policy = coordinator.settings.escalation.policy()
    return coordinator.run(lessons.learnt(scope_of(coordinator), [name], policy))[name]


def of_request(found: Explanation) -> list[str]:
    """The names under which the timeouts that a request is under now are counted."""
    if found.kind == "job" and found.state is State.RUNNING:
        return [timing.key_of(OPERATION, found.fields["name"])]
    if found.state not in (State.WAITING, State.READY) or "learnt" not in found.fields:
        return []
    if found.kind == "job":
        return [timing.key_of(QUEUE, found.fields["queue"])]
    return [timing.key_of(LOCK, one.need.resource) for one in found.needs[: timing.MOST_NEEDS]]


def sentences(found: Explanation, views: Iterable[TimeoutView]) -> list[str]:
    """Which timeout a request has, and what it was chosen from."""
    run_ms, learnt = found.fields.get("run_ms"), found.fields.get("learnt")
    if found.state is State.RUNNING and run_ms:
        return [f"Its run may take {duration(int(run_ms) / 1000)}: whoever submitted it said so."]
    waits = found.state is not State.RUNNING and bool(of_request(found))
    said = _wait(int(learnt or 0), found.fields.get("shrunk", "")) if waits else []
    return said + [basis(one) for one in views if one.strategy]


def _wait(learnt_ms: int, shrunk: str) -> list[str]:
    """How long it may wait; the record says how many ms are left of what was learnt, and the queue or the line, how
    many were there, and its limit."""
    words = shrunk.split()
    if len(words) != SHRUNK_WORDS or not all(one.isdecimal() for one in (words[0], *words[2:])):
        return [f"It may wait {duration(learnt_ms / 1000)}, which is adaptive."]
    what = "its queue" if words[1] == "queue" else "a line"
    return [
        f"It may wait {duration(int(words[0]) / 1000)}, which is adaptive: shrunk from {duration(learnt_ms / 1000)}, "
        f"because {what} had {words[2]} of at most {words[3]} when it came."
    ]


def basis(one: TimeoutView) -> str:
    """What a timeout is now, and the figures it follows from."""
    what = {OPERATION: "Runs of", LOCK: "Waits for", QUEUE: "Waits in queue"}.get(one.kind, one.kind)
    now = (
        f"{what} {clean(one.name or OTHERS)} may take {duration(one.current)} now (adaptive, base {duration(one.base)})"
    )
    seen, latency = one.seen, one.seen.latencies.quantile(SHARE)
    if latency is None:
        return f"{now}: nothing was seen in the last 24 hours."
    ended = f"{count(seen.successes, 'success', 'successes')} and {count(seen.timeouts, 'timeout')} in 24 hours"
    if one.strategy == "success_rate":
        return f"{now}: by success_rate from a rate of {seen.rate:.3f}, {ended}."
    return f"{now}: by quantile toward p99 {latency:.3g} s x {MARGIN:g} within its bounds, {ended}."


def _seconds(value: float | None) -> str:
    return "-" if value is None else seconds(value)
