"""Everything about one request or one resource, on one screen."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from coordinator.cli import tables
from coordinator.cli.screen import dumps
from coordinator.cli.sentences import need_sentence, sayings
from coordinator.cli.shapes import seconds
from coordinator.cli.words import clean, count, duration, moment, word
from coordinator.model.lease import Explanation
from coordinator.model.states import State
from coordinator.ops.inspect import LineView

# Fields of a request that have a line of their own, under the word that people use for them.
PLAIN = (
    ("name", "name"),
    ("queue", "queue"),
    ("attempts", "attempts"),
    ("deliveries", "deliveries"),
    ("crashes", "crashes"),
    ("progress", "progress"),
    ("cancel", "told to stop"),
    ("why", "why"),
    ("session", "session"),
    ("fence", "fence"),
    ("dedup", "dedup key"),
)
TIMES = (
    ("since", "since"),
    ("wait_by", "waits until"),
    ("end_by", "ends by"),
    ("expires", "lease until"),
    ("ended", "ended"),
)


def request(found: Explanation) -> RenderableType:
    """`show ID`."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style=tables.DIM)
    grid.add_column(overflow="fold")
    for name, value in _rows(found):
        grid.add_row(name, value)
    needs = [indented(need_sentence(one, found.at)) for one in found.needs]
    return Group(grid, *([Text("needs", style=tables.DIM), *needs] if needs else []))


def indented(sentence: str) -> RenderableType:
    """A sentence below a heading; where it goes on in the next line, that is indented as well."""
    return Padding(Text(sentence), (0, 0, 0, 2), expand=False)


def resource(view: LineView) -> RenderableType:
    """`show RESOURCE`."""
    said = sayings(view.defined)[0 if view.capacity > 1 else 1 :]
    held = count(len(view.holders), "holder")
    told = "".join(f", {term}" for term in said)
    title = Text.assemble((clean(view.name), "bold"), f"{told}: {held}, {count(view.line_length, 'waiter')}")
    parts: list[RenderableType] = [title]
    if view.defined.delayed_until is not None and view.defined.delayed_until > view.at:
        delay = duration(view.defined.delayed_until - view.at)
        parts.append(word(f"granted to nobody for another {delay}: lock_delay after a crash", "yellow"))
    if view.holders:
        parts += ["", tables.holding(view.holders, view.at)]
    if view.waiters:
        parts += ["", tables.waiting(view.waiters)]
    rest = view.line_length - len(view.waiters)
    if rest > 0:
        parts.append(Text(f"... and {rest} more", style=tables.DIM))
    return Group(*parts)


def _rows(found: Explanation) -> Iterator[tuple[str, Text]]:
    yield "id", word(found.ident, "bold")
    yield "kind", word(found.kind)
    yield "state", tables.state(found.state)
    yield "priority", tables.priority(found.priority)
    times = [("asked", found.asked), ("due", found.due)]
    times += [(shown, seconds(found.fields, name)) for name, shown in TIMES]
    if found.state in (State.RUNNING, State.HELD):
        times = [one for one in times if one[0] != "waits until"]  # it has what it waited for
    if found.state.final:
        # What would have happened later no longer matters.
        times = [one for one in times if one[1] is not None and one[1] <= found.at]
    yield from ((shown, _time(at, found.at)) for shown, at in times if at is not None)
    texts = [("owner", found.owner), ("reason", found.reason)]
    texts += [(shown, found.fields.get(name, "")) for name, shown in PLAIN]
    yield from ((shown, word(text)) for shown, text in texts if text)
    if found.stolen_from is not None:
        yield "taken over from", word(found.stolen_from[1])
    if found.queue_place is not None:
        yield "place in queue", word(f"{found.queue_place + 1} of {found.queue_length}")
    if found.metadata:
        yield "metadata", word(dumps(found.metadata, None))


def _time(at: float, now: float) -> Text:
    distance = f"{duration(now - at)} ago" if at <= now else f"in {duration(at - now)}"
    return Text.assemble(moment(at), (f"  {distance}", tables.DIM))
