"""Jobs: none is lost, none is committed twice, none starts after its end.

What was acknowledged must be there, what was refused must not, and what has an unknown outcome may be either. A job
may start many times, under another fence each time; the fence it was settled under is the newest that any handler had.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from chaos.checker.facts import Problem
from chaos.history import SERVER, Op
from coordinator.model.states import FINAL, State

# Ends that a worker reports; all others are the server's own doing and need no fence.
REPORTED = frozenset({State.SUCCEEDED, State.FAILED})
# Ends that somebody has to ask for: by a cancellation, or by a limit, which the jobs of a run do not have.
ASKED_FOR = frozenset({State.CANCELLED, State.EXPIRED, State.SHED})


def check_jobs(ops: Iterable[Op], *, drained: bool) -> list[Problem]:
    """The breaches of the rules about jobs."""
    records: dict[str, Op] = {}
    counted: dict[str, int] = {}
    by_job: dict[str, defaultdict[str, list[Op]]] = {
        name: defaultdict(list) for name in ("submit", "cancel", "start", "told", "done", "raised")
    }
    for one in ops:
        if one.process == SERVER and one.op == "job":
            records[one.arg("job")] = one
        elif one.process == SERVER and one.op == "counted":
            counted[one.arg("name")] = int(one.args["count"])
        elif one.op in by_job:
            by_job[one.op][one.arg("job")].append(one)
    problems = list(_conservation(by_job["submit"], records, drained))
    problems += _dropped(records, by_job["cancel"])
    problems += _run_on(records, by_job["cancel"])
    problems += _failed(records, by_job["raised"])
    for job, starts in by_job["start"].items():
        problems += _leases(job, starts, by_job["submit"][job])
        problems += _ends(job, starts, by_job["told"][job], records.get(job))
    for job, ends in by_job["told"].items():
        problems += _told(job, ends, records.get(job))
    problems += _commits(records, by_job["start"], counted)
    return problems


def _conservation(submits: dict[str, list[Op]], records: dict[str, Op], drained: bool) -> Iterator[Problem]:
    for job, asked in submits.items():
        if not job:
            continue
        outcomes = {one.outcome for one in asked}
        record = records.get(job)
        if record is None and "ok" in outcomes:
            yield Problem("lost", f"{job} was accepted, and the server does not know it")
        elif record is not None and outcomes == {"failed"}:
            yield Problem("refused", f"{job} was refused, and is {record.arg('state')}")
    # A caller that does not know whether its job arrived may not know its id either.
    nameless = sum(one.outcome == "unknown" for one in submits.get("", ()))
    strangers = [job for job in records if job not in submits]
    for job, record in records.items():
        if job not in submits and len(strangers) > nameless:
            yield Problem("stranger", f"{job} is {record.arg('state')}, and nobody submitted it")
        if drained and record.arg("state") not in FINAL:
            yield Problem("unfinished", f"{job} is still {record.arg('state')}")


def _dropped(records: dict[str, Op], cancels: dict[str, list[Op]]) -> Iterator[Problem]:
    for job, record in records.items():
        state = record.arg("state")
        if state in ASKED_FOR and not (state == State.CANCELLED and job in cancels):
            yield Problem("lost", f"{job} is {state}, which nobody asked for")


def _run_on(records: dict[str, Op], cancels: dict[str, list[Op]]) -> Iterator[Problem]:
    """Whoever is told that a job is cancelled before it began finds it cancelled."""
    for job, record in records.items():
        for one in cancels.get(job, ()):
            if one.outcome == "ok" and one.args.get("ended") and record.arg("state") != State.CANCELLED:
                state = record.arg("state")
                yield Problem("told", f"{one.process} was told that {job} is cancelled, but it is {state}")


def _failed(records: dict[str, Op], raised: dict[str, list[Op]]) -> Iterator[Problem]:
    for job, record in records.items():
        if record.arg("state") == State.FAILED and job not in raised:
            yield Problem("unraised", f"{job} failed, and no handler of it raised: {record.arg('why')}".rstrip(": "))


def _leases(job: str, starts: list[Op], submits: list[Op]) -> Iterator[Problem]:
    asked = min((one.invoked for one in submits), default=None)
    under: dict[int, Op] = {}
    for one in starts:
        other = under.setdefault(one.fence, one)
        if other is not one:
            yield Problem("twice", f"{job} started under fence {one.fence} in {other.process} and in {one.process}")
        if asked is not None and one.invoked < asked:
            yield Problem("real_time", f"{job} started in {one.process} before it was submitted")


def _ends(job: str, starts: list[Op], told: list[Op], record: Op | None) -> Iterator[Problem]:
    known = min((one.completed for one in told if one.outcome == "ok" and one.completed is not None), default=None)
    settled = record.fence if record is not None and record.arg("state") in REPORTED else None
    for one in starts:
        if settled is not None and one.fence > settled:
            yield Problem("after_end", f"{job} was settled under {settled}, and started under {one.fence} after that")
        if known is not None and one.invoked > known:
            yield Problem("after_end", f"{job} started in {one.process} after its end had been told")


def _told(job: str, ends: list[Op], record: Op | None) -> Iterator[Problem]:
    for one in ends:
        if one.outcome != "ok":
            continue
        state = record.arg("state") if record is not None else "unknown to the server"
        if one.arg("state") != state:
            yield Problem("told", f"{one.process} was told that {job} is {one.arg('state')}, but it is {state}")


def _commits(records: dict[str, Op], starts: dict[str, list[Op]], counted: dict[str, int]) -> Iterator[Problem]:
    ends = Counter(one.arg("state") for one in records.values())
    for event, state in (("succeed", State.SUCCEEDED), ("fail", State.FAILED)):
        if event in counted and counted[event] > ends[state]:
            yield Problem("twice", f"the server counts {counted[event]} times {event}, and {ends[state]} jobs {state}")
    for job, record in records.items():
        made_under = int(record.args.get("result_fence", 0))
        if record.arg("state") == State.SUCCEEDED and "result_fence" in record.args and not made_under:
            yield Problem("lost", f"{job} succeeded, and its result is not there")
        if made_under and made_under != record.fence:
            yield Problem(
                "stale", f"{job} is settled under {record.fence} with the result of the run under {made_under}"
            )
        if record.arg("state") in REPORTED and record.fence not in {one.fence for one in starts.get(job, ())}:
            yield Problem("unworked", f"{job} {record.arg('state')} under {record.fence}, which no handler ever had")
