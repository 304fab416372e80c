"""Lists for people: plain columns, one thing a line, so that they read the same on a terminal and through grep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from rich.table import Table
from rich.text import Text

from coordinator.cli.sentences import MOST_SESSIONS, lapsed
from coordinator.cli.words import clean, duration, moment, word
from coordinator.model.definition import BY_PRIORITY
from coordinator.model.lease import Person
from coordinator.model.names import Priority
from coordinator.ops.history import DeadJob, Happening
from coordinator.ops.inspect import QueueView, ResourceView, SessionView, Survey

STATE_STYLES = {
    "held": "green",
    "running": "green",
    "succeeded": "green",
    "ready": "cyan",
    "waiting": "yellow",
    "scheduled": "blue",
    "failed": "red",
    "dead": "bold red",
    "lost": "red",
}
PRIORITY_STYLES = {Priority.HIGH: "yellow", Priority.CRITICAL: "red", Priority.EMERGENCY: "bold red"}
DIM = "bright_black"
MOST_HOLDERS = 3


def columns(*names: str, right: Sequence[str] = ()) -> Table:
    """A table without lines. Nothing in it is ever cut: what is too long goes on below."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in names:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return table


def state(name: str) -> Text:
    """A state in its colour."""
    return word(name, STATE_STYLES.get(name, ""))


def priority(value: Priority) -> Text:
    """A priority, the urgent ones in colour."""
    return Text(value.name.lower(), style=PRIORITY_STYLES.get(value, ""))


def resources(found: Iterable[ResourceView], survey: Survey, owners: Mapping[str, str] = MappingProxyType({})) -> Table:
    """`ls`: what is held or waited for. `owners` of holders by their ids, as far as they are known."""
    table = columns("RESOURCE", "CAPACITY", "LINE", "HOLDERS", right=("CAPACITY", "LINE"))
    live = live_sessions(survey)
    for one in found:
        line = word(one.line_length, "yellow" if one.line_length else DIM)
        held = holders(one.holders, survey.at, live, owners)
        if one.defined.mode != BY_PRIORITY:
            line.append(f" {one.defined.mode}", DIM)
        table.add_row(word(one.name), word(one.capacity, DIM), line, held)
    return table


def live_sessions(survey: Survey) -> frozenset[str] | None:
    """The ids of all live sessions; None if the survey does not name them all."""
    if len(survey.sessions) >= MOST_SESSIONS:
        return None
    return frozenset(one.ident for one in survey.sessions if one.expires > survey.at)


def holders(
    found: Mapping[str, str], at: float, live: frozenset[str] | None, owners: Mapping[str, str] = MappingProxyType({})
) -> Text:
    """The ids of holders, with their owners and how they hold it, lapsed ones marked."""
    parts = [
        _holder(ident, value, at, live, owners.get(ident, "")) for ident, value in sorted(found.items())[:MOST_HOLDERS]
    ]
    if len(found) > MOST_HOLDERS:
        parts.append(Text(f"{len(found) - MOST_HOLDERS} more", style=DIM))
    return Text(", ").join(parts) if parts else Text("-", style=DIM)


def _holder(ident: str, value: str, at: float, live: frozenset[str] | None, owner: str) -> Text:
    # `x 1 <fence> <session> <expires ms>`: see the holders of the key table.
    mode, permits, _fence, session, expires = (value.split(" ") + [""] * 5)[:5]
    shown = word(ident, "green")
    if owner:
        shown.append(f" ({clean(owner)})")
    if mode == "s":
        shown.append(" shared", DIM)
    elif permits not in ("1", ""):
        shown.append(f" x{clean(permits)}", DIM)
    if (live is not None and session not in live) or (expires.isdigit() and int(expires) / 1000 <= at):
        shown.append(" lapsed", "bold red")
    return shown


def queues(found: Iterable[QueueView]) -> Table:
    """`ls --queues`."""
    numbers = ("READY", "WAITING", "IDLE WORKERS")
    table = columns("QUEUE", *numbers, right=numbers)
    for one in found:
        starved = bool(one.ready) and not one.idle_workers
        ready = word(one.ready, "yellow" if starved else "cyan" if one.ready else DIM)
        waiting = word(one.waiting, "yellow" if one.waiting else DIM)
        table.add_row(word(one.name), ready, waiting, word(one.idle_workers, "green" if one.idle_workers else DIM))
    return table


def sessions(found: Iterable[SessionView], at: float) -> Table:
    """`ls --sessions`."""
    table = columns("SESSION", "KIND", "HOST", "PID", "UP", "HOLDS", "LAPSES IN", "QUEUES", right=("PID", "HOLDS"))
    for one in found:
        fields, since = one.fields, one.fields.get("since", "")
        rest = one.expires - at
        table.add_row(
            word(one.ident),
            word(fields.get("kind", "")),
            word(fields.get("host", "")),
            word(fields.get("pid", "")),
            word(duration(at - int(since) / 1000) if since.isdigit() else ""),
            word(one.holdings),
            word(duration(rest), DIM) if rest > 0 else word("lapsed", "bold red"),
            word(fields.get("queues", "")),
        )
    return table


def dead(found: Iterable[DeadJob], at: float) -> Table:
    """`ls --dead`."""
    table = columns("JOB", "STATE", "NAME", "QUEUE", "ENDED", "ATTEMPTS", "WHY", right=("ATTEMPTS",))
    for one in found:
        ended = f"{duration(at - one.ended)} ago" if one.ended is not None else ""
        cells = (word(one.name), word(one.queue), word(ended), word(one.attempts), word(one.why))
        table.add_row(word(one.ident), state(one.state), *cells)
    return table


def holding(found: Iterable[Person], at: float) -> Table:
    """The holders of a resource."""
    table = columns("HOLDS", "ID", "PRIORITY", "OWNER", "STATE", "SINCE", "REASON")
    for one in found:
        since = f"{duration(at - one.since)} ago" if one.since is not None else ""
        table.add_row(
            word("shared" if one.mode == "shared" else one.permits),
            word(one.ident),
            priority(one.priority),
            word(one.owner or one.name),
            word("lapsed", "bold red") if lapsed(one, at) else state(one.state),
            word(since),
            word(one.reason),
        )
    return table


def waiting(found: Iterable[Person]) -> Table:
    """The line of a resource, from the head."""
    table = columns("PLACE", "ID", "KIND", "PRIORITY", "OWNER", "STATE", "REASON", right=("PLACE",))
    for place, one in enumerate(found, 1):
        cells = (priority(one.priority), word(one.owner or one.name), state(one.state), word(one.reason))
        table.add_row(word(place), word(one.ident), word(one.kind), *cells)
    return table


def stats(survey: Survey) -> Table:
    """`stats`: counters since the namespace began, and what there is now."""
    table = columns("COUNTER", "VALUE", right=("VALUE",))
    now = {"sessions": len(survey.sessions), "scheduled": survey.scheduled, "failed or dead": survey.dead}
    for name, value in now.items():
        table.add_row(word(name, "bold"), word(value))
    for name, value in survey.counters.items():
        table.add_row(word(name), word(value))
    return table


def happening(one: Happening) -> Text:
    """An event in one line: when, what, to whom, and its fields."""
    shown = Text.assemble((moment(one.at), DIM), "  ", (f"{clean(one.event):<12}", "bold"), " ", clean(one.subject))
    for name, value in one.fields.items():
        style = STATE_STYLES.get(value, "") if name == "state" else ""
        said = moment(int(value) / 1000) if name == "until" and value.isdecimal() else value
        shown.append(f"  {clean(name)}=", DIM).append(clean(said), style)
    return shown
