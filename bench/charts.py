"""Charts of a run, drawn from its JSON: `python -m bench.charts RUN.json FOLDER`.

A program of its own, so that a run can be drawn again, and measured where matplotlib is not.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import EngFormatter, MaxNLocator

from bench.catalogue import WORKLOADS
from bench.model import Record
from bench.peers import FLOORS, OURS
from bench.report import number, with_unit
from bench.results import Results
from bench.statistics import Spread
from bench.workloads.base import Sizes, Workload

CHARTS = {
    "throughput": (
        ("enqueue", "per_second"),
        ("bulk", "per_second"),
        ("drain", "per_second"),
        ("drain2", "per_second"),
        ("ordered", "per_second"),
        ("memory", "bytes"),
    ),
    "waiting": (
        ("latency", "p50_ms"),
        ("latency", "p99_ms"),
        ("keyed", "makespan"),
        ("keyed", "lock_wait_ms"),
        ("keyed", "urgent_wait_ms"),
    ),
    "locks": (
        ("pairs", "per_second"),
        ("contend", "per_second"),
        ("contend", "jain"),
        ("contend", "longest_ms"),
        ("handoff", "p50_ms"),
        ("handoff", "p99_ms"),
    ),
}
COLUMNS = 3
PANEL_INCHES = (4.4, 3.1)
DOTS = 110
OUR_COLOUR, PEER_COLOUR, FLOOR_COLOUR, INK = "#0b7a75", "#b9c0c9", "#e3d9bd", "#2b2f36"
# Beyond this factor between the largest and the smallest, a linear axis shows only the largest.
LOG_FROM = 60
ROOM_FOR_LABELS = 1.28
TICKS = 5
LOG_ROOM = 4.0


def draw(results: Results, folder: Path) -> list[Path]:
    """Write one PNG per chart that has something to show."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for name, panels in CHARTS.items():
        found = [(workload, key) for workload, key in panels if _values(results, workload, key)]
        if found:
            drawn.append(_save(_grid(results, found), folder / f"{name}.png"))
    if any(_values(results, "depth", f"enqueue_us_{depth}") for depth in Sizes().depths):
        drawn.append(_save(_depths(results), folder / "depth.png"))
    return drawn


def _grid(results: Results, panels: Sequence[tuple[str, str]]) -> Canvas:
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    canvas = Canvas(figsize=(columns * PANEL_INCHES[0], rows * PANEL_INCHES[1]), dpi=DOTS, layout="constrained")
    axes = canvas.subplots(rows, columns, squeeze=False).flatten()
    for place, (workload, key) in zip(axes, panels, strict=False):
        _bars(place, results, workload, key)
    for place in axes[len(panels) :]:
        place.set_axis_off()
    return canvas


def _bars(axes: Axes, results: Results, name: str, key: str) -> None:
    workload = _workload(name)
    figure = next(one for one in workload.figures if one.key == key)
    values = _values(results, name, key)
    missing = [peer for peer in results.peers(name) if peer not in values]
    best_first = sorted(values, key=lambda peer: values[peer].median, reverse=figure.better == "more")
    order = [*best_first, *missing][::-1]
    most = max(one.most for one in values.values())
    # Zero has no place on a logarithmic axis; the smallest that is more than that counts.
    least = min((one.median for one in values.values() if one.median), default=most)
    log = most > LOG_FROM * least
    for at, peer in enumerate(order):
        spread = values.get(peer)
        if spread is None:
            axes.text(least if log else 0, at, " n/a", va="center", color="#7a828c", fontsize=8)
            continue
        shown = max(spread.median, least) if log else spread.median
        axes.barh(at, shown, color=_colour(peer), height=0.7)
        if spread.count > 1:
            axes.plot([spread.least, spread.most], [at, at], color=INK, linewidth=1)
        axes.text(max(shown, spread.most), at, f" {with_unit(spread.median, figure)}", va="center", fontsize=8)
    if log:
        axes.set_xscale("log")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(TICKS))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlim(least / 2 if log else 0, most * (LOG_ROOM if log else ROOM_FOR_LABELS))
    axes.set_yticks(range(len(order)), order, fontsize=8)
    # Who has no bar takes no room of its own, and would lie on the axis.
    axes.set_ylim(-0.6, len(order) - 0.4)
    for label in axes.get_yticklabels():
        label.set_fontweight("bold" if label.get_text() == OURS else "normal")
    way = {"more": "more is better", "less": "less is better", "neither": ""}[figure.better]
    axes.set_title(f"{_title(workload)}\n{figure.label}, {way}{', log scale' if log else ''}", fontsize=9, loc="left")
    _plain(axes)


def _depths(results: Results) -> Canvas:
    canvas = Canvas(figsize=(PANEL_INCHES[0] * 1.4, PANEL_INCHES[1]), dpi=DOTS, layout="constrained")
    axes = canvas.subplots()
    for name, label, colour in (("enqueue", "enqueue", INK), ("settle", "claim and settle", OUR_COLOUR)):
        points = [(depth, _values(results, "depth", f"{name}_us_{depth}").get(OURS)) for depth in Sizes().depths]
        known = [(depth, spread.median) for depth, spread in points if spread is not None]
        axes.plot([one for one, _ in known], [one for _, one in known], marker="o", color=colour, label=label)
        for depth, value in known:
            axes.annotate(number(value), (depth, value), (0, 6), textcoords="offset points", ha="center", fontsize=8)
    axes.set_xscale("log")
    axes.margins(y=0.2)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("jobs queued", fontsize=8)
    axes.set_title("cost per job in us, by depth of the queue", fontsize=9, loc="left")
    axes.legend(fontsize=8, frameon=False)
    _plain(axes)
    return canvas


def _plain(axes: Axes) -> None:
    axes.tick_params(labelsize=8, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _save(canvas: Canvas, path: Path) -> Path:
    canvas.savefig(path)
    return path


def _values(results: Results, workload: str, key: str) -> dict[str, Spread]:
    found = {peer: results.spread(workload, peer, key) for peer in results.peers(workload)}
    return {peer: spread for peer, spread in found.items() if spread is not None}


def _workload(name: str) -> Workload:
    return next(one for one in WORKLOADS if one.name == name)


def _title(workload: Workload) -> str:
    return workload.title.split(":")[0]


def _colour(peer: str) -> str:
    return {OURS: OUR_COLOUR, **dict.fromkeys(FLOORS, FLOOR_COLOUR)}.get(peer, PEER_COLOUR)


def main(arguments: Sequence[str]) -> None:
    """Draw what a JSON file tells."""
    source, folder = Path(arguments[0]), Path(arguments[1])
    told = json.loads(source.read_text(encoding="utf-8"))
    mpl.rcParams.update({"font.family": "DejaVu Sans", "text.color": INK, "axes.labelcolor": INK})
    draw(Results(WORKLOADS, [Record(**one) for one in told["records"]]), folder)


if __name__ == "__main__":
    main(sys.argv[1:])
