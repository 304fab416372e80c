"""What can be seen of a storm while it rages, as a live view or as plain lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from coordinator import Coordinator
from coordinator.ops import timing
from coordinator.wire.calls import Scope
from coordinator_demo.storm.plan import BANK, CHARGE, FLOODED, MAX_QUEUE, REPORT, REPORT_TAKES, Plan

ENDED = ("succeed", "fail", "bury", "cancel", "expire", "shed")
BAR_WIDTH, NAME_WIDTH, STATE_WIDTH = 16, 15, 30
MOST_HELD_BACK = 300


@dataclass(frozen=True, slots=True)
class Glance:
    """A namespace at one moment. `left`: jobs that are not over; `timeout`: that of a report, if it is known yet."""

    at: float
    left: int
    over: int
    breaker: str
    held_back: int
    timeout: float | None
    moves: int
    flooded: int
    shed: int
    stolen: int
    executions: int


def look(co: Coordinator, now: float, executions: int) -> Glance:
    """Look once. `executions` of what everybody asks for are known to the dependency alone."""
    survey = co.survey()
    counters = survey.counters
    # Jobs wait at the first of their breakers that is not closed: their handler's own, or that of the bank.
    breakers = {one.name: one for one in co.breakers() if one.name in (BANK, CHARGE)}
    bank = breakers.get(BANK)
    key = timing.key_of("operation", REPORT)
    known = co.run(timing.look(Scope.of(co.settings.namespace, co.settings.terms()), [key]))
    over = sum(counters.get(name, 0) for name in ENDED)
    return Glance(
        at=now,
        left=counters.get("ask", 0) - over,
        over=over,
        breaker=bank.state if bank else "closed",
        held_back=sum(one.waiting for one in breakers.values()),
        timeout=known[0].current if known else None,
        moves=known[0].version if known else 0,
        flooded=sum(one.ready + one.waiting for one in survey.queues if one.name == FLOODED),
        shed=counters.get("shed", 0),
        stolen=counters.get("stolen", 0),
        executions=executions,
    )


def plain(plan: Plan, one: Glance) -> str:
    """One line of progress."""
    timeout = "" if one.timeout is None else f", reports may take {one.timeout:.2f} s"
    return (
        f"{max(0.0, one.at - plan.start):5.1f} s: {one.over} jobs over, {one.left} under way; breaker "
        f"{one.breaker.replace('_', '-')}, {one.held_back} wait for it{timeout}; {one.flooded} in the flooded queue, "
        f"{one.shed} shed, {one.stolen} stolen, {one.executions} executed for all"
    )


def view(plan: Plan, one: Glance) -> RenderableType:
    """The whole view for a terminal."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=NAME_WIDTH, style="cyan", no_wrap=True)
    grid.add_column(width=STATE_WIDTH, no_wrap=True)
    grid.add_column(no_wrap=True)
    for row in _rows(plan, one):
        grid.add_row(*row)
    elapsed, whole = max(0.0, one.at - plan.start), plan.end - plan.start
    head = Table.grid(padding=(0, 2), expand=True)
    head.add_column(no_wrap=True)
    head.add_column(ratio=1)
    head.add_column(justify="right", no_wrap=True)
    bar = ProgressBar(total=whole, completed=min(whole, elapsed), complete_style="cyan")
    head.add_row(f"{elapsed:5.1f} s of {whole:.0f}", bar, f"{one.over} jobs over, {one.left} under way")
    return Panel(Group(head, Text(), grid), title="[bold]Coordinator: a storm", border_style="cyan", padding=(1, 2))


def _rows(plan: Plan, one: Glance) -> Iterator[tuple[str, Text, Text]]:
    failing = plan.failing.has(one.at)
    yield "the bank", Text("fails", "bold red") if failing else Text("answers", "green"), Text()
    colour = {"closed": "green", "open": "bold red"}.get(one.breaker, "bold yellow")
    waiting = _bar(one.held_back, MOST_HELD_BACK, "wait for it")
    yield "its breaker", Text(f"is {one.breaker.replace('_', '-')}", colour), waiting
    takes = REPORT_TAKES * (2 if plan.slow.begin <= one.at else 1)
    allowed = "?" if one.timeout is None else f"{one.timeout:.2f} s"
    style = "bold red" if one.timeout is not None and one.timeout < takes else "green"
    yield "a report", Text.assemble(f"takes {takes:g} s, ", (f"may take {allowed}", style)), Text()
    flooding = (
        Text(f"LOW pours in, {one.shed} displaced", "bold yellow")
        if plan.flood.has(one.at)
        else Text(f"at rest, {one.shed} displaced")
    )
    yield "the other queue", flooding, _bar(one.flooded, MAX_QUEUE, f"of {MAX_QUEUE}")
    yield "a stuck job", Text(f"{one.stolen} jobs stolen so far"), Text()
    yield "identical calls", Text(f"{one.executions} executed so far"), Text()


def _bar(value: int, most: int, words: str) -> Text:
    text = Text("█" * min(BAR_WIDTH, -(-value * BAR_WIDTH // most)), style="yellow")
    return text.append(f" {value} {words}", style="default") if value else text
