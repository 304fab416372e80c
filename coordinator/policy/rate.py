"""How often a handler may run: a token bucket, and a limit that finds its own rate.

*Token bucket*: tokens(t) = min(burst, tokens(t0) + (t - t0) * per_second); a run takes one. In any span of t seconds at
most burst + per_second * t runs begin. A bucket that nobody has used for long is full, and need not be kept.

*Adaptive limit* (additive increase, multiplicative decrease, as TCP finds the rate of a path): every success adds
increase / rate, which is `increase` per second where the limit is used to the full; a failure, or a handler that says
it was limited, multiplies by `decrease`. Additive increase and multiplicative decrease bring several users of one thing
to equal shares. Failures of runs that began before the last decrease do not count: they are consequences of the rate
that was given up already, and 50 of them at once would throw any rate to the bottom. The bucket of an adaptive limit
holds one second's worth. The defaults begin at 10 a second and stay between 1, so that there is always somebody to find
out whether things are well again, and 100.

A bucket counts in whole PARTS of a run, so many that at a rate in whole thousandths a whole number comes in with every
microsecond: it does not matter how often it is looked at, and nothing is ever rounded.

`coordinator/lua/lib/bucket.lua` does the same on the server, for the fleet; a test compares the two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from coordinator.errors import InvalidInput
from coordinator.model.names import label, whole

PARTS = 1_000_000_000
LEAST, MAX_RATE = 0.001, 100_000.0
# How often a bucket that jobs wait for is looked at, at least, a second. It must hold what comes in between.
LOOKS = 20


@dataclass(frozen=True, slots=True)
class RateLimit:
    """`per_second` runs a second, and up to `burst` at once. With `key`, for each value of that field of the payload by
    itself. Raises InvalidInput."""

    burst: int = 10
    per_second: float = 1.0
    key: str = ""

    def __post_init__(self) -> None:
        whole(self.burst, "burst", 1, round(MAX_RATE))
        _rate(self.per_second, "per_second")
        if self.key:
            label(self.key, "key")
        if self.burst < self.per_second / LOOKS:
            raise InvalidInput(
                "burst", self.burst, f"must be at least {math.ceil(self.per_second / LOOKS)} at that rate"
            )

    @property
    def speed(self) -> Speed:
        """How fast its bucket fills."""
        return Speed(self.burst * PARTS, _thousandths(self.per_second))

    def to_wire(self) -> str:
        """`10:1000`: burst, thousandths of a run a second."""
        return f"{self.burst}:{_thousandths(self.per_second)}"


@dataclass(frozen=True, slots=True)
class AdaptiveLimit:
    """Begins at `initial` runs a second, and stays from `least` to `most`. `increase` is what is added per second of
    success, `decrease` what the rate is multiplied by after a failure. Raises InvalidInput."""

    initial: float = 10.0
    least: float = 1.0
    most: float = 100.0
    increase: float = 1.0
    decrease: float = 0.5

    def __post_init__(self) -> None:
        for name in ("initial", "least", "most", "increase"):
            _rate(getattr(self, name), name)
        if not self.least <= self.initial <= self.most:
            raise InvalidInput("initial", self.initial, f"must be from least ({self.least:g}) to most ({self.most:g})")
        if isinstance(self.decrease, bool) or not LEAST <= self.decrease < 1:
            raise InvalidInput("decrease", self.decrease, "must be from 0.001 to below 1")

    def to_wire(self) -> str:
        """`10000:1000:100000:1000:500`: all in thousandths."""
        parts = (self.initial, self.least, self.most, self.increase, self.decrease)
        return ":".join(str(_thousandths(one)) for one in parts)


class Speed(NamedTuple):
    """How many parts a bucket holds, and how many come in with every us; which is thousandths of a run a second."""

    full: int
    rate: int


class Bucket(NamedTuple):
    """How many parts are in a bucket at the time `at`, in us."""

    tokens: int
    at: int


class Pace(NamedTuple):
    """The rate of an adaptive limit, and when it was last cut, in ms."""

    rate: float
    cut: int = 0

    @property
    def speed(self) -> Speed:
        """How fast a bucket fills at this rate; it holds one second's worth, and at least one run."""
        rate = math.floor(self.rate * 1000 + 0.5)
        return Speed(max(1000, rate) * (PARTS // 1000), rate)


def filled(speed: Speed, bucket: Bucket | None, now: int) -> Bucket:
    """The bucket at a later time; a new one is full."""
    if bucket is None:
        return Bucket(speed.full, now)
    return Bucket(min(speed.full, bucket.tokens + max(0, now - bucket.at) * speed.rate), now)


def available(bucket: Bucket) -> int:
    """How many may pass."""
    return bucket.tokens // PARTS


def taken(bucket: Bucket) -> Bucket:
    """The bucket after one has passed."""
    return Bucket(bucket.tokens - PARTS, bucket.at)


def next_at(speed: Speed, bucket: Bucket) -> int:
    """When there is one more than now, in us."""
    return bucket.at + math.ceil((PARTS - bucket.tokens % PARTS) / speed.rate)


def faster(limit: AdaptiveLimit, pace: Pace) -> Pace:
    """After a success."""
    return Pace(min(_kept(limit.most), pace.rate + _kept(limit.increase) / pace.rate), pace.cut)


def slower(limit: AdaptiveLimit, pace: Pace, began: int, now: int) -> Pace:
    """After a failure of a run that began at `began`."""
    if began <= pace.cut:
        return pace
    return Pace(max(_kept(limit.least), pace.rate * _kept(limit.decrease)), now)


def _rate(value: float, name: str) -> None:
    if isinstance(value, bool) or not LEAST <= value <= MAX_RATE:
        raise InvalidInput(name, value, f"must be from 0.001 to {MAX_RATE:.0f} a second")


def _thousandths(value: float) -> int:
    return round(value * 1000)


def _kept(value: float) -> float:
    """What is left of a number after its journey."""
    return _thousandths(value) / 1000
