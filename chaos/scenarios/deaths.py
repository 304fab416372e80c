"""How long a job lies with the dead: a worker that is killed or stands still, a process of its pool that is killed.

With the product's own settings, and free workers at hand. The first run of each job would last a minute, later ones are
over at once. Of a dead worker only the silence is noticed, when its session of 10 s is over; a dead child is noticed by
its parent, which has the job run again in the next process of its pool.

A worker that stands still (SIGSTOP) keeps its connections, as one does whose host has vanished. What it had sent before
is still carried out: its next claim lies at the server behind the read of its inbox, and takes a job for it. That job
and the one it was running must be elsewhere as soon as if it had been killed.

Where a host goes down with hundreds of processes, the job of the last must be elsewhere as soon as that of the first.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import redis

from chaos import history, roles
from chaos.clock import now_ns
from chaos.history import Op
from chaos.processes import Child
from chaos.quantiles import rank
from chaos.scenario import Figure, Run, Scenario, Verdict
from chaos.stage import Stage, stage
from coordinator import RetryPolicy, Submission
from coordinator.wire import calls, replies
from coordinator_demo.account import raw_client

DEFAULTS: Mapping[str, Any] = {"session_ttl": 10.0, "sweep_interval": 1.0, "operation_timeout": 5.0}
AT_ONCE, LIFE = 8, 2.0
WORKER_SECONDS, CHILD_SECONDS = DEFAULTS["session_ttl"] + DEFAULTS["sweep_interval"] + 0.5, 0.5
# Of each worker that is stopped: its slots; its jobs, one handed in before the stop and one after; and within how many
# seconds of the stop the second one comes. The session, last renewed up to a third of its time before the stop, must
# still live then.
SLOTS, EACH, LATER = 8, 2, 4.0
PAYLOAD = {"ms": 1, "first_ms": 60_000}
KILLABLE, POOL, CROWD = "killable", 2, "crowd"


def play(run: Run) -> Verdict:
    """Stop and kill workers a few at a time, then kill children one at a time."""
    with stage(run, **DEFAULTS) as scene:
        killed: dict[str, int] = {}
        stopped = _Stopped()
        while len(killed) < run.count("workers") or len(stopped.running) < run.count("stopped"):
            rescuers = [
                _stop_workers(scene, min(AT_ONCE, run.count("stopped") - len(stopped.running)), stopped),
                _kill_workers(scene, min(AT_ONCE, run.count("workers") - len(killed)), killed),
            ]
            scene.until(partial(_ended, scene, len(killed) + EACH * len(stopped.running)), 30, "their jobs have run")
            for one in rescuers:
                one.kill()
            run.progress(f"{run.scenario}: {len(killed)} workers killed", len(killed), run.size["workers"])
        crowd = _lose_crowd(scene, run.count("at once"))
        children = _kill_children(scene, run.count("children"))
        scene.drain(30)
        ops, problems = scene.judge()
    again, crowd_again, child_again = (_again(ops, one) for one in (killed, crowd, children))
    return Verdict(
        problems,
        (
            *_of_the_stopped(ops, stopped, run.count("stopped")),
            Figure("workers killed", len(again), least=run.size["workers"]),
            Figure("death of a worker to the next start p50", rank(again, 0.5), "s"),
            Figure("death of a worker to the next start, longest", max(again), "s", most=WORKER_SECONDS),
            Figure("processes that end at once", len(crowd_again), least=run.size["at once"]),
            Figure("their end to the next start, longest", max(crowd_again), "s", most=WORKER_SECONDS),
            Figure("children killed", len(child_again), least=run.size["children"]),
            Figure("death of a child to the next start p50", rank(child_again, 0.5), "s"),
            Figure("death of a child to the next start, longest", max(child_again), "s", most=CHILD_SECONDS),
        ),
    )


@dataclass
class _Stopped:
    """When the worker was stopped that a job was running at, or that a job was handed in for after that."""

    running: dict[str, int] = field(default_factory=dict)
    late: dict[str, int] = field(default_factory=dict)


def _stop_workers(scene: Stage, count: int, stopped: _Stopped) -> Child:
    """Workers with one job each and free slots, whose next claims lie at the server. Some time after one has been
    stopped, another job is handed in that nobody but it could take: that claim must be no sign of life. Then comes a
    worker for all of these, which is returned."""
    queues = [f"stopped-{len(stopped.running) + number}" for number in range(count)]
    doomed = [scene.worker(concurrency=SLOTS, queues=one) for one in queues]
    ids = scene.submit([Submission(roles.STEP, PAYLOAD, queue=one) for one in queues])
    _started(scene, ids)
    with raw_client(scene.server.url) as client:
        scene.until(lambda: _parked(client) >= count, 30, "their next claims lie at the server")
    due: dict[int, tuple[str, str]] = {}
    for child, job, queue in zip(doomed, ids, queues, strict=True):
        time.sleep(scene.run.random.uniform(0, LIFE / count))
        stopped.running[job] = now_ns()
        child.stop()
        due[stopped.running[job] + round(scene.run.random.uniform(0, LATER) * 1e9)] = (job, queue)
    for moment, (job, queue) in sorted(due.items()):
        time.sleep(max(0, moment - now_ns()) / 1e9)
        (late,) = scene.submit([Submission(roles.STEP, {"ms": 1}, queue=queue)])
        stopped.late[late] = stopped.running[job]
    return scene.worker(concurrency=2 * AT_ONCE, queues=queues)


def _parked(client: redis.Redis) -> int:
    """On how many connections something waits to be carried out behind a read that blocks."""
    return sum("b" in one["flags"] and int(one["qbuf"]) > 0 for one in client.client_list())


def _of_the_stopped(ops: Sequence[Op], stopped: _Stopped, count: int) -> tuple[Figure, ...]:
    running, late = _again(ops, stopped.running), _again(ops, stopped.late)
    # If no late job was taken by the claim of a stopped worker, the run has not shown what becomes of such jobs.
    taken = sum(one.op == "job" and one.arg("job") in stopped.late and int(one.args["deliveries"]) > 1 for one in ops)
    return (
        Figure("workers stopped", len(running), least=count),
        Figure("stop of a worker to the next start p50", rank(running, 0.5), "s"),
        Figure("stop of a worker to the next start, longest", max(running), "s", most=WORKER_SECONDS),
        Figure("jobs taken for workers that were stopped already", taken, least=1),
        Figure("stop of a worker to the start of a job handed in later, longest", max(late), "s", most=WORKER_SECONDS),
    )


def _kill_workers(scene: Stage, count: int, killed: dict[str, int]) -> Child:
    """Each with one job that has begun, at moments of their own. The worker that they are to run at is returned."""
    doomed = [scene.worker(concurrency=1) for _ in range(count)]
    ids = scene.submit([Submission(roles.STEP, PAYLOAD) for _ in doomed])
    holders = {job: _worker_of(start, doomed) for job, start in _started(scene, ids).items()}
    rescuer = scene.worker(concurrency=2 * AT_ONCE)
    for job, child in holders.items():
        time.sleep(scene.run.random.uniform(0, LIFE / count))
        killed[job] = now_ns()
        child.kill()
    return rescuer


def _lose_crowd(scene: Stage, count: int) -> dict[str, int]:
    """Sessions with one job each, of which nothing more is heard. What a session is to the server is all that counts
    here, so no process has to be behind each."""
    driver, lost = scene.co._driver, dict[str, int]()
    sessions = [driver.new_id() for _ in range(count)]
    ids = scene.submit([Submission(roles.STEP, {"ms": 1}, queue=CROWD) for _ in sessions])
    for session in sessions:
        driver.store.call(calls.open_session(driver.scope, session, {"queues": CROWD}))
        given = driver.store.call(calls.claim(driver.scope, session, calls.Claim(1, 1, 60_000, (CROWD,))))
        lost[replies.text(given[1][0])] = now_ns()
    before = scene.ended()
    rescuer = scene.worker(concurrency=2 * AT_ONCE, queues=CROWD)
    scene.until(partial(_ended, scene, before + len(ids)), 120, "their jobs have run")
    rescuer.kill()
    return lost


def _kill_children(scene: Stage, count: int) -> dict[str, int]:
    """One after another in the pool of a worker that lives on."""
    killed: dict[str, int] = {}
    scene.worker(queues=KILLABLE, process_slots=POOL, concurrency=POOL)
    again = RetryPolicy(base=0.0)
    for number in range(count):
        _make_whole(scene)
        before = scene.ended()
        (job,) = scene.submit([Submission(roles.STEP_IN_PROCESS, PAYLOAD, queue=KILLABLE, retry=again)])
        start = _started(scene, [job])[job]
        time.sleep(scene.run.random.uniform(0, 0.3))
        killed[job] = now_ns()
        os.kill(int(start.args["pid"]), signal.SIGKILL)
        scene.until(partial(_ended, scene, before + 1), 30, "its next run is over")
        scene.run.progress(f"{scene.run.scenario}: {number} children killed", number, count)
    return killed


def _ended(scene: Stage, count: int) -> bool:
    return scene.ended() >= count


def _make_whole(scene: Stage) -> None:
    """Wait until all processes of the pool are up, also the one in place of the last that was killed: how long the
    machine takes to start an interpreter is not what is measured."""
    seen: set[str] = set()
    while len(seen) < POOL:
        ids = scene.submit([Submission(roles.STEP_IN_PROCESS, {"ms": 60}, queue=KILLABLE) for _ in range(POOL)])
        seen = {start.arg("pid") for start in _started(scene, ids).values()}
        scene.drain(60)


def _started(scene: Stage, jobs: Sequence[str]) -> dict[str, Op]:
    """The first run of each of these jobs, once all have begun."""
    found: dict[str, Op] = {}

    def all_begun() -> bool:
        for one in history.read(scene.run.history):
            if one.op == "start" and one.arg("job") in jobs:
                found.setdefault(one.arg("job"), one)
        return len(found) == len(jobs)

    scene.until(all_begun, 30, "the jobs have begun")
    return found


def _worker_of(start: Op, workers: Sequence[Child]) -> Child:
    return next(one for one in workers if one.name == start.process)


def _again(ops: Sequence[Op], killed: Mapping[str, int]) -> list[float]:
    """Seconds from each death to the first run after it."""
    found: dict[str, float] = {}
    for one in ops:
        job = one.arg("job")
        if one.op == "start" and job in killed and one.invoked > killed[job]:
            found.setdefault(job, (one.invoked - killed[job]) / 1e9)
    return list(found.values())


SCENARIO = Scenario(
    "deaths",
    "A job whose worker dies or stands still runs elsewhere when the session is over; one whose process dies, at once.",
    "session of 10 s: longest <= 11.5 s; child dead with living parent <= 0.5 s",
    short={"workers": 8, "stopped": 6, "at once": 200, "children": 5},
    long={"workers": 96, "stopped": 96, "at once": 600, "children": 100},
    play=play,
)
