"""The end of a storm: what became of each scene, for people and as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rich.box import HORIZONTALS
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from coordinator_demo.storm.scenes import Scene


def as_json(judged: Sequence[Scene]) -> dict[str, Any]:
    """The report as plain data; a figure that nothing is known of is null."""
    return {
        "held": all(one.held for one in judged),
        "problems": problems(judged),
        "scenes": {one.name: {"held": one.held, **{k: _plain(v) for k, v in one.figures.items()}} for one in judged},
    }


def problems(judged: Sequence[Scene]) -> list[str]:
    """Everything that does not hold."""
    return [f"{one.name}: {text}" for one in judged for text in one.problems]


def as_tables(judged: Sequence[Scene]) -> RenderableType:
    """The report for a terminal."""
    table = Table(box=HORIZONTALS, pad_edge=False, header_style="dim", expand=True)
    table.add_column("", width=5, no_wrap=True)
    table.add_column("what happened", width=26)
    table.add_column("what became of it", ratio=1)
    for number, one in enumerate(judged, 1):
        mark = Text("held", style="bold green") if one.held else Text("broke", style="bold red")
        table.add_row(mark, Text(one.title), _lines(one.told), end_section=number < len(judged))
    return Group(Text(), table, _verdict(judged))


def _lines(told: Sequence[str]) -> Table:
    """One sentence each; what does not fit into a line goes on under itself."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=1, style="dim")
    grid.add_column(overflow="fold")
    for text in told:
        grid.add_row("·", text)
    return grid


def _verdict(judged: Sequence[Scene]) -> Panel:
    found = problems(judged)
    if not found:
        text = Text(f"all {len(judged)} claims hold, by the events, the metrics and the dependency's own book")
        return Panel(text, title="[bold]Verdict: weathered", border_style="green", title_align="left")
    return Panel(
        Text("\n".join(found)), title=f"[bold]Verdict: {len(found)} problems", border_style="red", title_align="left"
    )


def _plain(value: float | int | str) -> float | int | str | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value
