"""How long somebody who stands in line will probably wait, from how long others have held what it waits for.

The wait is what is left of the hold that goes on, and then one hold for each who stands before. How long holds take is
known as a distribution, so the answer is one too: the time within which it is over in half of all cases (`p50`), and in
nine of ten (`p90`), and from how many holds that is known.

A distribution is kept as `ATOMS` values of equal weight, its quantiles. What is left of a hold that has gone on for `e`
are the holds that took longer, less `e`; if none has taken so long, as long again (with nothing better known, half of
what has lasted so long lasts twice as long); and never more than is left of its lease. The sum of two independent
distributions are the sums of all pairs, sorted, of which each group of as many as the second has is put together as its
mean: that keeps the mean, and no value is less than the one of the first in its place. So a forecast never gets shorter
by somebody more in front. Of those not known by name each beyond `SUMMED` counts with its mean, for their spread hardly
matters then.

Of a resource with several permits the holds before it go on side by side, and the first to end counts. Who shares it
takes a turn like everybody else, so among many who share it is a forecast of the longest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from coordinator.model.histogram import Histogram, middle
from coordinator.model.lease import Expected

ATOMS = 32
# Of a hold that is added to others so many values are enough.
PARTS = 8
SUMMED = 20

Atoms = list[float]


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold that goes on: how long such ones take, for how long it has, and in how many seconds its lease ends."""

    known: Histogram
    elapsed: float = 0.0
    left: float = math.inf


@dataclass(frozen=True, slots=True)
class Standing:
    """Where somebody stands in one line: the holds that go on, how long those take who stand before, as far as each is
    known by name, how many more there are, how long holds take there, how many permits there are, and for how many
    seconds it is granted to nobody."""

    holds: Sequence[Hold]
    before: Sequence[Histogram]
    more: int
    usual: Histogram
    permits: int = 1
    frozen: float = 0.0


def forecast(standings: Iterable[Standing]) -> Expected | None:
    """What to expect of somebody who waits in some lines at once: the longest of them. None if there is one of which
    nothing is known."""
    waits, samples = [0.0] * ATOMS, []
    for one in standings:
        histories = [*(hold.known for hold in one.holds), *one.before, *([one.usual] if one.more else [])]
        if not all(known.total for known in histories):
            return None
        samples += [known.total for known in histories]
        waits = [max(pair) for pair in zip(waits, _wait(one), strict=True)]
    return Expected(_at(waits, 0.5), _at(waits, 0.9), min(samples, default=0))


def _wait(one: Standing) -> Atoms:
    permits = max(1, one.permits)
    ending = [_rest(hold) for hold in one.holds]
    # One permit: all that go on are in the way, such as readers of a writer. Several: the first to end makes room.
    put = max if permits == 1 else min
    waits = [put(values) for values in zip(*ending, strict=True)] if ending else [0.0] * ATOMS
    usual = _atoms(one.usual, PARTS)
    # However many are known by name: if they took the place of others here, one more of them would change who counts
    # with its mean, and so could make the whole shorter.
    summed = min(one.more, SUMMED)
    turns = [*(_atoms(known, PARTS) for known in one.before), *[usual] * summed]
    for turn in turns:
        waits = _plus(waits, [value / permits for value in turn])
    beyond = (one.more - summed) * _mean(usual) / permits
    return [max(one.frozen, value + beyond) for value in waits]


def _rest(hold: Hold) -> Atoms:
    """What is left of a hold."""
    elapsed = max(0.0, hold.elapsed)
    longer = Histogram({place: many for place, many in hold.known.counts.items() if middle(place) > elapsed})
    found = [value - elapsed for value in _atoms(longer, ATOMS)] if longer.total else [elapsed] * ATOMS
    return [min(one, max(0.0, hold.left)) for one in found]


def _atoms(known: Histogram, count: int) -> Atoms:
    return [known.quantile((place + 0.5) / count) or 0.0 for place in range(count)]


def _plus(sums: Atoms, holds: Atoms) -> Atoms:
    pairs = sorted(one + hold for one in sums for hold in holds)
    return [_mean(pairs[at : at + len(holds)]) for at in range(0, len(pairs), len(holds))]


def _mean(values: Atoms) -> float:
    return sum(values) / len(values)


def _at(values: Atoms, share: float) -> float:
    """The value that a share of them does not exceed; they are in order."""
    return values[max(1, math.ceil(share * len(values))) - 1]
