"""Whose claimed jobs an idle worker takes over, how many, and what a worker offers of what it cannot begin.

A worker claims jobs in batches, and begins them one after the other. One long job in front, a handler that keeps the
loop or all processes, holds up those behind it, which others could begin. Two rules keep that short.

*The victim offers.* Nobody else can know what has begun. A worker looks `LOOKS` times an interval at the jobs that it
has claimed and not begun. Those that lie for longer than one look it offers, but for as many as it has begun since the
look before: so many it will probably begin until the next, and a job that is taken back costs a round trip. A worker
whose loop does not come round begins none, and offers all. A job therefore waits for one interval at most, one look to
come of age and one to be seen, whatever runs in front of it, and a worker that goes through its batch within a look
never offers anything.

*The thief takes the tail of the most loaded.* Every job that is on offer has its place in what its worker has not
begun. The deepest place is the tail of the most loaded worker; without that job the next deepest is the tail of whoever
is the most loaded then. So the order of all places, the deepest first, is the order in which to rob, and needs no count
for each worker. The victim keeps the front, where it goes on itself. (Stealing from the tail is the way of Blumofe and
Leiserson, Scheduling Multithreaded Computations by Work Stealing, 1999.) The thief takes as many as it could have
claimed, not half of them as is usual: nothing moves for good, for what it cannot begin it offers in turn.

Who has jobs on offer, or no process free for those that need one, takes none: two workers would pass them to and fro.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

INTERVAL = 0.1
LOOKS = 2
# In one offer, so that the script stays short; the rest are offered at the next look.
MAX_OFFER = 256


def surplus(lying: int, begun: int) -> int:
    """How many of the jobs that lie for long a worker offers, from the tail. `begun`: since its last look."""
    return min(MAX_OFFER, max(0, lying - begun))


def appetite(wanted: int, idle: bool, places: int | None) -> int:
    """How many of the jobs that a worker asks for may be others'. `idle`: nothing of its own is on offer or waits for a
    process; `places`: processes that are free, None if its handlers need none."""
    if not idle:
        return 0
    return wanted if places is None else min(wanted, places)


def spoils(backlogs: Mapping[str, Sequence[str]], wanted: int) -> list[tuple[str, str]]:
    """Whom to rob of what: worker and job, in order. `backlogs`: what each worker has on offer, the first to be begun
    in front. The later of equals comes first, by the name of the job."""
    places = ((place, job, worker) for worker, jobs in backlogs.items() for place, job in enumerate(jobs, 1))
    return [(worker, job) for _, job, worker in sorted(places, reverse=True)[:wanted]]
