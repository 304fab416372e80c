"""Workers are told to end with SIGTERM at random moments, while they start, while they are idle and while they work.

Some of the jobs last longer than the grace, so that these are cut short and handed back. None of that may cost a job an
attempt: the first run that ends as it should is its first attempt, however many were handed back before.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Sequence
from typing import Any

from chaos import roles
from chaos.history import Op
from chaos.quantiles import rank
from chaos.scenario import Figure, Run, Scenario, Verdict
from chaos.stage import Stage, stage
from coordinator import Submission

WORKERS, CONCURRENCY = 6, 4
# Some are told to end up to AT_BIRTH seconds after the fork, the others up to AT_WORK seconds after their first sign of
# life, or when none comes for so long.
AT_BIRTH, SHARE_AT_BIRTH, AT_WORK, LONGEST_LIFE = 0.6, 0.3, 0.8, 5.0
EXIT_SLACK, HAND_BACK_SECONDS = 0.5, 0.5
LONG_SHARE = 0.03
# Jobs that run in processes have a queue of their own, and a worker has one process: of four such jobs that it claims
# three have not begun when it is told to end.
KILLABLE, KILLABLE_EVERY, KILLABLE_WORKERS = "killable", 10, 0.3


def play(run: Run) -> Verdict:
    """Start workers, end each at a moment of its own, until so many were ended."""
    grace, jobs = run.size["grace"], run.count("jobs")
    everything: dict[str, Any] = {
        "queues": [roles.QUEUE, KILLABLE],
        "concurrency": 32,
        "process_slots": 2,
        "grace": grace,
    }
    with stage(run, session_ttl=10.0, operation_timeout=5.0) as scene:
        work = _work(run.random, jobs, grace)
        scene.submit(work)
        exits, codes = _terminate(scene, run.count("terms"), grace)
        scene.worker(**everything)
        scene.drain(240)
        ops, problems = scene.judge()
    handed_back = _hand_backs(ops)
    longest = max(handed_back, default=0.0)
    records = [one for one in ops if one.op == "job"]
    return Verdict(
        problems,
        (
            Figure("workers ended", len(exits), least=run.size["terms"]),
            Figure("longest exit", max(exits), "s", most=grace + EXIT_SLACK),
            Figure("exits with an error", sum(code not in (0, -signal.SIGTERM) for code in codes), most=0),
            Figure("killed before they listened to signals", codes.count(-signal.SIGTERM)),
            Figure("jobs handed back", sum(int(one.args["deliveries"]) - 1 for one in records), least=1),
            Figure("of these not begun", len(handed_back), least=1),
            Figure("longest hand-back of what had not begun", longest, "s", most=HAND_BACK_SECONDS),
            Figure("hand-back p50", rank(handed_back, 0.5) * 1000, "ms"),
            Figure("attempts burnt", sum(int(one.args["attempts"]) != 1 for one in records), most=0),
            Figure("jobs that count a crash", sum(int(one.args["crashes"]) != 0 for one in records), most=0),
        ),
    )


def _work(chance: random.Random, count: int, grace: float) -> list[Submission]:
    """Mostly short jobs, some that outlast the grace; all hold a resource, so that their claims are in the account."""
    made = []
    for number in range(count):
        name = chance.choice((roles.STEP, roles.STEP, roles.STEP_IN_THREAD))
        seconds = chance.uniform(0.005, 0.08) if chance.random() > LONG_SHARE else grace + 1
        made.append(Submission(name, {"ms": round(seconds * 1000)}, resources=[f"own/{number}"]))
        if number % KILLABLE_EVERY == 0:
            payload = {"ms": round(1000 * chance.uniform(0.1, 0.3))}
            made[-1] = Submission(roles.STEP_IN_PROCESS, payload, resources=[f"own/{number}"], queue=KILLABLE)
    return made


class _Doomed:
    """A worker, and when it is told to end."""

    def __init__(self, scene: Stage, grace: float) -> None:
        self._scene, chance, now = scene, scene.run.random, time.monotonic()
        self._waits = chance.random() >= SHARE_AT_BIRTH
        self._due = now + (LONGEST_LIFE if self._waits else chance.uniform(0, AT_BIRTH))
        queues = [roles.QUEUE, KILLABLE] if chance.random() < KILLABLE_WORKERS else [roles.QUEUE]
        self.child, self.told = scene.worker(queues=queues, concurrency=CONCURRENCY, grace=grace), 0.0

    def tell(self) -> bool:
        """Tell it, if its time has come."""
        now = time.monotonic()
        if self._waits and self._scene.has_begun(self.child):
            self._waits, self._due = False, now + self._scene.run.random.uniform(0, AT_WORK)
        if now < self._due:
            return False
        self.told = now
        self.child.signal(signal.SIGTERM)
        return True


def _terminate(scene: Stage, terms: int, grace: float) -> tuple[list[float], list[int]]:
    """Seconds from SIGTERM to the end of each worker, and the exit codes."""
    living: list[_Doomed] = []
    leaving: list[_Doomed] = []
    exits: list[float] = []
    codes: list[int] = []
    while len(exits) < terms:
        while len(living) + len(leaving) < min(WORKERS, terms - len(exits)):
            living.append(_Doomed(scene, grace))
        for due in [one for one in living if one.tell()]:
            living.remove(due)
            leaving.append(due)
        for gone in [one for one in leaving if not one.child.alive]:
            leaving.remove(gone)
            exits.append(gone.child.ended_at - gone.told)
            codes.append(gone.child.wait() or 0)
        scene.run.progress(f"{scene.run.scenario}: {len(exits)} ended", len(exits), terms)
        time.sleep(0.002)
    return exits, codes


def _hand_backs(ops: Sequence[Op]) -> list[float]:
    """Seconds from SIGTERM to the return of each job that the worker had not begun."""
    begun = {(one.arg("job"), one.fence) for one in ops if one.op == "start"}
    told = {one.arg("session"): one.server_us for one in ops if one.op == "told_to_end"}
    claimed = {(one.arg("job"), one.fence): one.arg("session") for one in ops if one.arg("event") == "claim"}
    found = []
    for one in ops:
        run = (one.arg("job"), one.fence)
        if one.arg("event") == "give_back" and run not in begun and claimed.get(run) in told:
            found.append((one.server_us - told[claimed[run]]) / 1e6)
    return found


SCENARIO = Scenario(
    "sigterm",
    "A worker told to end hands back at once what it has not begun, and ends within its grace; no job pays for it.",
    "exit <= grace + 0.5 s, unstarted handed back <= 0.5 s, 0 attempts burnt, 0 lost",
    short={"terms": 25, "jobs": 400, "grace": 1.0},
    long={"terms": 300, "jobs": 6_000, "grace": 5.0},
    play=play,
)
