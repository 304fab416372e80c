"""Processes die, stop or lose their connection at every named place of the drivers and the worker, one after another.

Each of them has one place and one action; it is started again with the same until that has really happened. Those that
stop themselves go on after their session is over, and then say what they have to say. All of them are also told to end
sooner or later, so that the places of an orderly end are reached.
"""

from __future__ import annotations

import signal
import time
from collections import Counter, deque
from dataclasses import dataclass

from chaos import lockers, roles
from chaos.checker import Problem
from chaos.history import read_one
from chaos.processes import Child
from chaos.scenario import Figure, Run, Scenario, Verdict
from chaos.stage import Stage, mixed_jobs, stage
from coordinator import Submission
from coordinator.drivers.failpoints import BREAKABLE, PLACES

AT_ONCE, CONCURRENCY, RESOURCES, DELIVERY_CAP = 6, 4, 50, 1000
# Seconds from its first act to SIGTERM, or from its fork if it does nothing; then to SIGCONT, and to SIGKILL.
LIFE, IDLE_LIFE, STOPPED, PATIENCE = (0.0, 0.2), 5.0, 1.5, 5.0
LONG_LIFE = (1.0, 2.0)
MOST_TRIES = 60
# How often each pair of a place and an action in the long form. A process dies or stops each time, and much of a second
# is waiting for its session to lapse: a hundred times all pairs would be hours, and five are minutes.
TIMES = 5
PER_VICTIM, SLOTS_TO_SPARE = 10, 100
# The first run is over at once and the second takes long: so a stopped worker reports the first while another worker is
# still at the second.
RERUN = Submission(roles.STEP, {"ms": 900, "first_ms": 1})
# Keeps the loop of its worker, so that what was claimed with it is offered to the others.
KEEP = Submission(roles.STEP, {"ms": 80, "keep": True})
STEAL_AFTER = 0.02
WORK = (0.0, 4.0)
# Reached only by a client that was interrupted while it asked for a lock, and whose connection is broken after that.
FOR_LOCKERS = ("keeper.before_withdraw",)
# What makes a place likely. A worker that is held up before it claims is told to end before the answer comes.
OPPORTUNITIES = {
    "store.before_resend": ";store.after_send=raise:0.1",
    "worker.before_hand_back": ";driver.before_step=pause:0.7",
}
INTERRUPT = "store.before_send=raise:0.2;store.after_send=raise:0.2"


@dataclass
class Case:
    """One action at one place, until it has happened."""

    place: str
    action: str
    tries: int = 0
    happened: int = 0


@dataclass
class Victim:
    """A process that has a case, and when it is to be told to end."""

    case: Case
    child: Child
    due: float
    begun: bool = False
    told: bool = False


def play(run: Run) -> Verdict:
    """Every case so many times, while there is always work."""
    times = run.count("times")
    cases = [Case(place, action) for place in PLACES for action in _actions(place)]
    with stage(run, max_deliveries=DELIVERY_CAP, retry_for=2.0, stealing={"interval": STEAL_AFTER}) as scene:
        jobs = _storm(scene, deque(cases), times)
        scene.worker(concurrency=32)
        scene.drain(60)
        ops, problems = scene.judge()
    fired = Counter(one.arg("place") for one in ops if one.op == "failpoint")
    unhit = [one for one in cases if one.happened < times]
    missing = [Problem("incomplete", f"{one.place} was never reached with {one.action}") for one in unhit]
    records = [one for one in ops if one.op == "job"]
    return Verdict(
        (*problems, *missing),
        (
            Figure("named places", len(PLACES), least=25),
            Figure("places never hit", sum(not fired[place] for place in PLACES), most=0),
            Figure("pairs of place and action never hit", len(unhit), most=0),
            Figure("faults", sum(fired.values())),
            Figure("jobs", len(records), least=jobs, most=jobs),
            Figure("dead by the delivery cap", sum(one.arg("state") == "dead" for one in records), most=0),
            *(Figure(f"  {place}: {what}", fired[place]) for place, what in PLACES.items()),
        ),
    )


