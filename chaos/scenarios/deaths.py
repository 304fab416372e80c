"""How long a job lies with the dead: a worker that is killed, and a process of a worker's pool that is.

With the product's own settings, and free workers at hand. The first run of each job would last a minute, later ones are
over at once. Of a dead worker only the silence is noticed, when its session of 10 s is over; a dead child is noticed by
its parent, which has the job run again in the next
process of its pool.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from chaos import history, roles
from chaos.clock import now_ns
from chaos.history import Op
from chaos.processes import Child
from chaos.quantiles import rank
from chaos.scenario import Figure, Run, Scenario, Verdict
from chaos.stage import Stage, stage
from coordinator import RetryPolicy, Submission

DEFAULTS: Mapping[str, Any] = {"session_ttl": 10.0, "sweep_interval": 1.0, "operation_timeout": 5.0}
AT_ONCE, LIFE = 8, 2.0
WORKER_SECONDS, CHILD_SECONDS = 11.5, 0.5
PAYLOAD = {"ms": 1, "first_ms": 60_000}
KILLABLE, POOL = "killable", 2


def play(run: Run) -> Verdict:
    """Kill workers a few at a time, then children one at a time."""
    with stage(run, **DEFAULTS) as scene:
        killed: dict[str, int] = {}
        while len(killed) < run.count("workers"):
            _kill_workers(scene, min(AT_ONCE, run.count("workers") - len(killed)), killed)
            run.progress(f"{run.scenario}: {len(killed)} workers killed", len(killed), run.size["workers"])
        children = _kill_children(scene, run.count("children"))
        scene.drain(30)
        ops, problems = scene.judge()
    again, child_again = _again(ops, killed), _again(ops, children)
    return Verdict(
        problems,
        (
            Figure("workers killed", len(again), least=run.size["workers"]),
            Figure("death of a worker to the next start p50", rank(again, 0.5), "s"),
            Figure("death of a worker to the next start, longest", max(again), "s", most=WORKER_SECONDS),
            Figure("children killed", len(child_again), least=run.size["children"]),
            Figure("death of a child to the next start p50", rank(child_again, 0.5), "s"),
            Figure("death of a child to the next start, longest", max(child_again), "s", most=CHILD_SECONDS),
        ),
    )


def _kill_workers(scene: Stage, count: int, killed: dict[str, int]) -> None:
    """Each with one job that has begun, at moments of their own; then wait until all of these run elsewhere."""
    doomed = [scene.worker(concurrency=1) for _ in range(count)]
    ids = scene.submit([Submission(roles.STEP, PAYLOAD) for _ in doomed])
    holders = {job: _worker_of(start, doomed) for job, start in _started(scene, ids).items()}
    rescuer = scene.worker(concurrency=2 * AT_ONCE)
    for job, child in holders.items():
        time.sleep(scene.run.random.uniform(0, LIFE / count))
        killed[job] = now_ns()
        child.kill()
    scene.until(partial(_ended, scene, len(killed)), 30, "the jobs of the dead have run")
    rescuer.kill()


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
    "A job whose worker dies runs elsewhere when the session is over; one whose process dies runs again at once.",
    "session of 10 s: longest <= 11.5 s; child dead with living parent <= 0.5 s",
    short={"workers": 8, "children": 5},
    long={"workers": 96, "children": 100},
    play=play,
)
