"""Adaptive timeouts on a simulated workload whose latency drifts: how many runs each strategy cuts off that would have
ended, and how much time is lost.

`python -m bench.drift` prints the table of docs/timeouts.md. Nothing is measured here, so the figures are the same on
every machine: time is simulated, and chance has a seed.

Every ten seconds a run begins. It takes as long as a log-normal distribution says whose median drifts over six days
(quiet, slowly five times as slow, slow, back, twice a doubling within minutes, quiet); one in two hundred hangs and
never ends. A run that is cut off is lost with all the time it took, and is not repeated. What is seen counts for 24
hours, in slices of an hour, as the fleet keeps it.
"""

from __future__ import annotations

import math
import random
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from coordinator.model.histogram import Histogram, bucket
from coordinator.policy.adaptive import Adaptive, Seen, cut_off_at, following

BASE = 60.0
EVERY = 10.0
HOUR = 3600.0
DAYS = 6
SIGMA = 0.5
HANGS = 1 / 200
SEED = 20260301
# Hours, and the median latency in seconds from there on a straight line to the next.
MEDIANS = (
    *((0, 8.0), (24, 8.0), (36, 40.0), (60, 40.0), (72, 8.0), (96, 8.0)),
    *((96.1, 16.0), (108, 16.0), (108.1, 32.0), (120, 32.0), (120.1, 8.0), (144, 8.0)),
)
STRATEGIES: dict[str, Adaptive | None] = {
    "quantile": Adaptive(),
    "success_rate": Adaptive(strategy="success_rate"),
    "fixed": None,
}


@dataclass(slots=True)
class Account:
    """What came of a strategy. `false` were cut off although they would have ended, `lost` is their time and that spent
    on runs that hung, in seconds."""

    runs: int = 0
    false: int = 0
    hung: int = 0
    lost: float = 0.0
    least: float = math.inf
    most: float = 0.0

    def begun(self, timeout: float) -> None:
        """A run begins with that timeout."""
        self.runs += 1
        self.least, self.most = min(self.least, timeout), max(self.most, timeout)


@dataclass(slots=True)
class Window:
    """What was seen in the last 24 hours, in slices of one."""

    slices: deque[Seen] = field(default_factory=lambda: deque([Seen()]))
    whole: Seen = field(default_factory=Seen)
    hour: int = 0

    def add(self, at: float, place: int, *, late: bool) -> None:
        """A run has ended."""
        while self.hour < int(at / HOUR):
            self.hour += 1
            self.slices.append(Seen())
            if len(self.slices) > 24:  # noqa: PLR2004
                self.slices.popleft()
            self.whole = _sum(self.slices)
        last = self.slices[-1]
        last.latencies.add_at(place, 1)
        self.slices[-1] = Seen(last.latencies, last.successes + (not late), last.timeouts + late)
        self.whole.latencies.add_at(place, 1)
        self.whole = Seen(self.whole.latencies, self.whole.successes + (not late), self.whole.timeouts + late)


def _sum(slices: deque[Seen]) -> Seen:
    latencies = Histogram()
    for one in slices:
        latencies.merge(one.latencies)
    return Seen(latencies, sum(one.successes for one in slices), sum(one.timeouts for one in slices))


def workload(seed: int = SEED) -> Iterator[tuple[float, float]]:
    """When each run begins, and how long it takes; infinite for one that hangs."""
    chance, at = random.Random(seed), 0.0
    while at < DAYS * 24 * HOUR:
        latency = math.inf if chance.random() < HANGS else median(at / HOUR) * chance.lognormvariate(0, SIGMA)
        yield at, latency
        at += EVERY


def median(hour: float) -> float:
    """The median latency at that hour."""
    for (begin, low), (end, high) in pairwise(MEDIANS):
        if begin <= hour < end:
            return low + (high - low) * (hour - begin) / (end - begin)
    return MEDIANS[-1][1]


def simulate(rules: Adaptive | None, seed: int = SEED) -> Account:
    """What a strategy makes of the workload; None keeps the base. The timeout moves once for each run."""
    account, window, timeout = Account(), Window(), BASE
    for at, latency in workload(seed):
        account.begun(timeout)
        late = latency > timeout
        if late:
            account.hung += math.isinf(latency)
            account.false += not math.isinf(latency)
            account.lost += timeout
        window.add(at, cut_off_at(timeout, timeout) if late else bucket(latency), late=late)
        if rules is not None:
            timeout = following(timeout, BASE, window.whole, rules)
    return account


def table(seed: int = SEED) -> str:
    """The figures of all strategies, as Markdown."""
    rows = [
        "| strategy | runs | cut off though they would have ended | hung | hours lost | timeout from .. to |",
        "|---|---|---|---|---|---|",
    ]
    for name, rules in STRATEGIES.items():
        one = simulate(rules, seed)
        false = f"{one.false:,} ({one.false / one.runs:.2%})"
        span = f"{one.least:.0f} .. {one.most:.0f} s"
        rows.append(f"| `{name}` | {one.runs:,} | {false} | {one.hung} | {one.lost / HOUR:.1f} | {span} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
