"""The report as Markdown: the verdicts, then every figure of everybody. Nothing is left out, losses least of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.model import COST_FIGURES, Figure
from bench.results import Results, Verdict
from bench.statistics import Spread
from bench.targets import BEST
from bench.workloads.base import Workload

NOTHING = "n/a"
WHOLE_FROM = 100  # numbers from here on are shown without decimals


def number(value: float | None) -> str:
    """A figure for people: three digits that count."""
    if value is None:
        return NOTHING
    if abs(value) >= WHOLE_FROM:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value else "0"


def markdown(results: Results, facts: Mapping[str, str]) -> str:
    """The whole report."""
    parts = ["## Coordinator side by side\n", *(f"- {name}: {value}" for name, value in facts.items()), ""]
    parts += [verdict_table(results.verdicts()), ""]
    for workload in results.workloads:
        parts += [f"### {workload.title}\n", raw_table(results, workload), ""]
    return "\n".join(parts)


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    """One line per target: ours, the best peer of this run, the ratio, what any design has to pay and the ratio of
    that, the same for one that keeps what ours promises, what was to be reached, whether it was."""
    rows = [
        (
            f"{one.workload.title}: {one.figure.label}",
            with_unit(one.ours, one.figure),
            f"{with_unit(one.best, one.figure)} ({one.best_peer})" if one.best_peer else "-",
            _named_ratio(one),
            "-" if one.floor is None else with_unit(one.floor, one.figure),
            _ratio(one.floor_ratio),
            "-" if one.kept is None else with_unit(one.kept, one.figure),
            _ratio(one.kept_ratio),
            str(one.target) if one.target else "-",
            _word(one),
        )
        for one in verdicts
    ]
    floors = ("floor", "its ratio", "with our promises", "its ratio")
    return _table(("workload", "ours", "best peer", "ratio", *floors, "target", "reached"), rows)


def _named_ratio(one: Verdict) -> str:
    """A ratio to another library than the best says to which."""
    against = one.target.against if one.target else ""
    return _ratio(one.ratio) + (f" ({against})" if against not in ("", BEST) and one.ratio is not None else "")


def raw_table(results: Results, workload: Workload) -> str:
    """Every figure of every library for one workload: median, with least and most behind it."""
    figures = (*workload.figures, *COST_FIGURES)
    peers = results.peers(workload.name)
    used = [one for one in figures if any(results.spread(workload.name, peer, one.key) for peer in peers)]
    rows, reasons = [], []
    for peer in peers:
        failure = results.failure(workload.name, peer)
        if failure:
            part = "of some repetitions " if results.spread(workload.name, peer, workload.figures[0].key) else ""
            reasons.append(f"- {peer}: {part}{NOTHING}: {failure}")
        spreads = [results.spread(workload.name, peer, one.key) for one in used]
        rows.append((peer, *(_spread(one) for one in spreads)))
    heads = ("", *(f"{one.label} ({one.unit})" if one.unit else one.label for one in used))
    table = _table(heads, rows) if used else ""
    return "\n".join([table, *([""] if table and reasons else []), *reasons])


def with_unit(value: float | None, figure: Figure) -> str:
    """A figure with its unit."""
    if value is None or not figure.unit:
        return number(value)
    gap = "" if figure.unit.startswith("/") else " "
    return f"{number(value)}{gap}{figure.unit}"


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return NOTHING
    if spread.count == 1:
        return number(spread.median)
    return f"{number(spread.median)} ({number(spread.least)} .. {number(spread.most)})"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _word(verdict: Verdict) -> str:
    if verdict.reached:
        return "yes"
    if verdict.reached is not None:
        beyond = "nor does the floor" if verdict.in_reach is False else ""
        return "**no**" + "".join(f": {said}" for said in (verdict.why, beyond) if said)
    return "-" if verdict.target is None else f"{NOTHING}: {verdict.why}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
