"""Every script, every k-th call of it, every way in which a request or its answer can come to grief.

A round of calls whose answers are known is made through the proxy by a client, a second client and a worker; each call
that is hit is let through when it is sent again. Then the server's counters must be those of a round without faults:
a call that took effect twice, or not at all, shows there, and one that was answered wrongly shows in the round.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from chaos import scripts
from chaos.checker import Problem
from chaos.processes import Child
from chaos.proxy import Fault, Proxy, Request
from chaos.rounds import Round
from chaos.scenario import Figure, Run, Scenario, Verdict
from chaos.servers import socket_of
from chaos.stage import Stage, stage
from coordinator import Coordinator

HIT: tuple[Fault, ...] = (
    "drop_request",
    "drop_reply",
    "cut_request",
    "cut_reply",
    "duplicate",
    "late_reply",
    "late_request",
)
# A client waits so long for an answer, and a late one comes after that.
TIMEOUT, PATIENCE = 0.12, 0.2
SETTINGS: Mapping[str, Any] = {
    "session_ttl": 10.0,
    "sweep_interval": 0.2,
    "operation_timeout": TIMEOUT,
    # One claim brings a job that keeps the loop and those behind it, which are put on offer.
    "batching": {"enabled": False},
    "stealing": {"interval": 0.04},
    # The round looks at them, and nobody else.
    "metrics": {"alerts_every": 0},
}
# A try for a lock that is taken leaves no record. Sent again, it leaves one that was asked for and cancelled, so that a
# copy of it that arrives late is recognised.
TRACE = ("ask", "cancel")
# Counters that may differ from round to round: they count milliseconds, and all others count what happened.
TIMES = frozenset({"waited_ms", "lock_waited_ms"})


@dataclass
class Spoiler:
    """Hits every `every`-th call of each script once, and lets what is sent again through."""

    fault: Fault
    every: int
    calls: Counter[str] = field(default_factory=Counter)
    hit: Counter[str] = field(default_factory=Counter)
    traces: set[bytes] = field(default_factory=set)
    _again: set[tuple[str, bytes]] = field(default_factory=set)

    def __call__(self, request: Request) -> Fault:
        name = scripts.script_of(request)
        # Some scripts are called with nothing but the terms.
        content = (name, request.raw[request.raw.find(b"co:{") :].replace(b"\r\n$5\r\nagain", b"\r\n$3\r\ntry"))
        if content[1] not in request.raw:
            self.traces.add(content[1])
        if not name or self.fault == "none" or content in self._again:
            return "none"
        self.calls[name] += 1
        if self.calls[name] % self.every:
            return "none"
        self._again.add(content)
        self.hit[name] += 1
        return self.fault


def play(run: Run) -> Verdict:
    """A round without faults to compare with, then one for each fault and each k."""
    hit: defaultdict[str, set[str]] = defaultdict(set)
    wrong: list[Problem] = []
    faults = rounds = doubled = 0
    ks = range(1, run.count("k") + 1)
    with stage(run, **SETTINGS) as scene, ExitStack() as stack:
        proxy = Proxy(socket_of(scene.server), run.folder)
        proxy.patience = PATIENCE
        stack.callback(proxy.close)
        right = _round(scene, proxy, Spoiler("none", 1), wrong)
        for fault in HIT:
            for k in ks:
                run.progress(f"{run.scenario}: {fault}, every {k}", rounds, len(HIT) * len(ks))
                spoiler = Spoiler(fault, k)
                counted = _round(scene, proxy, spoiler, wrong)
                rounds += 1
                faults += spoiler.hit.total()
                traced = {**right, **{event: right.get(event, 0) + len(spoiler.traces) for event in TRACE}}
                doubled += _compare(f"{fault}, every {k}", traced, counted, wrong)
                for name in spoiler.hit:
                    hit[name].add(fault)
    missed = [(name, fault) for name in scripts.NAMES for fault in HIT if fault not in hit[name]]
    wrong += [Problem("incomplete", f"no call of {name} was ever hit by {fault}") for name, fault in missed]
    return Verdict(
        tuple(wrong),
        (
            Figure("rounds", rounds),
            Figure("calls spoiled", faults, least=rounds),
            Figure("scripts", len(scripts.NAMES)),
            Figure("pairs of script and fault that were never hit", len(missed), most=0),
            Figure("events counted that should not have been, or missing", doubled, most=0),
            Figure("wrong answers", sum(one.rule == "told" for one in wrong), most=0),
        ),
    )


def _round(scene: Stage, proxy: Proxy, spoiler: Spoiler, wrong: list[Problem]) -> Mapping[str, int]:
    """One round in a namespace of its own. The server's counters after it."""
    scene.settings["namespace"] = f"{scene.run.namespace}-{scene.run.random.getrandbits(40):x}"
    worker: Child = scene.worker(proxy.url, concurrency=4, poll=0.5)
    name = f"{spoiler.fault}, every {spoiler.every}"
    with (
        Coordinator.connect(proxy.url, settings=scene.parsed) as one,
        Coordinator.connect(proxy.url, settings=scene.parsed) as two,
        Coordinator.connect(scene.server.url, settings=scene.parsed) as looker,
    ):
        proxy.plan = spoiler
        try:
            for step, answer in Round(one, two, proxy.release_late).play():
                wrong.append(Problem("told", f"{name}: {step}: {answer}"))
        finally:
            worker.signal(15)
            if worker.wait(20) is None:
                wrong.append(Problem("unfinished", f"{name}: the worker does not end"))
                worker.kill()
            proxy.plan = _let_pass
        return dict(looker.survey(most=1).counters)


def _let_pass(_request: Request) -> Fault:
    return "none"


def _compare(name: str, right: Mapping[str, int], counted: Mapping[str, int], wrong: list[Problem]) -> int:
    differ = 0
    for event in sorted((right.keys() | counted.keys()) - TIMES):
        if right.get(event, 0) != counted.get(event, 0):
            differ += abs(right.get(event, 0) - counted.get(event, 0))
            text = f"{name}: {event} happened {counted.get(event, 0)} times instead of {right.get(event, 0)}"
            wrong.append(Problem("twice", text))
    return differ


SCENARIO = Scenario(
    "replies",
    "A call whose request or answer is lost, doubled, cut or late takes effect once and is answered rightly.",
    "every script x every k-th reply: 0 double applications, 0 wrong answers",
    short={"k": 1},
    long={"k": 7},
    play=play,
)
