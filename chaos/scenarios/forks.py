"""Applications fork while four of their threads talk to Redis, and parents and children both go on using the client."""

from __future__ import annotations

import time

from chaos import forking
from chaos.scenario import Figure, Run, Scenario, Verdict
from chaos.stage import stage

FORKERS = 2


def play(run: Run) -> Verdict:
    """Fork, from several applications at once, and have workers do what all of them hand in."""
    forks = run.count("forks")
    # Long sessions: nobody here is to die of silence, only of confusion.
    with stage(run, session_ttl=10.0, operation_timeout=5.0) as scene:
        began = time.monotonic()
        scene.worker(concurrency=32)
        parents = [scene.fork(f"{forking.__name__}:forker", forks=forks // FORKERS) for _ in range(FORKERS)]
        for done, one in enumerate(parents):
            run.progress(f"{run.scenario}: forking", done, len(parents))
            one.wait(600)
        seconds = time.monotonic() - began
        codes = [one.wait(0) for one in parents]
        scene.drain(60)
        ops, problems = scene.judge()
    asked = sum(one.op in ("submit", "acquire", "release") for one in ops)
    children = len({one.process for one in ops if "-child-" in one.process})
    return Verdict(
        problems,
        (
            Figure("forks that used the client", children, least=forks // FORKERS * FORKERS),
            Figure("calls around them", asked),
            Figure("forks per second", children / seconds),
            Figure("applications in which anything failed", sum(code != 0 for code in codes), most=0),
        ),
    )


SCENARIO = Scenario(
    "forks",
    "A process may fork in the middle of its traffic: parent and child get answers to their own questions.",
    "0 protocol errors, 0 lost, the parent's locks stay the parent's",
    short={"forks": 60},
    long={"forks": 4_000},
    play=play,
)
