"""Timeouts that follow what the fleet has seen in the last 24 hours.

There are five types, each with a base to begin from: acquiring a lock 30 s, waiting in a queue 300 s, renewing a
session 10 s, opening one 5 s, one run of a handler 60 s. What is seen is a histogram of how long the ones
that succeeded took, and of those that were cut off, counted where they were cut: they would have taken at least that
long.

`quantile`, the default:

    target  = clamp(p99 * margin, least * base, most * base)
    current = current + (target - current) / 10                    at each update

- p99, because the longest 1 % is what a timeout is about; with fewer than 20 observations, where that is the longest by
  the luck of the draw, nothing moves.
- margin 1.5: of a log-normal latency with sigma 0.5 (a tail of three times the median) p99 * 1.5 cuts off 1 of 1,300.
- least 0.5, most 3: a few fast hours must not make a timeout that the first slow one cannot live with, and where all
  is stuck a timeout must still end. A handler that needs other bounds is given another base.
- A tenth of the way: one strange minute moves it little, and a real change is followed to 90 % within 22 updates.

Continuous and monotone: a latency that is larger by some share moves the target up by at most that share and the width
of a bucket (9 %), and never down.

`success_rate`, for those who know it from elsewhere, with min 0.5, max 3 and factor 0.1:

    rate > 0.9:  current = base * (min + (1 - min) * (rate - 0.9) * 10)
    rate < 0.5:  current = base * (1 + (max - 1) * (0.5 - rate) * 2)
    else:        current = base * (1 + factor * (0.8 - rate))

Note that it jumps from 0.99 to 0.5 of the base as the rate passes 0.9, and rises again to 1.0 at a rate of 1. (It also
falls from 1.03 to 1.0 as the rate passes 0.5 on its way down, and is 3.0 at a rate of 0.) It looks at no latency at
all, and cuts most where nearly one in ten is cut already. Kept exactly; not the default for that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from coordinator.errors import InvalidInput
from coordinator.model.histogram import Histogram, bucket
from coordinator.model.names import milliseconds, one_of

Strategy = Literal["quantile", "success_rate"]
STRATEGIES: tuple[str, ...] = get_args(Strategy)

LOCK, QUEUE, RENEWAL, CONNECTION, OPERATION = "lock", "queue", "renewal", "connection", "operation"
# How long locks are held is counted along with these, and is no timeout: forecasts of waits go by it.
HOLD = "hold"
# Seconds to begin from, by type.
BASES = {LOCK: 30.0, QUEUE: 300.0, RENEWAL: 10.0, CONNECTION: 5.0, OPERATION: 60.0}
# What is counted together when there are too many to count apart. No name of a resource or handler is encoded so.
OTHER = "~other"

SHARE = 0.99
MARGIN = 1.5
LEAST, MOST = 0.5, 3.0
STEP = 0.1
ENOUGH = 20
FACTOR = 0.1
# `success_rate` has one formula above GOOD and another below BAD; in between it steers toward FAIR.
GOOD, BAD, FAIR = 0.9, 0.5, 0.8


@dataclass(frozen=True, slots=True)
class Adaptive:
    """How a timeout adapts: from a `base` in seconds (None: that of its type), within `least` and `most` times the
    base. Raises InvalidInput."""

    base: float | None = None
    strategy: Strategy = "quantile"
    least: float = LEAST
    most: float = MOST

    def __post_init__(self) -> None:
        if self.base is not None:
            milliseconds(self.base, "base", least=0.001)
        one_of(self.strategy, "strategy", STRATEGIES)
        milliseconds(self.least, "least", least=0.001)
        milliseconds(self.most, "most", least=0.001)
        if not self.least <= 1 <= self.most:
            raise InvalidInput("least", self.least, "must be at most 1, and `most` at least 1: the base is allowed")


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of one thing: a histogram of latencies in seconds, in which those that were cut off count at their
    limit, and how many succeeded and were cut off."""

    latencies: Histogram = field(default_factory=Histogram)
    successes: int = 0
    timeouts: int = 0

    @property
    def total(self) -> int:
        """All that is known of how it ended."""
        return self.successes + self.timeouts

    @property
    def rate(self) -> float:
        """The share that succeeded; 1 where nothing is known."""
        return self.successes / self.total if self.total else 1.0


def cut_off_at(limit: float, current: float) -> int:
    """The bucket of an observation that was cut off. At the larger of its own limit and the timeout that holds: a limit
    that somebody set shorter must not teach the fleet that all is fast."""
    return bucket(max(limit, current))


def multiplier(rate: float, least: float = LEAST, most: float = MOST, factor: float = FACTOR) -> float:
    """What `success_rate` makes of a share of successes."""
    if rate > GOOD:
        return least + (1 - least) * (rate - GOOD) * 10
    if rate < BAD:
        return 1 + (most - 1) * (BAD - rate) * 2
    return 1 + factor * (FAIR - rate)


def target(latency: float, base: float, rules: Adaptive) -> float:
    """What `quantile` heads for, given the latency of the share it looks at."""
    return min(max(latency * MARGIN, rules.least * base), rules.most * base)


def following(current: float, base: float, seen: Seen, rules: Adaptive) -> float:
    """The timeout after `current`, given what was seen. `base` is the one in force, in seconds."""
    latency = seen.latencies.quantile(SHARE)
    if latency is None or seen.total < ENOUGH:
        return current
    if rules.strategy == "success_rate":
        return base * multiplier(seen.rate, rules.least, rules.most)
    return current + (target(latency, base, rules) - current) * STEP


def clamped(current: float, base: float, rules: Adaptive) -> float:
    """A timeout that was learnt under other rules, within these."""
    return min(max(current, rules.least * base), rules.most * base)
