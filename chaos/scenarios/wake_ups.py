"""Every message of the server is lost on its way: bells to workers, grants to whoever waits for a lock.

The server hands a message over and forgets it; the proxy swallows the answer, and what would have come after it on that
connection, a claim that lay behind the read as well, and leaves the connection open, so nobody is told that anything
went wrong. What is left is the heartbeat, whose answer counts the messages that were ever sent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from chaos import roles
from chaos.history import Op, Recorder
from chaos.locking import give_back, take
from chaos.proxy import Fault, Proxy, Request
from chaos.quantiles import rank
from chaos.scenario import Figure, Run, Scenario, Verdict
from chaos.servers import socket_of
from chaos.stage import Stage, stage
from coordinator import Coordinator, Submission

WORKERS, SECONDS = 2, 1.1
# The product's own defaults: what is measured is what a user would see.
DEFAULTS: Mapping[str, Any] = {"session_ttl": 10.0, "sweep_interval": 1.0, "operation_timeout": 5.0}
PAUSE = (0.0, 0.15)
LOCK, DEAF = "passed-on", "deaf"


def play(run: Run) -> Verdict:
    """Hand in jobs and pass on locks, one at a time, with every message lost; and some before that, with none."""
    with stage(run, **DEFAULTS) as scene:
        proxy = Proxy(socket_of(scene.server), run.folder)
        try:
            for _ in range(WORKERS):
                scene.worker(proxy.url, concurrency=8)
            scene.until(lambda: _idle(scene) == WORKERS, 10, "workers are idle")
            heard = _hand_in(scene, run.count("heard"))
            proxy.plan = _lose_messages
            # A read that waits already was let through.
            proxy.sever()
            jobs = _hand_in(scene, run.count("jobs"))
            _pass_on(scene, proxy.url, run.count("locks"))
            lost = proxy.spoiled
        finally:
            proxy.close()
        ops, problems = scene.judge()
    started = {one.arg("job"): one.invoked for one in ops if one.op == "start"}
    submitted = {one.arg("job"): one.completed or 0 for one in ops if one.op == "submit"}
    delays = {job: (started[job] - submitted[job]) / 1e9 for job in submitted if job in started}
    return Verdict(
        problems,
        (
            Figure("messages lost", lost, least=1),
            Figure("start delay p50, none lost", rank([delays[job] for job in heard], 0.5) * 1000, "ms"),
            Figure("start delay p50, all lost", rank([delays[job] for job in jobs], 0.5), "s"),
            Figure("start delay p99, all lost", rank([delays[job] for job in jobs], 0.99), "s", most=SECONDS),
            Figure("lock hand-off p99, all lost", rank(_waits(ops), 0.99), "s", most=SECONDS),
        ),
    )


def _lose_messages(request: Request) -> Fault:
    return "swallow_reply" if request.command == b"BLPOP" else "none"


def _idle(scene: Stage) -> int:
    return sum(one.idle_workers for one in scene.co.survey(most=1).queues)


def _hand_in(scene: Stage, count: int) -> list[str]:
    """Jobs one by one at random moments, and their ends."""
    ids = []
    for number in range(count):
        time.sleep(scene.run.random.uniform(*PAUSE))
        ids += scene.submit([Submission(roles.STEP, {"ms": 0})])
        scene.run.progress(f"{scene.run.scenario}: jobs", number, count)
    scene.drain(30)
    return ids


def _pass_on(scene: Stage, url: str, count: int) -> None:
    """A lock goes from one client to another that waits for it and hears nothing."""
    recorder = Recorder(scene.run.history, DEAF)
    with Coordinator.connect(url, settings=scene.parsed) as deaf:
        for number in range(count):
            lease = take(scene.co, scene.recorder, LOCK)
            waiter = threading.Thread(target=lambda: give_back(take(deaf, recorder, LOCK), recorder, LOCK))
            waiter.start()
            scene.until(lambda: scene.co.line(LOCK).line_length == 1, 10, "somebody waits")
            time.sleep(scene.run.random.uniform(*PAUSE))
            give_back(lease, scene.recorder, LOCK)
            waiter.join(30)
            scene.run.progress(f"{scene.run.scenario}: locks", number, count)
    recorder.close()


def _waits(ops: list[Op]) -> list[float]:
    """From giving back to the grant that the deaf client found out about."""
    given_back = [one.invoked for one in ops if one.op == "release" and one.process != DEAF]
    taken = [one.completed for one in ops if one.op == "acquire" and one.process == DEAF and one.completed is not None]
    return [(had - gave) / 1e9 for gave, had in zip(given_back, taken, strict=True)]


SCENARIO = Scenario(
    "wake-ups",
    "When no message of the server ever arrives, jobs still start and locks still pass on about a second later.",
    "p99 start delay <= 1.1 s",
    short={"heard": 10, "jobs": 40, "locks": 4},
    long={"heard": 200, "jobs": 2_000, "locks": 200},
    play=play,
)
