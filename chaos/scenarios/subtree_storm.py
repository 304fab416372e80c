"""Processes take leaves and subtrees of one tree from each other, alone and shared, and some die holding.

Beside them a control, in which a subtree is a resource like any other: there the same judge must find that holders were
in each other's way, or the run has shown nothing.
"""

from __future__ import annotations

import time

from chaos import climbers
from chaos.checker.locks import check_locks
from chaos.checker.trees import held_flat
from chaos.history import Op, read
from chaos.processes import Child
from chaos.scenario import Figure, Run, Scenario, Verdict
from chaos.stage import Stage, stage
from coordinator.doctor import examine
from coordinator.model.names import SUBTREE
from coordinator.wire import calls
from coordinator.wire.step import Operation

CLIENTS, CONTROLS = 6, 2
DIE = 0.005


def play(run: Run) -> Verdict:
    """For so many seconds."""
    with stage(run) as scene:
        deaths = _storm(scene, run.size["seconds"])
        scene.until(lambda: _at_rest(scene), 60, "the doctor finds nothing")
        scene.drain(60)
        ops, problems = scene.judge()
    control = held_flat(read(run.history / climbers.CONTROL))
    granted = [one for one in ops if one.op == "acquire" and one.outcome == "ok" and one.completed is not None]
    trees = [one for one in granted if one.arg("resource").endswith(SUBTREE)]
    shared = [one for one in granted if one.arg("mode") == "shared"]
    return Verdict(
        problems,
        (
            Figure("grants of leaves", len(granted) - len(trees), least=run.size["grants"]),
            Figure("grants of subtrees", len(trees), least=run.size["grants"] / 10),
            Figure("grants of either that others may share", len(shared), least=run.size["grants"] / 10),
            Figure("longest wait for a subtree", _longest(trees), "s", most=5 + scene.parsed.session_ttl),
            Figure("clients that died holding", deaths),
            Figure("overlaps in the control", len(check_locks(control)), least=1),
        ),
    )


def _storm(scene: Stage, seconds: float) -> int:
    """Keep so many clients at it; one that died is followed by another for what is left. How many died."""
    deaths, controls = 0, [_start(scene, seconds, control=True) for _ in range(CONTROLS)]
    living = [_start(scene, seconds) for _ in range(CLIENTS)]
    began = time.monotonic()
    while living:
        scene.until(lambda: any(not one.alive for one in living), 3600, "a client ends")
        for child in [one for one in living if not one.alive]:
            living.remove(child)
            if scene.died(child):
                deaths += 1
                living.append(_start(scene, max(0.0, began + seconds - time.monotonic())))
        scene.run.progress(f"{scene.run.scenario}: {deaths} died", time.monotonic() - began, seconds)
    for child in controls:
        scene.died(child)
    return deaths


def _at_rest(scene: Stage) -> bool:
    """Whether the doctor finds nothing, and all that the dead held is taken back: nobody else is left to do it."""
    scene.co.run(_sweep(calls.Scope.of(scene.run.namespace, scene.parsed.terms())))
    done, all_of_them = scene.so_far()
    return done >= all_of_them and not examine(scene.co).problems


def _sweep(scope: calls.Scope) -> Operation[None]:
    while (yield calls.sweep(scope))[1] > 0:
        pass


def _start(scene: Stage, seconds: float, *, control: bool = False) -> Child:
    return scene.fork(
        f"{climbers.__name__}:climber",
        seconds=seconds,
        seed=scene.run.random.getrandbits(32),
        die=0 if control else DIE,
        control=control,
    )


def _longest(ops: list[Op]) -> float:
    return max((((one.completed or 0) - one.invoked) / 1e9 for one in ops), default=0.0)


SCENARIO = Scenario(
    "subtree-storm",
    "A subtree is held with nothing at, below or above it, and nobody is overtaken across the levels of a path.",
    "0 overlaps, 0 order violations; the control that locks no subtrees shows some",
    short={"seconds": 4, "grants": 50},
    long={"seconds": 30, "grants": 1_000},
    play=play,
)
