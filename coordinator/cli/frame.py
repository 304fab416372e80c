"""One frame of `top`: the whole namespace at a glance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from coordinator.cli import measured, tables
from coordinator.cli.measured import Measured
from coordinator.cli.words import clean, duration, moment
from coordinator.ops.inspect import ResourceView, Survey

MOST_QUEUES = 12
MOST_RESOURCES = 15
MOST_ALERTS = 4
LATENCIES = ("queue.run", "lock.wait", "queue.batch_size", "batch.work", "retry.delay", "retry.latency", "call.time")
# The counters that tell how fast work moves, under the words of the screen.
RATES = (
    ("claim", "started"),
    ("succeed", "succeeded"),
    ("retry", "retried"),
    ("fail", "failed"),
    ("crash", "crashed"),
    ("bury", "dead"),
    ("grant", "granted"),
    ("release", "released"),
    ("lose", "lost"),
)


@dataclass(frozen=True, slots=True)
class Moment:
    """What a frame shows: the survey, resources from as many of its pages as were read, and what was measured."""

    survey: Survey
    resources: tuple[ResourceView, ...]
    measured: Measured | None = None


def rates(now: Moment, before: Moment | None) -> dict[str, float]:
    """Events per second since the frame before; empty for the first one."""
    if before is None or now.survey.at <= before.survey.at:
        return {}
    passed = now.survey.at - before.survey.at
    old: Mapping[str, int] = before.survey.counters
    return {name: (now.survey.counters.get(name, 0) - old.get(name, 0)) / passed for name, _shown in RATES}


def busiest(found: Sequence[ResourceView], most: int) -> list[ResourceView]:
    """The resources with the longest lines."""
    return sorted(found, key=lambda one: (-one.line_length, one.name))[:most]


def frame(namespace: str, now: Moment, before: Moment | None, *, keys: bool = False) -> RenderableType:
    """The screen; with `keys` it has a terminal to itself, which it fills."""
    survey, moving = now.survey, rates(now, before)
    queues = tables.queues(sorted(survey.queues, key=lambda one: -(one.ready + one.waiting))[:MOST_QUEUES])
    resources = tables.resources(busiest(now.resources, MOST_RESOURCES), survey)
    hidden = len(now.resources) - MOST_RESOURCES
    more = f"{hidden} more" if hidden > 0 else None
    parts: list[RenderableType] = [
        _head(namespace, survey, keys),
        *_alerts(now.measured),
        _panel("throughput", _throughput(survey, moving), keys),
        *_measured(now.measured, keys),
        _panel("queues", queues, keys),
        _panel("resources, longest line first", resources, keys, more),
    ]
    return Group(*parts)


def _panel(title: str, inside: RenderableType, wide: bool, more: str | None = None) -> Panel:
    return Panel(inside, title=title, title_align="left", subtitle=more, border_style=tables.DIM, expand=wide)


def _alerts(found: Measured | None) -> Iterator[RenderableType]:
    raised = measured.raised(found.alerts) if found else []
    yield from measured.silence(found) if found else ()
    if raised:
        yield Text("  ").join([Text(" alerts", style=tables.DIM), *map(measured.line, raised[:MOST_ALERTS])])


def _measured(found: Measured | None, wide: bool) -> Iterator[RenderableType]:
    """How long things take, and breakers, if anybody has told of any."""
    if found is None:
        return
    waits = measured.waits(found.window)
    if waits is not None:
        yield waits
    times = measured.latencies(found.window, *LATENCIES)
    if times.row_count:
        yield _panel(f"latency, last {duration(found.window.seconds)}", times, wide)
    breakers = measured.breakers(found.window)
    if breakers.row_count:
        yield _panel("breakers", breakers, wide)


def _head(namespace: str, survey: Survey, keys: bool) -> Text:
    live = [one for one in survey.sessions if one.expires > survey.at]
    workers = sum(bool(one.fields.get("queues")) for one in live)
    head = Text.assemble((f" {clean(namespace)} ", "bold reverse"), f"  {moment(survey.at)}  ")
    for value, name, style in (
        (workers, "workers", "green" if workers else "yellow"),
        (len(live) - workers, "clients", ""),
        (survey.scheduled, "scheduled", "blue" if survey.scheduled else ""),
        (survey.dead, "failed or dead", "bold red" if survey.dead else ""),
    ):
        head.append(f" {value}", style or tables.DIM).append(f" {name} ", tables.DIM)
    return head.append("  q: quit", tables.DIM) if keys else head


def _throughput(survey: Survey, moving: Mapping[str, float]) -> Table:
    grid = Table.grid(padding=(0, 3, 0, 0))
    grid.add_column(style=tables.DIM, no_wrap=True)
    shown = [(name, label) for name, label in RATES if moving.get(name) or survey.counters.get(name)]
    for _ in shown:
        grid.add_column(justify="right", no_wrap=True)
    grid.add_row("", *(Text(label, style=tables.DIM) for _name, label in shown))
    grid.add_row(
        "per second", *(Text(f"{moving[name]:.1f}" if moving else "-", style="bold") for name, _label in shown)
    )
    grid.add_row("in all", *(Text(short(survey.counters.get(name, 0))) for name, _label in shown))
    return grid


def short(number: int) -> str:
    """`950`, `12.4k`, `3.1M`: a count in few characters."""
    for least, size, unit in ((10**9, 10**9, "G"), (10**6, 10**6, "M"), (10**4, 10**3, "k")):
        if number >= least:
            return f"{number / size:.1f}{unit}"
    return str(number)
