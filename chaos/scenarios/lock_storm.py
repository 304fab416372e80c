"""Clients take locks from each other, write to what the locks guard, pause for longer than a lease lasts, and die.

Every second write goes to a row that does not compare fences: there the pauses must do damage, or the run has shown
nothing. Meanwhile the number of permits of the counted resource changes again and again; each grant is judged by the
number of that moment.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial

from chaos import lockers
from chaos.checker import stale_writes
from chaos.history import read_one
from chaos.processes import Child
from chaos.scenario import Figure, Run, Scenario, Verdict
from chaos.stage import Stage, stage

CLIENTS, RESOURCES = 8, 50
DIE = 0.002
SHARED, COUNTED = 0.2, 0.2
# Requests need up to two permits; seconds between two changes of how many there are.
FEWEST, CHANGES = 2, 0.05


def play(run: Run) -> Verdict:
    """Until so many grants are had."""
    with stage(run) as scene:
        scene.co.define(lockers.COUNTED, capacity=lockers.PERMITS, reason="the storm begins")
        began = time.monotonic()
        permits = _Permits(scene)
        deaths = _storm(scene, permits, run.count("grants"))
        seconds = time.monotonic() - began
        ops, problems = scene.judge(drained=False)
    granted = sum(one.op == "acquire" and one.outcome == "ok" and one.completed is not None for one in ops)
    shared = sum(one.op == "acquire" and one.arg("mode") == "shared" for one in ops)
    counted = sum(one.op == "acquire" and "permits" in one.args for one in ops)
    refused = sum(one.op == "write" and one.outcome == "failed" for one in ops)
    lost = sum(one.op == "release" and one.outcome == "failed" for one in ops)
    return Verdict(
        problems,
        (
            Figure("grants", granted, least=run.size["grants"]),
            Figure("of those shared", shared, least=run.size["grants"] / 20),
            Figure("of those by permits", counted, least=run.size["grants"] / 50),
            Figure("changes of their number", permits.changes, least=run.size["grants"] / 500),
            Figure("grants per second", granted / seconds),
            Figure("leases lost in a pause", lost, least=1),
            Figure("clients that died holding", deaths),
            Figure("stale writes that the fenced store refused", refused, least=1),
            Figure("stale writes that the fenced store took", stale_writes(ops, guarded=True), most=0),
            Figure("stale writes that the unfenced control took", stale_writes(ops, guarded=False), least=1),
        ),
    )


class _Permits:
    """How many there are of the counted resource."""

    def __init__(self, scene: Stage) -> None:
        self._scene, self._due, self.changes = scene, 0.0, 0

    def change(self) -> None:
        """Change it, if the last time is long enough ago."""
        now = time.monotonic()
        if now >= self._due:
            number = self._scene.run.random.randint(FEWEST, lockers.PERMITS)
            self._scene.co.define(lockers.COUNTED, capacity=number, reason="the storm goes on")
            self._due, self.changes = now + CHANGES, self.changes + 1


def _storm(scene: Stage, permits: _Permits, grants: int) -> int:
    """Keep so many clients at it; one that died is followed by another that does the rest. How many died."""
    deaths, had = 0, 0
    share = -(-grants // CLIENTS)
    living = {_start(scene, share): share for _ in range(CLIENTS)}
    while living:
        scene.until(partial(_one_ended, living, permits), 3600, "a client ends")
        for child in [one for one in living if not one.alive]:
            wanted = living.pop(child)
            got = _grants(scene, child.name)
            had += got
            if scene.died(child):
                deaths += 1
                rest = max(1, wanted - got)
                living[_start(scene, rest)] = rest
        scene.run.progress(f"{scene.run.scenario}: {deaths} died", had, grants)
    return deaths


def _one_ended(living: Iterable[Child], permits: _Permits) -> bool:
    permits.change()
    return any(not one.alive for one in living)


def _start(scene: Stage, grants: int) -> Child:
    return scene.fork(
        f"{lockers.__name__}:locker",
        store=str(scene.run.folder / "store.db"),
        grants=grants,
        resources=RESOURCES,
        seed=scene.run.random.getrandbits(32),
        failpoints="",
        pause=scene.run.size["pauses in 1,000"] / 1000,
        die=DIE,
        shared=SHARED,
        counted=COUNTED,
        seconds=scene.parsed.session_ttl,
    )


def _grants(scene: Stage, process: str) -> int:
    path = scene.run.history / f"{process}.jsonl"
    return sum(one.op == "acquire" and one.completed is not None and one.outcome == "ok" for one in read_one(path))


SCENARIO = Scenario(
    "lock-storm",
    "Whatever a lock guards takes no write of a holder that was paused or forgotten, and nobody is overtaken in line.",
    "0 stale fenced writes accepted, 0 order violations; the unfenced control shows some",
    short={"grants": 2_000, "pauses in 1,000": 20},
    long={"grants": 200_000, "pauses in 1,000": 10},
    play=play,
)
