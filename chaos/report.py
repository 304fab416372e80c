"""The verdicts of a chaos run: a table for people, plain data for machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from chaos.scenario import Figure, Scenario, Verdict

MOST_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Result:
    """A scenario that was played. `kept`: where its history is; `error`: why it could not be played to the end;
    `skipped`: what this machine lacks for it."""

    scenario: Scenario
    seed: int
    long: bool
    seconds: float
    verdict: Verdict
    kept: Path | None = None
    error: str = ""
    skipped: str = ""

    @property
    def passed(self) -> bool:
        """Whether it was played to the end, and every rule and target was kept."""
        return not self.skipped and not self.error and self.verdict.passed

    @property
    def failed(self) -> bool:
        """Whether it was played, and did not pass."""
        return not self.skipped and not self.passed


def summary(results: Sequence[Result]) -> str:
    """How many passed, were skipped, and failed."""
    failed = sum(one.failed for one in results)
    counted = f"{sum(one.passed for one in results)} passed, {sum(bool(one.skipped) for one in results)} skipped"
    return f"{counted}, {failed} failed" if failed else counted


def passed(results: Sequence[Result]) -> bool | None:
    """Whether all passed; None if some could not be played here, and the others passed."""
    if any(one.failed for one in results):
        return False
    return None if any(one.skipped for one in results) else True


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """Every result as plain data."""
    told = [_json(one) for one in results]
    return {"passed": passed(results), "summary": summary(results), "scenarios": told}


def _json(one: Result) -> dict[str, Any]:
    return {
        "scenario": one.scenario.name,
        "claim": one.scenario.claim,
        "target": one.scenario.target,
        "form": "long" if one.long else "short",
        "size": dict(one.scenario.size(one.long)),
        "seed": one.seed,
        "passed": passed([one]),
        "seconds": round(one.seconds, 2),
        "figures": [_figure(figure) for figure in one.verdict.figures],
        "problems": [str(problem) for problem in one.verdict.problems],
        "history": None if one.kept is None else str(one.kept),
        "error": one.error or None,
        "skipped": one.skipped or None,
    }


def _figure(one: Figure) -> dict[str, Any]:
    return {
        "name": one.name,
        "value": round(one.value, 6),
        "unit": one.unit,
        "at_most": one.most,
        "at_least": one.least,
        "met": one.met,
    }


def as_table(results: Sequence[Result]) -> RenderableType:
    """The verdict table, and under it what went wrong."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title="Chaos", title_justify="left", title_style="bold")
    for name in ("scenario", "verdict", "figure", "measured", "target"):
        table.add_column(name, no_wrap=name != "figure", justify="right" if name == "measured" else "left")
    for result in results:
        _rows(table, result)
    return Group(table, *[_wrong(one) for one in results if one.failed], Text(summary(results)))


def _rows(table: Table, result: Result) -> None:
    if result.skipped:
        table.add_row(result.scenario.name, "[yellow]skipped[/]", f"[yellow]{escape(result.skipped)}[/]")
        table.add_section()
        return
    verdict = "[green]passed[/]" if result.passed else "[red]FAILED[/]"
    breaches = Figure("rules broken", len(result.verdict.problems), most=0)
    for number, figure in enumerate((breaches, *result.verdict.figures)):
        style = "" if figure.met else "red"
        measured = Text(f"{figure.value:,.10g} {figure.unit}".rstrip(), style)
        first = (result.scenario.name, verdict) if number == 0 else ("", "")
        table.add_row(*first, escape(figure.name), measured, figure.target)
    table.add_row("", "", f"[dim]seed {result.seed}, {'long' if result.long else 'short'}, {result.seconds:.1f} s[/]")
    table.add_section()


def _wrong(one: Result) -> Text:
    lines = [f"{one.scenario.name}: {one.error}"] if one.error else []
    problems = one.verdict.problems
    lines += [f"{one.scenario.name}: {problem}" for problem in problems[:MOST_SHOWN]]
    if len(problems) > MOST_SHOWN:
        lines.append(f"{one.scenario.name}: and {len(problems) - MOST_SHOWN} more")
    again = f"scripts/chaos {one.scenario.name} --seed {one.seed}{' --long' if one.long else ''}"
    lines.append(f"  again: {again}    history: {one.kept}\n")
    return Text("\n".join(lines))
