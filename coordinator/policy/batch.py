"""How many jobs a worker claims at once.

More jobs in a claim spread what a round trip costs over more of them. But what is claimed and has not begun is
*reserved*: it waits behind what this worker does, however idle others are. So a claim is as large as pays, and never so
large that more than a target of work is reserved (0.05 s unless settings say otherwise).

The work of a job, w, is the time for which it keeps others from beginning: on the loop until it first waits, in a
process its run divided by the number of processes. It is an exponentially weighted mean over jobs. For n of them that
took m seconds on average, with d = 1 - 1/64,

    S = S * d^n + m * (1 - d^n) / (1 - d),    J = J * d^n + (1 - d^n) / (1 - d),    w = S / J

A job counts a third of what the job 64 after it does: one of 200 ms among quick ones is felt in the very next claim,
and a few batches of quick ones forget it. It begins as if one job of target / 8 had been seen: the first claim is for 8
jobs, and if those were quick the next are as large as any.

With r jobs reserved already, a claim is for at most

    min(free slots, half of the slots, what one call may do, most, max(least, target / w) - r, lease / 4 / w - r,
        max(least, 2, trip / 0.05 / w, 3 * sqrt(trip / w * u)))

and for at least one, if another job would begin at once. Half of the slots: while one half is run the other is settled
and claimed. A quarter of a lease (the shorter of a session's life and the longest hold): what waits longer might be
lost before it begins; that bounds `least`, too.

The last bound is what pays: a round trip that is 5 % of the work of its claim is thin enough, and every job more would
only wait there while other workers are idle. A round trip is taken for as long as 24 jobs at the level below (what they
cost beside their work), and for 0.5 ms at least: so a claim is for 10 ms of work and more, and for jobs of 0.15 ms and
less this bounds nothing. Two jobs pay always, for two halve what one pays alone, and where a few long ones make the
mean most claims of two are of short ones. It holds as soon as more than the first, cold claim is known.

Jobs may be *uneven*: u = E(work^2) / w^2 is 1 where all are alike, and 200 where one in 200 does all the work. The more
uneven they are, the more of the time of all is spent in queues that long ones have made, W ~ w * u, and the more it
matters that these are worked off quickly; while a claim of n makes others wait for (n - 1) / 2 * w whatever u is. Round
trips add trip / n / w to the load, and in proportion to W. The sum of both, W * trip / (n * w) + n * w / 2, is
least where n^2 = 2 * W * trip / w^2: in proportion to sqrt(trip / w * u). The factor 3 is by trial on mixes of one long
job in 50, 100 and 200, and changes nothing where jobs are alike. Of a claim only the sum is known, so the variance is
that of the sums: (seconds - jobs * w)^2 / jobs, faded as w is.

Within that a bandit chooses between the powers of two, 1 to 256 (the last one cut down to what is allowed), for the
bound says what is harmless, not what pays. Its measure is the time per job that is not spent on jobs: round trips,
packing and unpacking, pauses. Long jobs cancel out of that, so one of 200 ms among a thousand of 20 us says nothing
for or against the size that happened to bring it. An epoch, 16 claims (4 of a size that is not the best) or 50 ms, is
one observation of a size if all its claims had that size and came full and one after the other. What is kept of each
size is its cost beside the others':

    of the size that is best    level = level + (observed / cost - level) / 4
    of another                  cost  = cost + (observed / level - cost) / (n + 5)

with n the epochs in which it was seen, each of which counts 0.98 times the one after it: 50 of them at most, a second
or two of a busy worker, so that a server that becomes slower for large claims is followed. Sizes are compared with what
the best one costs at that time, for when the machine has other things to do all of them cost more.

- Expected, before anything was seen and for 4 epochs' worth after, is a cost of 1 + 24 / size: a round trip costs as
  much as 24 jobs (measured: claims of 32 cost 1.2 times what claims of 50 do). So the largest size comes first, a cold
  worker is as fast as one that knows, and one unlucky epoch decides nothing.
- The next epoch has the size with the largest index of discounted UCB1 (Garivier & Moulines 2011), N being the sum of
  all n,

      index = least cost / cost + spread * sqrt(2 * ln(1 + N) / (n + 1))

  among the best size, the one below and the one above (as in OSUB, Combes & Proutiere 2014): costs fall until a round
  trip is spread thin enough and then rise, if ever, so a better size is seen from its neighbour, and a claim for one
  job, which may cost ten times as much, is not tried while 64 are best.
- The spread is how far one epoch is off on a machine that does other things, too: measured, 0.15 to 0.25 of its mean.
  With 0.17, and a neighbour that costs a fifth more, 2 of 50 epochs go to the neighbour. They are of 4 claims, which
  say less than 16 do and cost a quarter: 0.7 % more round trips than with the largest claims only (2.5 % if they were
  of 16), and 0.15 % less throughput.

When to claim is not chosen here, for nobody waits for a poll: a worker that found nothing has its next claim lying with
the server, and one with free slots is rung. Measured, looking every 0.02 s or every hour made no difference to the time
from a submission to its handler (medians of 0.73 to 0.82 and 0.67 to 0.91 ms; `docs/batching.md`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

from coordinator.model.measures import LIMITS

TARGET, LEAST, MOST = 0.05, 1, 256
# Jobs of the first claim of all.
COLD = 8
# The weight of a job beside the next one: the mean goes over about 64 jobs.
FADE = 1 - 1 / 64
# The share of a lease for which reserved jobs may wait.
RENEWED = 0.25
# Claims in an epoch with the best size, and with one of its neighbours; and the longest epoch, in seconds.
EPOCH, GLANCE, LONGEST = 16, 4, 0.05
# While fewer jobs than this are known, every claim is an epoch.
FEW = 32
# The weight of an epoch beside the next one.
DISCOUNT = 0.98
# How far the cost of one epoch is off, as a share of the mean.
SPREAD = 0.17
# How many epochs what is expected of a size counts for, before it is tried.
PRIOR = 4
# A round trip is expected to cost as much as so many jobs.
CALL_JOBS = 24
# How far one epoch of the best size moves the level.
QUICK = 0.25
# In place of a cost of 0, by which nothing can be divided.
TINY = 1e-9
ARMS = MOST.bit_length()
# The least that a round trip is taken for, in seconds; and the share of the work of its claim that it may be.
TRIP, SHARE = 0.0005, 0.05
# A claim for so many jobs always pays.
PAIR = 2
# The factor of the bound for uneven jobs.
UNEVEN = 3.0
# A size that differs from the last one told by this factor is news.
NOTABLE = 4

# What set the size of a claim.
SLOTS, CALL, RESERVED, RENEWAL, LEARNT, SETTING = LIMITS


@dataclass(frozen=True, slots=True)
class Aim:
    """How much work may be reserved, in seconds, and the bounds of a claim in jobs."""

    target: float = TARGET
    least: int = LEAST
    most: int = MOST


class Work(NamedTuple):
    """Seconds of work, the jobs they went to, and their variance times these jobs: all faded."""

    seconds: float
    jobs: float
    spread: float = 0.0

    @property
    def each(self) -> float:
        """The work of one job."""
        return self.seconds / self.jobs

    @property
    def uneven(self) -> float:
        """The mean of the squares of the work beside the square of its mean: 1 if all jobs are alike."""
        return 1 + self.spread / self.jobs / max(TINY, self.each) ** 2


class Arm(NamedTuple):
    """What is known of one size: its cost beside that of the others, and in how many epochs it was seen, discounted."""

    cost: float
    epochs: float = 0.0


class Bounds(NamedTuple):
    """What holds whatever was learnt: `half` of the slots and `call`, what one call may do, in jobs; `lease`, for how
    many seconds a job that has not begun is safe."""

    half: int
    call: int
    lease: float


class Plan(NamedTuple):
    """How claims are made until more is known: of `full` jobs, which `why`, of the LIMITS, set. `arm` is the bandit's
    choice, of those up to `top`. No more than `room` jobs are reserved, which `tight` set."""

    full: int
    why: str
    arm: int
    top: int
    room: int
    tight: str

    def size(self, free: int, reserved: int, starts: bool) -> int:
        """How many jobs to claim with that many slots free and that many jobs reserved. `starts`: another job would
        begin at once, or nearly so."""
        size, left = min(self.full, free), self.room - reserved
        return size if size <= left else max(0, left, min(size, int(starts)))

    def reason(self, size: int, free: int) -> str:
        """Why it is as many."""
        return self.why if size == self.full else SLOTS if size == free else self.tight


class Seen(NamedTuple):
    """What happened in a while: how many jobs came with claims, its `seconds`, how many of these were `spent` on jobs,
    and how many jobs have `begun`. `busy`: all its claims came full, and nothing but their size kept this worker from
    more jobs, or from making the next claim sooner."""

    jobs: int
    seconds: float
    spent: float
    begun: int
    busy: bool


class State(NamedTuple):
    """All that a worker has learnt: the work of a job, the sizes, and what one job costs where a size costs 1 (0: not
    known). `arm` is the one to use with arms up to `top`."""

    work: Work
    arms: tuple[Arm, ...]
    level: float
    arm: int
    top: int


def cold(aim: Aim) -> State:
    """What a worker begins with."""
    top, arms = _top(COLD), tuple(Arm(1 + CALL_JOBS / (1 << arm)) for arm in range(ARMS))
    return State(Work(aim.target / COLD, 1.0), arms, 0.0, top, top)


def plan(state: State, aim: Aim, bounds: Bounds) -> Plan:
    """How to make claims, going by what is known."""
    each = state.work.each
    wished, safe = max(aim.least, _times(aim.target, each)), _times(bounds.lease * RENEWED, each)
    room, tight = (safe, RENEWAL) if safe < wished else (wished, RESERVED)
    limits = (
        (bounds.half, SLOTS),
        (bounds.call, CALL),
        (room, tight),
        (aim.most, SETTING),
        (max(aim.least, worth(state)), LEARNT),
    )
    bound, why = min(limits, key=itemgetter(0))
    bound = max(1, bound)
    top = _top(bound)
    arm = state.arm if top == state.top else best(state.arms, top)
    full = min(max(1 << arm, aim.least), bound)
    return Plan(full, LEARNT if full < bound else why, arm, top, room, tight)


def worth(state: State) -> int:
    """The jobs of a claim beside which a round trip is so little that more of them win nothing."""
    if state.work.jobs < 2 * COLD:
        return MOST
    each, trip = state.work.each, max(TRIP, CALL_JOBS * state.level)
    return max(PAIR, _times(trip / SHARE, each), _times(UNEVEN * math.sqrt(trip * each * state.work.uneven), each))


def learn(state: State, plan: Plan, seen: Seen) -> State:
    """The state after claims by that plan."""
    if seen.begun:
        state = state._replace(work=worked(state.work, seen.spent, seen.begun))
    if plan.top != state.top:
        state = state._replace(arm=plan.arm, top=plan.top)
    if seen.busy and seen.jobs:
        state = learnt(state, max(TINY, (seen.seconds - seen.spent) / seen.jobs))
    return state


def moved(told: int, now: int) -> bool:
    """Whether a size is notably another one than that of which was told: a fourth of it or less, or four times or more.
    Trying a neighbour of the best size, half or twice as large, is no news."""
    return now >= NOTABLE * told or told >= NOTABLE * now


def epoch(state: State) -> int:
    """After how many claims to learn."""
    if state.work.jobs < FEW:
        return 1
    return EPOCH if state.arm == leader(state.arms, state.top) else GLANCE


def worked(work: Work, seconds: float, jobs: int) -> Work:
    """The means after so many jobs more, which took that many seconds in all, each as long as the others."""
    fade = FADE**jobs
    weight = (1 - fade) / (1 - FADE)
    new = (seconds / jobs, 1.0, (seconds - jobs * work.each) ** 2 / jobs)
    return Work(*(old * fade + one * weight for old, one in zip(work, new, strict=True)))


def learnt(state: State, cost: float) -> State:
    """The state after an epoch in which a job cost so many seconds, beside its own work."""
    arm, level = state.arm, state.level
    known, epochs = state.arms[arm]
    if not level:
        level = cost / known
    elif arm == leader(state.arms, state.top):
        level += (cost / known - level) * QUICK
    else:
        known += (cost / level - known) / (epochs + PRIOR + 1)
    arms = _moved(state.arms, arm, known, leader(state.arms, state.top))
    return state._replace(arms=arms, level=level, arm=best(arms, state.top))


def _moved(arms: tuple[Arm, ...], arm: int, cost: float, first: int) -> tuple[Arm, ...]:
    """All arms after one more epoch of one of them. What is expected of those beyond it, seen from the best, moves
    along, as far as it is no more than expected."""
    made = [Arm(one.cost, one.epochs * DISCOUNT) for one in arms]
    made[arm] = Arm(cost, made[arm].epochs + 1)
    ratio = cost / arms[arm].cost
    for which in range(arm) if arm < first else range(arm + 1, ARMS) if arm > first else ():
        old, epochs = made[which]
        made[which] = Arm(old * ratio ** (PRIOR / (epochs + PRIOR)), epochs)
    return tuple(made)


def leader(arms: tuple[Arm, ...], top: int) -> int:
    """The arm that costs least, of those up to `top`; of equals the largest."""
    return min(range(top, -1, -1), key=lambda arm: arms[arm].cost)


def best(arms: tuple[Arm, ...], top: int) -> int:
    """The arm to use next, of those up to `top`."""
    first = leader(arms, top)
    least, trust = arms[first].cost, 2 * math.log1p(sum(one.epochs for one in arms[: top + 1]))
    near = range(min(top, first + 1), max(0, first - 1) - 1, -1)
    return max(near, key=lambda arm: least / arms[arm].cost + SPREAD * math.sqrt(trust / (arms[arm].epochs + 1)))


def _times(seconds: float, each: float) -> int:
    """How often `each` goes into so many seconds; no more than any claim can be for."""
    return int(seconds / each) if each * MOST > seconds else MOST


def _top(bound: int) -> int:
    """The first arm that is no smaller than the bound."""
    return min((bound - 1).bit_length(), ARMS - 1)
