"""Runs of one job: there is another only after the one before was taken back, and nothing is taken from a worker that
may still trust its lease.

Of jobs that need no resource the server's account has no claims, only their number: so it is counted. Whatever ends a
claim without ending the job is in the account: its worker died, handed it back, or reported that it is to run again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence

from chaos.checker.facts import Problem
from chaos.checker.losses import Loss
from chaos.history import SERVER, Op

# What ends a claim and lets another worker have the job.
TAKEN_BACK = frozenset({"crash", "give_back", "retry", "snooze", "replay"})
# The same worker goes on under a new fence.
AGAIN = "again"
LAPSED = "session lost"


def check_runs(ops: Collection[Op], losses: Sequence[Loss] = (), *, steady: bool = False) -> Iterator[Problem]:
    """The breaches. `losses`: when the server forgot claims that had been answered. `steady`: it forgot none, and its
    clock was that of the processes all the time."""
    records: dict[str, Op] = {}
    moves: defaultdict[str, list[Op]] = defaultdict(list)
    starts: defaultdict[str, list[Op]] = defaultdict(list)
    for one in ops:
        if one.process == SERVER and one.op == "job":
            records[one.arg("job")] = one
        elif one.process == SERVER and one.op == "move":
            moves[one.arg("job")].append(one)
        elif one.op == "start":
            starts[one.arg("job")].append(one)
    for job, record in records.items():
        yield from _claims(job, record, moves[job])
        yield from _runs(job, starts[job], moves[job], losses)
        if steady:
            yield from _robbed(job, starts[job], moves[job])
    if steady:
        yield from _robbed_holders(ops, moves)


def _claims(job: str, record: Op, moves: list[Op]) -> Iterator[Problem]:
    deliveries, back = int(record.args.get("deliveries", 0)), _count(moves)
    most = 1 + sum(back[event] for event in TAKEN_BACK)
    if deliveries > most:
        yield Problem("double", f"{job} was handed out {deliveries} times, and taken back {most - 1} times")


def _runs(job: str, starts: list[Op], moves: list[Op], losses: Sequence[Loss]) -> Iterator[Problem]:
    fences, back = {one.fence for one in starts}, _count(moves)
    if len(fences) < 2:  # noqa: PLR2004 (one run is never too many)
        return
    began, last = min(one.invoked for one in starts), max(one.invoked for one in starts)
    forgotten = sum(one.over >= began and one.at <= last for one in losses)
    most = 1 + forgotten + back[AGAIN] + sum(back[event] for event in TAKEN_BACK)
    if len(fences) > most:
        by = ", ".join(f"{one.process} under {one.fence}" for one in starts)
        yield Problem("double", f"{job} began {len(fences)} times ({by}), and was taken back {most - 1} times")


def _robbed(job: str, starts: list[Op], moves: list[Op]) -> Iterator[Problem]:
    """A worker notes with the start until when it may trust its session. Before that nobody may take it for dead."""
    for crash in moves:
        if crash.arg("event") != "crash" or crash.arg("why") != LAPSED:
            continue
        # The server tells milliseconds, cut off.
        at = crash.server_us + 999
        begun = [one for one in starts if one.server_us and one.server_us <= crash.server_us]
        newest = max(begun, key=lambda one: one.fence, default=None)
        if newest is None or at >= int(newest.args.get("trusted_us", 0)):
            continue
        # Whoever had it after that may not have begun it.
        others = (one for one in moves if one is not crash and newest.server_us - 999 <= one.server_us <= at)
        if not any(one.arg("event") in TAKEN_BACK or one.arg("event") == AGAIN for one in others):
            early = (int(newest.args["trusted_us"]) - at) / 1e6
            text = f"{job} was taken from {newest.process} {early:.3f} s before that could doubt its session"
            yield Problem("robbed", text)


def _count(moves: list[Op]) -> Counter[str]:
    return Counter(one.arg("event") for one in moves)


def _robbed_holders(ops: Iterable[Op], moves: dict[str, list[Op]]) -> Iterator[Problem]:
    """The same of locks: whoever has one notes until when it could trust its session when it got it."""
    for one in ops:
        trusted = int(one.args.get("trusted_us", 0)) if one.op == "acquire" else 0
        for lost in moves[one.arg("request")] if trusted else ():
            if lost.arg("event") == "lose" and lost.server_us + 999 < trusted:
                early = (trusted - lost.server_us - 999) / 1e6
                what = f"{one.arg('resource')} was taken from {one.process}"
                yield Problem("robbed", f"{what} {early:.3f} s before that could doubt its session")
