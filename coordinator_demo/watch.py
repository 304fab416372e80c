"""What can be seen of a run while it goes on: one survey after the other, as a live view or as plain lines."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from coordinator import Coordinator
from coordinator.model.lease import Person
from coordinator.ops.inspect import LineView, ResourceView
from coordinator_demo.trace import split

MOST_PAGES = 10
MOST_LINES = 10
SPARKS = " ▁▂▃▄▅▆▇█"
SPARK_SECONDS = 0.5
SPARK_COUNT = 60
BAR_WIDTH = 10


@dataclass(frozen=True, slots=True)
class Glance:
    """A namespace at one moment. `lines` are the busiest resources, `counters` what has happened since it began."""

    elapsed: float
    held: int
    waiting_in: int
    longest: int
    lines: tuple[LineView, ...]
    counters: dict[str, int]

    @property
    def asked(self) -> int:
        return self._count("ask")

    @property
    def granted(self) -> int:
        return self._count("grant", "claim")

    @property
    def over(self) -> int:
        return self._count("release", "succeed", "fail", "cancel", "expire", "lose", "bury")

    @property
    def waiting(self) -> int:
        return max(0, self.asked + self._count("give_back", "crash", "due") - self.granted)

    @property
    def holding(self) -> int:
        return max(0, self.asked - self.waiting - self.over)

    @property
    def joined(self) -> int:
        return self._count("join")

    def _count(self, *names: str) -> int:
        return sum(self.counters.get(name, 0) for name in names)


def look(co: Coordinator, elapsed: float, detailed: bool) -> Glance:
    """Look once. With `detailed`, who holds and who waits on the busiest resources."""
    resources: list[ResourceView] = []
    counters: dict[str, int] = {}
    after = ""
    for _ in range(MOST_PAGES):
        page = co.survey(after)
        resources += page.resources
        counters = dict(page.counters)
        if not page.more:
            break
        after = page.resources[-1].name
    busiest = sorted(resources, key=_business)[: MOST_LINES if detailed else 0]
    return Glance(
        elapsed=elapsed,
        held=sum(bool(one.holders) for one in resources),
        waiting_in=sum(one.line_length > 0 for one in resources),
        longest=max((one.line_length for one in resources), default=0),
        lines=tuple(co.line(one.name) for one in busiest),
        counters=counters,
    )


def plain(glance: Glance, seconds: float, pulls: int) -> str:
    """One line of progress."""
    rate = glance.granted / glance.elapsed if glance.elapsed > 0 else 0.0
    return (
        f"{glance.elapsed:5.1f} s of {seconds:.0f}: {glance.over} of {pulls} pulls over, {glance.holding} holding, "
        f"{glance.waiting} waiting in {glance.waiting_in} lines (longest {glance.longest}), "
        f"{rate:.1f} grants/s, {glance.joined} duplicates joined"
    )


class LiveView:
    """The view for a terminal. `show` takes the newest glance and draws everything anew."""

    def __init__(self, seconds: float, pulls: int, title: str) -> None:
        self._seconds, self._pulls, self._title = seconds, pulls, title
        self._grants: deque[int] = deque([0] * SPARK_COUNT, maxlen=SPARK_COUNT)
        self._window = (0.0, 0)
        self._places: list[str] = []

    def show(self, glance: Glance) -> RenderableType:
        """The whole view."""
        began, granted = self._window
        if glance.elapsed - began >= SPARK_SECONDS:
            self._grants.append(glance.granted - granted)
            self._window = (glance.elapsed, glance.granted)
        body = Group(self._progress(glance), Text(), self._numbers(glance), Text(), self._table(glance))
        return Panel(body, title=f"[bold]{self._title}", border_style="cyan", padding=(1, 2))

    def _progress(self, glance: Glance) -> RenderableType:
        grid = Table.grid(padding=(0, 2), expand=True)
        grid.add_column(no_wrap=True)
        grid.add_column(ratio=1)
        grid.add_column(justify="right", no_wrap=True)
        bar = ProgressBar(total=self._pulls, completed=glance.over, complete_style="cyan")
        grid.add_row(f"{glance.elapsed:5.1f} s of {self._seconds:.0f}", bar, f"{glance.over} of {self._pulls} pulls")
        return grid

    def _numbers(self, glance: Glance) -> RenderableType:
        text = Text("   ").join(
            [
                _figure(glance.holding, "holding", "green"),
                _figure(glance.held, "resources held", "green"),
                _figure(glance.waiting, "waiting", "yellow"),
                _figure(glance.joined, "duplicates joined", "magenta"),
                _figure(f"{self._grants[-1] / SPARK_SECONDS:.0f}", "grants/s", "cyan"),
            ]
        )
        return Group(text, Text(_sparks(self._grants), style="cyan"))

    def _table(self, glance: Glance) -> RenderableType:
        table = Table(expand=True, box=None, header_style="dim", padding=(0, 2, 0, 0))
        table.add_column("directory", ratio=4, no_wrap=True, overflow="ellipsis")
        table.add_column("held by", width=17, no_wrap=True, overflow="ellipsis")
        table.add_column("for", justify="right", no_wrap=True, width=7)
        table.add_column("line", no_wrap=True, width=BAR_WIDTH + 4)
        table.add_column("next", width=16, no_wrap=True, overflow="ellipsis")
        table.add_column("repository", ratio=2, style="dim", no_wrap=True, overflow="ellipsis")
        for view in glance.lines:
            table.add_row(*_cells(view))
        for _ in range(MOST_LINES - len(glance.lines)):
            table.add_row()
        return table


def _cells(view: LineView) -> list[RenderableType]:
    holder = view.holders[0] if view.holders else None
    head = view.waiters[0] if view.waiters else None
    repository, directory = split(view.name)
    bar = Text("█" * min(view.line_length, BAR_WIDTH), style="yellow")
    if view.line_length:
        bar.append(f" {view.line_length}", style="bold yellow")
    return [
        directory,
        # Nobody passes the first in line, also while it waits for its other resources.
        _who(holder) if holder else Text("first needs more" if head else "", style="dim"),
        "" if holder is None or holder.since is None else f"{max(0.0, view.at - holder.since):.2f} s",
        bar,
        Text.assemble(_short(head.owner), (f"  {head.priority.name.lower()}", "dim")) if head else "",
        repository,
    ]


def _who(holder: Person) -> Text:
    colour = "green" if holder.kind == "lock" else "blue"
    return Text.assemble((_short(holder.owner), colour), (f"  {holder.kind}", "dim"))


def _business(view: ResourceView) -> tuple[int, bool, str]:
    return -view.line_length, not view.holders, view.name


def _short(owner: str) -> str:
    return "#" + owner.rpartition("#")[2]


def _figure(value: object, name: str, colour: str) -> Text:
    return Text.assemble((f"{value}", f"bold {colour}"), f" {name}")


def _sparks(counts: Sequence[int]) -> str:
    most = max(1, *counts)
    return "".join(SPARKS[-(-count * (len(SPARKS) - 1) // most)] for count in counts)
