"""The arithmetic of the report: pure functions over plain numbers."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Spread:
    """Several measurements of one thing."""

    median: float
    least: float
    most: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Raises ValueError for no values."""
        if not values:
            raise ValueError("nothing was measured")
        return cls(median(values), min(values), max(values), len(values))


def percentile(values: Iterable[float], percent: float) -> float:
    """The smallest value that at least `percent` of all values do not exceed (nearest rank).

    Raises ValueError for no values.
    """
    ordered = sorted(values)
    if not ordered:
        raise ValueError("a percentile of nothing")
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def jain(shares: Sequence[float]) -> float:
    """Jain's index of fairness: 1 if all have the same, 1/n if one has everything.

    Raises ValueError if nobody has anything.
    """
    squares = sum(share * share for share in shares)
    if not squares:
        raise ValueError("nobody has anything")
    return sum(shares) ** 2 / (len(shares) * squares)


def zipf_choices(count: int, kinds: int, exponent: float, seed: int) -> list[int]:
    """`count` draws from 0 .. `kinds` - 1, where kind k is drawn in proportion to 1 / (k + 1) ** `exponent`."""
    weights = [1 / (kind + 1) ** exponent for kind in range(kinds)]
    return random.Random(seed).choices(range(kinds), weights, k=count)


def ideal_makespan(jobs: Iterable[tuple[int, float]], slots: int) -> float:
    """The least time in which jobs, given as (resource, seconds), can be done: the jobs of a resource one after the
    other, and at most `slots` jobs at once."""
    per_resource: dict[int, float] = defaultdict(float)
    for resource, seconds in jobs:
        per_resource[resource] += seconds
    return max([*per_resource.values(), sum(per_resource.values()) / slots], default=0.0)


def overlaps(spans: Iterable[tuple[int, int]]) -> int:
    """How many of these spans of time, each from its begin to its end, began before one that began earlier was over."""
    wrong, over = 0, -math.inf
    for begin, end in sorted(spans):
        wrong += begin < over
        over = max(over, end)
    return wrong


def inversions(levels: Sequence[int]) -> int:
    """How many jobs began after one that was less urgent (a larger level is more urgent)."""
    wrong, lowest = 0, math.inf
    for level in levels:
        wrong += level > lowest
        lowest = min(lowest, level)
    return wrong
