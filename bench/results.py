"""Measurements put together: medians over the repetitions, the best peer of each figure, and verdicts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from bench.model import Figure, Record
from bench.peers import BARE_FLOORS, FLOORS, KEPT_FLOOR, OURS
from bench.statistics import Spread
from bench.targets import BEST, TARGETS, Target
from bench.workloads.base import Workload


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of the report. `reached` is None if it could not be judged, and False if a repetition of ours failed;
    `why` then says so. `floor` is the best that was measured without any library, and `floor_ratio` what `ratio` would
    be for it; `in_reach` says whether that reached the target, None if it was not measured. `kept` and `kept_ratio` are
    the same of scripts that do what our promises need, and nothing else."""

    workload: Workload
    figure: Figure
    target: Target | None
    ours: float | None
    best: float | None
    best_peer: str
    ratio: float | None
    reached: bool | None
    why: str = ""
    floor: float | None = None
    floor_ratio: float | None = None
    in_reach: bool | None = None
    kept: float | None = None
    kept_ratio: float | None = None


class Results:
    """What a run has measured."""

    def __init__(self, workloads: Sequence[Workload], records: Sequence[Record]) -> None:
        self.workloads = [one for one in workloads if any(each.workload == one.name for each in records)]
        self.records = records
        values: dict[tuple[str, str, str], list[float]] = defaultdict(list)
        self._failures: dict[tuple[str, str], str] = {}
        for record in records:
            for key, value in record.figures.items():
                values[record.workload, record.peer, key].append(value)
            if record.failure:
                self._failures.setdefault((record.workload, record.peer), record.failure)
        self._spreads = {place: Spread.of(found) for place, found in values.items()}

    def peers(self, workload: str) -> list[str]:
        """All that took part or should have, in order of appearance."""
        return list(dict.fromkeys(one.peer for one in self.records if one.workload == workload))

    def spread(self, workload: str, peer: str, figure: str) -> Spread | None:
        """Median, least and most of a figure."""
        return self._spreads.get((workload, peer, figure))

    def failure(self, workload: str, peer: str) -> str:
        """Why a library has no figures here, or lacks some repetitions; empty if it has them all."""
        return self._failures.get((workload, peer), "")

    def failed(self) -> list[str]:
        """The workloads of which a repetition of ours failed."""
        return [one.name for one in self.workloads if self.failure(one.name, OURS)]

    def best_peer(self, workload: str, figure: Figure) -> str:
        """Who has the best median but us and the floors, which are no libraries; empty if nobody has one."""
        peers = [peer for peer in self.peers(workload) if peer not in (OURS, *FLOORS)]
        return "" if figure.better == "neither" else self._best(workload, figure, peers)

    def _best(self, workload: str, figure: Figure, peers: Sequence[str]) -> str:
        found = {peer: self._median(workload, peer, figure.key) for peer in peers}
        known = {peer: value for peer, value in found.items() if value is not None}
        if not known:
            return ""
        return (max if figure.better == "more" else min)(known, key=lambda peer: known[peer])

    def verdicts(self) -> list[Verdict]:
        """A line for each target of each workload that was run, and for the first figure of those without one."""
        lines = []
        for workload in self.workloads:
            targets = [one for one in TARGETS if one.workload == workload.name]
            by_key = {figure.key: figure for figure in workload.figures}
            lines += [self._verdict(workload, by_key[one.figure], one) for one in targets]
            if not targets:
                lines.append(self._verdict(workload, workload.figures[0], None))
        return lines

    def _verdict(self, workload: Workload, figure: Figure, target: Target | None) -> Verdict:
        ours = self._median(workload.name, OURS, figure.key)
        best_peer = self.best_peer(workload.name, figure)
        best = self._median(workload.name, best_peer, figure.key)
        against = target.against if target else BEST
        rival = best if against in ("", BEST) else self._median(workload.name, against, figure.key)
        ratio = ours / rival if ours is not None and rival else None
        floor = self._median(workload.name, self._best(workload.name, figure, BARE_FLOORS), figure.key)
        kept = self._median(workload.name, KEPT_FLOOR, figure.key)
        floor_ratio, kept_ratio = (one / rival if one is not None and rival else None for one in (floor, kept))
        absolute = target is not None and not target.against
        judged, least = (ours, floor) if absolute else (ratio, floor_ratio)
        in_reach = target.reached(least) if target and least is not None else None
        why = self.failure(workload.name, OURS)
        # Whatever the other repetitions came to: the median of those that did not fail says nothing of those that did.
        reached = False if target and why else None
        if target and not why and judged is not None:
            reached = target.reached(judged)
        if not why and judged is None:
            why = "there is no peer" if against in ("", BEST) else f"{against} was not measured"
        floors = floor, floor_ratio, in_reach, kept, kept_ratio
        return Verdict(workload, figure, target, ours, best, best_peer, ratio, reached, why, *floors)

    def _median(self, workload: str, peer: str, figure: str) -> float | None:
        spread = self.spread(workload, peer, figure)
        return None if spread is None else spread.median
