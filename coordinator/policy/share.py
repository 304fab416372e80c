"""Who is next where several share by weights: the priorities of a queue, or the queues of a worker.

Stride scheduling. Each sharer has a weight w and a stride of SCALE / w. What it has had lately is its lead, in the same
units; who has the smallest lead of those that want something is next, of equal ones the first. Whoever takes a turn
sets time forward to its lead, and then leads by its stride:

    passed = lead[i];  lead[j] = max(0, lead[j] - passed) for all j;  lead[i] = SCALE / w[i]

- All of them busy, each has its share of any run of turns to within a turn or so: of 16:8:4:2:1 in 31 turns exactly
  so many.
- Who has nothing to do falls back to a lead of 0 and no further: it neither pays for the time in which it wanted
  nothing, nor may it make up for that later. The others have its turns, in the proportions of their own weights.
- Nobody starves. A lead is at most a stride, and j takes at most w[j] / w[i] + 1 turns while i waits, so i is served
  within `patience` turns: the sum of that over the others. For the LOW of 16:8:4:2:1 it is 34.
- Only the leads have to be kept, and losing them costs no more than one round of unfairness.

Whole numbers, so that Lua and Python agree for ever. SCALE is a multiple of all numbers from 1 to 16 and far above
them, so that shares by such weights are exact and those by others nearly so. A weight of 0 would be a way to starve,
and there is none.

16:8:4:2:1 halves from level to level: what is urgent still has by far the most, and LOW moves once in 31 turns when all
are busy.

`lib/share.lua` does this for the fleet; here it is as values.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal, get_args

from coordinator.errors import InvalidInput
from coordinator.model.names import whole

Sharing = Literal["strict", "weighted"]
SHARINGS: tuple[str, ...] = get_args(Sharing)

# From EMERGENCY to LOW.
WEIGHTS = (16, 8, 4, 2, 1)
MAX_WEIGHT = 1000
# Queues that one worker can serve by weights.
MAX_SHARERS = 32
SCALE = 720_720_000

Leads = tuple[int, ...]


def checked(weights: Sequence[int], argument: str) -> tuple[int, ...]:
    """Weights of the priorities of a queue, from EMERGENCY to LOW. Raises InvalidInput."""
    if len(weights) != len(WEIGHTS):
        raise InvalidInput(argument, weights, f"must be {len(WEIGHTS)} weights, from EMERGENCY to LOW")
    return tuple(whole(one, argument, 1, MAX_WEIGHT) for one in weights)


def stride(weight: int) -> int:
    """By how much a turn moves one of that weight on."""
    return SCALE // weight


def at_rest(weights: Sequence[int]) -> Leads:
    """The leads of those who have had nothing yet."""
    return (0,) * len(weights)


def following(leads: Leads, busy: Collection[int]) -> int | None:
    """Whose turn it is, of those that want something; None if nobody does."""
    return min(sorted(busy), key=lambda one: leads[one], default=None)


def taken(leads: Leads, weights: Sequence[int], one: int) -> Leads:
    """The leads after a turn of `one`, whose turn it need not have been: a job that could not be had costs nobody."""
    passed = leads[one]
    moved = [max(0, lead - passed) for lead in leads]
    moved[one] = stride(weights[one])
    return tuple(moved)


def patience(weights: Sequence[int], one: int) -> int:
    """Turns that the others have at most while `one` waits for its own."""
    return sum(weight // weights[one] + 1 for other, weight in enumerate(weights) if other != one)
