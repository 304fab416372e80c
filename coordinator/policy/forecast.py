"""How long somebody who stands in line will probably wait, from how long others have held what it waits for.

The line is played through as the engine grants it: whoever is first has it as soon as it fits beside those who have it,
and nobody passes. Those next to each other who share it have it together, so a group of them takes as long as its
longest; permits are used side by side; and for a group of those who share it somebody waits only if it is not one of
them. How long each holds it is known as a distribution, so the line is played `DRAWS` times, and the answer is one too:
the time within which it is over in half of all cases (`p50`), and in nine of ten (`p90`), and from how many holds that
is known.

A distribution is taken as `DRAWS` values of equal weight, its quantiles; each is drawn in one of the games, in an order
of the one who holds (`seed`): a Latin hypercube (McKay, Beckman and Conover, 1979), whose sums have the right mean and
far less of chance in them than free draws. Who is in front has the same draws whoever else there is, and in such a game
nobody begins sooner by somebody more in front or by a hold that lasts longer. So a forecast never gets shorter by
somebody more in front.

What is left of a hold that has gone on for `e` are the holds that took longer, less `e`; if none has taken so long, as
long again (with nothing better known, half of what has lasted so long lasts twice as long); and never more than is left
of its lease. Those of whom only the number is known count with a mean hold of one permit each.
"""

from __future__ import annotations

import hashlib
import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import add

from coordinator.model.histogram import Histogram, middle
from coordinator.model.lease import Expected

DRAWS = 64

Draws = list[float]


@dataclass(frozen=True, slots=True)
class Turn:
    """One who stands in line: how long such ones hold, and what it asks for. `seed`: an order of its draws, always the
    same for the same one."""

    known: Histogram
    shared: bool = False
    permits: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold that goes on: of whom, for how long it has, and in how many seconds its lease ends."""

    turn: Turn
    elapsed: float = 0.0
    left: float = math.inf


@dataclass(frozen=True, slots=True)
class Standing:
    """Where somebody stands in one line: the holds that go on, who stands before it from the head on, as far as that is
    known, how many more there are, how long holds take there, how many permits there are, for how many seconds it is
    granted to nobody, and what it asks for itself."""

    holds: Sequence[Hold]
    before: Sequence[Turn]
    more: int
    usual: Histogram
    capacity: int = 1
    frozen: float = 0.0
    shared: bool = False
    permits: int = 1


def forecast(standings: Iterable[Standing]) -> Expected | None:
    """What to expect of somebody who waits in some lines at once: the longest of them. None if there is one of which
    nothing is known."""
    waits, samples = [0.0] * DRAWS, []
    for one in standings:
        histories = [*(hold.turn.known for hold in one.holds), *(turn.known for turn in one.before)]
        histories += [one.usual] if one.more else []
        if not all(known.total for known in histories):
            return None
        samples += [known.total for known in histories]
        waits = [max(pair) for pair in zip(waits, sorted(_waits(one)), strict=True)]
    return Expected(_at(waits, 0.5), _at(waits, 0.9), min(samples, default=0))


# One turn: whether it shares, how many permits it takes, and how long it lasts in each of the `DRAWS` games.
_Step = tuple[bool, int, Draws]


def _waits(one: Standing) -> Draws:
    capacity = max(1, one.capacity)
    # Most have the same distribution, the one that is usual there.
    several = {id(known): known for known in [one.usual, *(turn.known for turn in one.before)]}
    drawn = {place: _draws(known) for place, known in several.items()}
    steps: list[_Step] = []
    for turn in one.before:
        _join(steps, (turn.shared, min(turn.permits, capacity), _ordered(drawn[id(turn.known)], turn.seed)), capacity)
    if one.more:
        # Of those further back only the number is known: they are played as one turn that takes all permits, for as
        # long as all of them would take side by side.
        total = one.more * sum(drawn[id(one.usual)]) / DRAWS / capacity
        steps.append((False, capacity, [total] * DRAWS))
    steps.append((one.shared, min(one.permits, capacity), [0.0] * DRAWS))
    held = [
        (hold.turn.shared, min(hold.turn.permits, capacity), _ordered(_rest(hold), hold.turn.seed))
        for hold in one.holds
    ]
    return [_played(one.frozen, capacity, (held, steps), game) for game in range(DRAWS)]


def _join(steps: list[_Step], step: _Step, capacity: int) -> None:
    """Add a step; those who are there together, or have all there is one after the other, are as good as one."""
    shared, permits, takes = step
    if steps and steps[-1][0] == shared and (shared or permits == steps[-1][1] == capacity):
        steps[-1] = (shared, permits, list(map(max if shared else add, steps[-1][2], takes)))
    else:
        steps.append(step)


def _played(now: float, free: int, both: tuple[list[_Step], list[_Step]], game: int) -> float:
    """When the last of a line has it, of which nobody is granted it before `now`. `both`: those who have it, and the
    line."""
    held, steps = both
    using = [(lasts[game], permits) for shared, permits, lasts in held if not shared]
    sharing = max((lasts[game] for shared, _, lasts in held if shared), default=0.0)
    free -= sum(permits for _, permits in using)
    heapq.heapify(using)
    for shared, permits, takes in steps:
        if not shared and sharing > now:
            now = sharing
        while using and (shared or free < permits):
            ends, given = heapq.heappop(using)
            free += given
            now = max(now, ends)
        if shared:
            sharing = max(sharing, now + takes[game])
        else:
            heapq.heappush(using, (now + takes[game], permits))
            free -= permits
    return now


def _rest(hold: Hold) -> Draws:
    """What is left of a hold."""
    elapsed = max(0.0, hold.elapsed)
    counts = {place: many for place, many in hold.turn.known.counts.items() if middle(place) > elapsed}
    longer = Histogram(counts)
    found = [value - elapsed for value in _draws(longer)] if longer.total else [elapsed] * DRAWS
    return [min(one, max(0.0, hold.left)) for one in found]


def _draws(known: Histogram) -> Draws:
    return [known.quantile((place + 0.5) / DRAWS) or 0.0 for place in range(DRAWS)]


def _ordered(draws: Draws, seed: int) -> Draws:
    """The draws in the order of somebody: by the bytes of a digest, one for each."""
    lots = hashlib.blake2b(seed.to_bytes(8, "big"), digest_size=DRAWS).digest()
    return [draws[place] for place in sorted(range(DRAWS), key=lots.__getitem__)]


def _at(values: Draws, share: float) -> float:
    """The value that a share of them does not exceed; they are in order."""
    return values[max(1, math.ceil(share * len(values))) - 1]
