"""Which jobs a queue that fills up no longer takes, and when they should be tried again.

A queue has a limit. Beyond a share of it, `begin` (80 %), LOW is refused; half way from there to the limit NORMAL is
too; what remains is for HIGH and above. With the limit reached, each of those displaces the last of the less urgent
jobs that wait. So what matters least goes first, and early, while there is still room for what matters.

Refusing ends at a lower share than it begins at, for either priority 10 % of the limit further down: else a queue at
the edge would refuse and accept in turns, with every job that leaves it. What is refused is a level: 0 nothing, 1 LOW,
2 also NORMAL. In counts of jobs, `begins` and `ends` being those of a level,

    level(before, count) = the largest level with count >= begins, or with before >= level and count >= ends

A job is refused if its priority, as a number, is below the level. So whoever is more urgent is never refused where a
less urgent one is let in.

When to try again: half of a queue of n jobs has come since the one in its middle, w seconds ago. A queue that stays
full gives out what it takes in, n / 2 jobs in w seconds, so it falls from n to `until`, where such jobs are let in
again, in 2 * w * (n - until) / n, if nothing else comes. (Of the first in the queue w says nothing: it may be urgent,
and have just come.) At least 1 s, which keeps refused callers from asking all the time, and at most 60 s, because a
queue that stands still has no rate.

The memory of the server fills up in the same way: its limit for what is new is a share of `maxmemory`, 90 %, or a
number of bytes, and at the limit nothing new is let in, however urgent. What goes by is what the server says it uses. A
tally by namespace, kept by the scripts that add and remove, would be wrong before long: records and results go by their
time to live, of which no script hears, and what a zset or an index takes is not the sum of its members. And what makes
Redis refuse writes is that very number. It takes 7 us to ask for, and the sweep does so once a second, or whoever hands
something in where nobody sweeps; so up to a second's worth of jobs gets in beyond the limit, for which there is the
tenth that is kept. A refusal writes nothing, but for a level that has changed: a queue changes its level only with jobs
that are let in, but memory also fills and empties by itself, and without the level before nothing would be further
down.

Who waits beyond the soft limit, in a queue or in a line, waits for less long if nobody chose how long: what the fleet
has learnt was learnt when fewer came, and a caller that will get nothing had better hear so before the limit is reached
than after. Of n there and a limit of `limit`,

    fill = min(1, max(0, n - begins) / (limit - begins))        0 where it begins to refuse LOW, 1 at the limit
    wait = max(least, learnt * (1 - fill / 2))

Linear, so that nobody meets an edge; to a half and no further, because half of a timeout that is 1.5 times the 99th
percentile still lets most of those in that would have come in before; and never below the least that adapting is held
to. What is learnt is not changed by it: a wait that ran out counts at the timeout in force (`policy.adaptive`), however
much shorter it was itself.

`lib/overload.lua`, `lib/shed.lua`, `lib/shrink.lua` and `lib/memory.lua` do this for the fleet; here it is as values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

BEGIN = 0.8
END = 0.7
# A queue must be able to get below the end: at a share of 0 refusing would never be over.
LEAST_END = 0.01
SHORTEST = 1.0
LONGEST = 60.0
# The share of a server's `maxmemory` that is for what is new; the rest is kept so that what is there can be finished.
MEMORY = 0.9
# What a server at its limit is asked again after: it looks every second, and at what rate it empties nobody knows.
MEMORY_PAUSE = 5.0
# The level at which nothing new is let in.
CLOSED = 3


class Band(NamedTuple):
    """Counts of jobs at which a level of shedding begins, and below which it ends."""

    begins: int
    ends: int


@dataclass(frozen=True, slots=True)
class Shedding:
    """Shares of the limit at which LOW begins to be refused, and below which it no longer is."""

    begin: float = BEGIN
    end: float = END

    def ceilings(self, limit: int) -> tuple[Band, Band, Band]:
        """The levels of a server's memory with that limit in bytes: LOW, NORMAL too, and all that is new."""
        begin, end = round(self.begin * 1000), round(self.end * 1000)
        return *self.bands(limit), Band(limit, _count(1000 - begin + end, limit))

    def bands(self, limit: int) -> tuple[Band, Band]:
        """The levels of a queue with that limit: LOW, and NORMAL too."""
        begin, end = round(self.begin * 1000), round(self.end * 1000)
        half = (begin + 1000) // 2
        return Band(_count(begin, limit), _count(end, limit)), Band(
            _count(half, limit), _count(half - begin + end, limit)
        )


def level(before: int, count: int, bands: Sequence[Band]) -> int:
    """What a queue of `count` jobs refuses that was at the level `before`."""
    found = 0
    for number, band in enumerate(bands, 1):
        if count >= band.begins or (before >= number and count >= band.ends):
            found = number
    return found


def refuses(at: int, priority: int) -> bool:
    """Whether a queue, or a server, at that level refuses a job of that priority."""
    return at >= CLOSED or priority < at


def retry_after(waited: float, count: int, until: int) -> float:
    """Seconds until a queue of `count` jobs, its middle one `waited` seconds old, has fallen to `until`."""
    share = max(0, count - until) / max(1, count)
    return min(max(2 * waited * share, SHORTEST), LONGEST)


def fill(count: int, begins: int, limit: int) -> float:
    """How far from its soft limit, 0, to its limit, 1, a queue or a line of `count` is. One that begins to refuse
    at the limit itself has nothing in between: 0."""
    return min(1.0, max(0, count - begins) / (limit - begins)) if begins < limit else 0.0


def shrunk(learnt: float, least: float, filled: float) -> float:
    """What is left of a learnt timeout, in its unit, where so much is filled: at most half of it goes, and nothing that
    is below `least`."""
    return max(min(least, learnt), learnt * (1 - filled / 2))


def _count(mille: int, limit: int) -> int:
    """That share of a limit, rounded up."""
    return -(-mille * limit // 1000)
