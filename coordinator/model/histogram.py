"""Histograms with buckets that grow by a constant factor: they merge by adding counts, and their quantiles are right to
within a fixed share of the value, whatever it is.

Bucket `i` counts the values in `(u * g^(i-1), u * g^i]`, with `u` = 1 microsecond and `g` = 2^(1/8); bucket 0 those
of at most `u`. A bucket is spoken for by `2 * u * g^i / (g + 1)`, which is off by the share `(g - 1) / (g + 1)` at
either end, so that is the most a quantile can be off: 4.33 %. (Masson, Rim, Lee, "DDSketch", VLDB 2019, section 2.1.)
With 8 buckets to each doubling there are 321 for everything from a microsecond to 12 days; what is longer counts as 12
days. Which bucket a value belongs to depends on nothing but the value, so histograms of any process, made at any time,
can be added: also by a server, with one HINCRBY per bucket.

Values are seconds, but any positive number will do.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from coordinator.errors import Corrupt

STEPS = 8
GROWTH = 2.0 ** (1 / STEPS)
ERROR = (GROWTH - 1) / (GROWTH + 1)
LEAST = 1e-6
LAST = 40 * STEPS
MOST = LEAST * 2.0**40

_TEXT = re.compile(r"(?:\d{1,3}:\d{1,15}(?: \d{1,3}:\d{1,15})*)?")
_HALF = 2 * LEAST / (GROWTH + 1)


def bucket(value: float) -> int:
    """The bucket of a value, 0 to `LAST`. What is no positive number belongs to the first."""
    if not value > LEAST:
        return 0
    if value >= MOST:
        return LAST
    return math.ceil(math.log2(value / LEAST) * STEPS)


def middle(place: int) -> float:
    """The value that speaks for a bucket: off by the share `ERROR` at most from any value in it."""
    return _HALF * GROWTH**place if place > 0 else LEAST


class Histogram:
    """How often values fell into each bucket; only buckets that are not empty are kept. Not safe for many threads."""

    __slots__ = ("counts",)

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self.counts: dict[int, int] = dict(counts or {})

    @classmethod
    def of(cls, values: Iterable[float]) -> Histogram:
        """The histogram of some values."""
        return cls(Counter(map(bucket, values)))

    @classmethod
    def of_text(cls, text: str) -> Histogram:
        """From what `text` made. Raises Corrupt."""
        if not _TEXT.fullmatch(text):
            raise Corrupt("a histogram is not written as buckets with counts")
        made = cls()
        for pair in text.split():
            place, _, count = pair.partition(":")
            made.add_at(int(place), int(count))
        return made

    @property
    def total(self) -> int:
        """How many values there are."""
        return sum(self.counts.values())

    def add(self, value: float, count: int = 1) -> None:
        """Count a value."""
        place = bucket(value)
        self.counts[place] = self.counts.get(place, 0) + count

    def add_at(self, place: int, count: int) -> None:
        """Count values whose bucket is known; one beyond the last is the last."""
        if count > 0:
            place = min(max(place, 0), LAST)
            self.counts[place] = self.counts.get(place, 0) + count

    def merge(self, other: Histogram) -> None:
        """Add all values of another histogram."""
        counts = self.counts
        for place, count in other.counts.items():
            counts[place] = counts.get(place, 0) + count

    def quantile(self, share: float) -> float | None:
        """The value that a share of all values (0 to 1) does not exceed, give or take `ERROR`; None if there are none.

        By nearest rank: of `n` values in order the one at place `ceil(share * n)`, the first at least.
        """
        rank = max(1, math.ceil(share * self.total))
        seen = 0
        for place in sorted(self.counts):
            seen += self.counts[place]
            if seen >= rank:
                return middle(place)
        return None

    def above(self, value: float) -> float:
        """The share of values in buckets beyond that of `value`; 0 if there are none."""
        total, limit = self.total, bucket(value)
        return sum(count for place, count in self.counts.items() if place > limit) / total if total else 0.0

    def text(self) -> str:
        """As text: `96:3 101:20` are 3 values in bucket 96 and 20 in bucket 101."""
        return " ".join(f"{place}:{self.counts[place]}" for place in sorted(self.counts))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self.counts == other.counts

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Histogram({self.text()!r})"


class Observed:
    """A distribution: how many, their sum, and a histogram."""

    __slots__ = ("histogram", "total")

    def __init__(self, histogram: Histogram | None = None, total: float = 0.0) -> None:
        self.histogram, self.total = histogram or Histogram(), total

    @classmethod
    def of(cls, values: Sequence[float]) -> Observed:
        """The distribution of some values."""
        return cls(Histogram.of(values), sum(values))

    @property
    def count(self) -> int:
        """How many values."""
        return self.histogram.total

    @property
    def mean(self) -> float | None:
        """Their mean, exactly; None if there are none."""
        count = self.count
        return self.total / count if count else None

    def merge(self, other: Observed) -> None:
        """Add all values of another one."""
        self.histogram.merge(other.histogram)
        self.total += other.total
