"""One frame of `top`: the whole namespace at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from coordinator.cli import tables
from coordinator.cli.words import clean, moment
from coordinator.ops.inspect import ResourceView, Survey

MOST_QUEUES = 12
MOST_RESOURCES = 15
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
    """What a frame shows: the survey, and resources from as many of its pages as were read."""

    survey: Survey
    resources: tuple[ResourceView, ...]


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
    parts: list[RenderableType] = [
        _head(namespace, survey, keys),
        Panel(
            _throughput(survey, moving), title="throughput", title_align="left", border_style=tables.DIM, expand=keys
        ),
        Panel(queues, title="queues", title_align="left", border_style=tables.DIM, expand=keys),
        Panel(
            resources,
            title="resources, longest line first",
            title_align="left",
            subtitle=f"{hidden} more" if hidden > 0 else None,
            border_style=tables.DIM,
            expand=keys,
        ),
    ]
    return Group(*parts)


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
