"""The end of a run: its figures and the verdict, for people and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from coordinator_demo.facts import Verdict
from coordinator_demo.figures import Figures, Spread
from coordinator_demo.trace import split

MOST_SHOWN = 10
UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))


@dataclass(frozen=True, slots=True)
class Judged:
    """A run that is over. `missing` counts events that the server no longer has, `factor` scales trace to replay."""

    figures: Figures
    verdict: Verdict
    missing: Mapping[str, int]
    factor: float

    @property
    def problems(self) -> list[str]:
        """Everything that makes the run unclean, one sentence each; none for a clean one."""
        said = [f"{one.rule}: {one.text}" for one in self.verdict.problems]
        said += [f"failed: {one}" for one in self.figures.failures]
        return said + [
            f"incomplete: {count} {name} events are not in the stream" for name, count in self.missing.items()
        ]


def as_json(judged: Judged) -> dict[str, Any]:
    """The report as plain data; durations in seconds of the replay, `trace_*` in seconds of the trace."""
    figures, verdict, factor, problems = judged.figures, judged.verdict, judged.factor, judged.problems
    return {
        "clean": not problems,
        "problems": problems,
        "checked": {
            "pulls": verdict.pulls,
            "grants": verdict.grants,
            "comparisons": verdict.comparisons,
            "beliefs": verdict.beliefs,
        },
        "pulls": figures.pulls,
        "locks": figures.locks,
        "jobs": figures.jobs,
        "resources": figures.resources,
        "elapsed_s": round(figures.elapsed, 3),
        "trace_seconds_per_second": round(1 / factor, 3),
        "waits": {
            level.name: {"pulls": one.count, **_quantiles(one, 1.0, ""), **_quantiles(one, factor, "trace_")}
            for level, one in figures.waits.items()
        },
        "hand_offs": {"count": figures.hand_offs, **_quantiles(figures.hand_off, 1.0, "")},
        "longest_line": {"waiters": figures.longest_line, "resource": figures.longest_line_of},
        "duplicates_joined": figures.joined,
        "ends": dict(figures.ends),
    }


def as_tables(judged: Judged) -> RenderableType:
    """The report for a terminal."""
    figures = judged.figures
    verdict = _verdict(judged.verdict, judged.problems)
    return Group(Text(), _waits(figures, judged.factor), Text(), _facts(figures), Text(), verdict)


def _waits(figures: Figures, factor: float) -> Table:
    table = Table(title="Waits by priority", title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("priority", no_wrap=True)
    table.add_column("pulls", justify="right")
    for name in ("p50", "p95", "p99", "max"):
        table.add_column(name, justify="right", no_wrap=True)
    for level, one in figures.waits.items():
        cells = [_cell(value, factor) for value in (one.p50, one.p95, one.p99, one.most)]
        table.add_row(level.name, str(one.count), *cells)
    table.caption = (
        f"On the right the same in the trace, of which a second here is {duration(1 / factor)}; round trips count."
    )
    table.caption_justify = "left"
    return table


def _cell(value: float, factor: float) -> Text:
    return Text.assemble(milliseconds(value), (f"  {duration(value / factor):>8}", "dim"))


def _facts(figures: Figures) -> Table:
    grid = Table.grid(padding=(0, 3))
    grid.add_column(style="cyan", no_wrap=True)
    grid.add_column(overflow="fold")
    ends = ", ".join(f"{count} {state}" for state, count in sorted(figures.ends.items()))
    grid.add_row("replayed", f"{figures.pulls} pulls on {figures.resources} resources in {figures.elapsed:.1f} s")
    grid.add_row("of them", f"{figures.locks} locks held by an application, {figures.jobs} jobs run by the workers")
    grid.add_row("ended as", ends or "none")
    one = figures.hand_off
    told = f": from done to next {milliseconds(one.p50)} (p50), {milliseconds(one.p99)} (p99)" if one.count else ""
    grid.add_row("hand-offs", f"{figures.hand_offs}{told}")
    repository, directory = split(figures.longest_line_of)
    grid.add_row("longest line", f"{figures.longest_line} for {directory} of {repository}")
    grid.add_row("duplicates joined", str(figures.joined))
    return grid


def _verdict(verdict: Verdict, problems: list[str]) -> Panel:
    looked = (
        f"{verdict.pulls} pulls, {verdict.grants} grants, {verdict.comparisons} comparisons of places in line, "
        f"{verdict.beliefs} statements of processes"
    )
    if not problems:
        text = Text.assemble(
            "no resource had two holders, no fence went back, nobody was overtaken, every pull ended once\n",
            (f"looked at {looked}", "dim"),
        )
        return Panel(text, title="[bold]Verdict: clean", border_style="green", title_align="left")
    text = Text("\n".join(problems[:MOST_SHOWN]))
    if len(problems) > MOST_SHOWN:
        text.append(f"\nand {len(problems) - MOST_SHOWN} more")
    text.append(f"\nlooked at {looked}", style="dim")
    return Panel(text, title=f"[bold]Verdict: {len(problems)} problems", border_style="red", title_align="left")


def _quantiles(one: Spread, factor: float, prefix: str) -> dict[str, float]:
    named = {"p50_s": one.p50, "p95_s": one.p95, "p99_s": one.p99, "max_s": one.most}
    return {prefix + name: round(value / factor, 6) for name, value in named.items()}


def milliseconds(seconds: float) -> str:
    """A short duration of the replay."""
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def duration(seconds: float) -> str:
    """A long duration of the trace, in the largest unit that it fills."""
    for unit, name in UNITS:
        if seconds >= unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.1f} s"