def _actions(place: str) -> tuple[str, ...]:
    return ("exit", "stop", "raise") if place.startswith(BREAKABLE) else ("exit", "stop")


def _storm(scene: Stage, waiting: deque[Case], times: int) -> int:
    """Start, end and replace victims. How many jobs were handed in."""
    total, handed_in = len(waiting), 0
    victims: list[Victim] = []
    while waiting or victims:
        while waiting and len(victims) < AT_ONCE:
            victims.append(_begin(scene, waiting.popleft()))
            work = mixed_jobs(scene.run.random, PER_VICTIM, WORK, RESOURCES)
            handed_in += len(scene.submit([KEEP, *work, RERUN]))
        for one in victims:
            _press(scene, one, time.monotonic())
        for one in [one for one in victims if not one.child.alive]:
            victims.remove(one)
            one.case.happened += _happened(scene, one)
            if one.case.happened < times and one.case.tries < MOST_TRIES * times:
                waiting.append(one.case)
        done = total - len(waiting) - len(victims)
        scene.run.progress(f"{scene.run.scenario}: {done} of {total} done", done, total)
        time.sleep(0.005)
    return handed_in


def _begin(scene: Stage, case: Case) -> Victim:
    case.tries += 1
    # Not always at the first opportunity: a place that is reached all the time would never be met in mid-work.
    share = scene.run.random.choice((1.0, 0.3, 0.05)) if case.tries <= MOST_TRIES // 2 else 1.0
    plan = f"{case.place}={case.action}:{share}"
    if case.place in FOR_LOCKERS:
        child = _locker(scene, f"{INTERRUPT};{plan}")
    else:
        plan += OPPORTUNITIES.get(case.place, "")
        # A worker with slots to spare is told of every job; one that has none to spare looks by itself.
        slots = SLOTS_TO_SPARE if case.place.startswith("listener.") else CONCURRENCY
        child = scene.worker(concurrency=slots, grace=0.3, failpoints=plan)
    return Victim(case, child, time.monotonic() + IDLE_LIFE)


def _press(scene: Stage, one: Victim, now: float) -> None:
    """Tell it to end; wake it when it has stopped itself for longer than its session lasts; kill it at last."""
    if not one.begun and scene.has_begun(one.child):
        one.begun, one.due = True, min(one.due, now + scene.run.random.uniform(*_life(one.case)))
    late = now - one.due
    if late > PATIENCE:
        one.child.kill()
    elif late > STOPPED:
        one.child.go_on()
    elif late > 0 and not one.told and one.case.place not in FOR_LOCKERS:
        one.told = True
        one.child.signal(signal.SIGTERM)


def _life(case: Case) -> tuple[float, float]:
    """Where all slots are taken by jobs that run again, and for long, a short life sees none of them end."""
    return LIFE if case.tries <= MOST_TRIES // 2 else LONG_LIFE


def _happened(scene: Stage, one: Victim) -> bool:
    path = scene.run.history / f"{one.child.name}.jsonl"
    return path.exists() and any(op.op == "failpoint" and op.arg("place") == one.case.place for op in read_one(path))


def _locker(scene: Stage, plan: str) -> Child:
    return scene.fork(
        f"{lockers.__name__}:locker",
        store=str(scene.run.folder / "store.db"),
        grants=60,
        resources=RESOURCES,
        seed=scene.run.random.getrandbits(32),
        pause=0.0,
        die=0.0,
        seconds=0.0,
        failpoints=plan,
        settings={"retry_for": 0.0},
    )


SCENARIO = Scenario(
    "failpoints",
    "A process may die, stop or lose its connection at any named place in the code: no job is lost or settled twice.",
    ">= 25 named places x {exit, stop, raise}, 0 places unhit, 0 lost, 0 settled twice",
    short={"times": 1},
    long={"times": TIMES},
    play=play,
)
