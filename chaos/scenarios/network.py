"""A network that breaks under load, in every way that a connection can: reset, cut in the middle of a message, refused,
silent for seconds while both ends believe in it.

Producers, workers and lock holders all work through proxies on TCP. Every fault lasts for less than a session, so
nobody may lose anything but time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import Any

from chaos import roles
from chaos.clock import now_ns
from chaos.history import Op
from chaos.locking import give_back, take
from chaos.proxy import Fault, Proxy, Request
from chaos.quantiles import rank
from chaos.scenario import Figure, Run, Scenario, Verdict
from chaos.servers import free_port
from chaos.stage import Stage, stage
from coordinator import Coordinator
from coordinator.errors import StoreUnavailable, UnknownOutcome

WORKERS, LOCKERS, RESOURCES = 2, 3, 12
SETTINGS: Mapping[str, Any] = {"session_ttl": 8.0, "sweep_interval": 0.5, "operation_timeout": 1.0, "retry_for": 20.0}
WORK = (1.0, 15.0)
# How long each kind of trouble lasts, and the calm after it, in seconds.
TROUBLE, CALM = (0.2, 1.5), (0.1, 0.4)
SPOILED: tuple[Fault, ...] = ("cut_request", "cut_reply", "reset", "drop_reply", "drop_request")
SPOILED_SHARE = 0.2
TYPED = (StoreUnavailable, UnknownOutcome)
# The calls of applications. An error is no answer to them, nor is what a worker goes on doing by itself.
ASKED = frozenset({"submit", "acquire", "release"})


def play(run: Run) -> Verdict:
    """Trouble after trouble while jobs are handed in and run and locks change hands; then calm."""
    port = free_port()
    with stage(run, {"port": str(port), "bind": "127.0.0.1"}, **SETTINGS) as scene:
        proxy = Proxy(("127.0.0.1", port))
        crowd = _Crowd(scene, proxy.url)
        try:
            for _ in range(WORKERS):
                scene.worker(proxy.url, concurrency=8)
            crowd.start()
            healed = _trouble(scene, proxy, run.count("troubles"))
            crowd.finish()
            scene.drain(60)
            spoiled = proxy.spoiled
        finally:
            proxy.close()
        ops, problems = scene.judge()
    after = to_next_answer(ops, healed)
    return Verdict(
        problems,
        (
            Figure("troubles", len(healed), least=run.size["troubles"]),
            Figure("requests spoiled one by one", spoiled, least=1),
            Figure("jobs", crowd.handed_in, least=5 * run.size["troubles"]),
            Figure("locks had", crowd.locked, least=5 * run.size["troubles"]),
            Figure("calls that ended in a typed error", crowd.typed),
            Figure("errors of any other kind", len(crowd.other), most=0),
            Figure("from the end of trouble to the next answer, longest", max(after), "s", most=2.5),
            Figure("from the end of trouble to the next answer p50", rank(after, 0.5), "s"),
        ),
    )


class _Crowd:
    """A producer and some lock holders, in threads, until told to finish."""

    def __init__(self, scene: Stage, url: str) -> None:
        self.handed_in = self.locked = self.typed = 0
        self.other: list[str] = []
        self._scene, self._url = scene, url
        self._over = threading.Event()
        self._count = threading.Lock()
        self._threads = [threading.Thread(target=self._guarded, args=(self._produce,))]
        self._threads += [threading.Thread(target=self._guarded, args=(self._hold,)) for _ in range(LOCKERS)]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """End, and wait for what is under way."""
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def _guarded(self, work: Callable[[Coordinator], None]) -> None:
        with Coordinator.connect(self._url, settings=self._scene.parsed) as co:
            while not self._over.is_set():
                try:
                    work(co)
                except TYPED:
                    self.typed += 1
                except Exception as error:  # of whatever kind: that is what is asked here
                    self.other.append(repr(error))

    def _produce(self, co: Coordinator) -> None:
        chance = self._scene.run.random
        with self._scene.recorder.doing("submit") as pending:
            payload = {"ms": round(chance.uniform(*WORK), 1)}
            ticket = co.submit(roles.STEP, payload, resources=[f"r/{chance.randrange(RESOURCES)}"])
            pending.args["job"] = ticket.ident
        self.handed_in += 1
        self._over.wait(0.005)

    def _hold(self, co: Coordinator) -> None:
        resource = f"r/{self._scene.run.random.randrange(RESOURCES)}"
        lease = take(co, self._scene.recorder, resource, wait=30)
        time.sleep(0.002)
        give_back(lease, self._scene.recorder, resource)
        with self._count:
            self.locked += 1


def _trouble(scene: Stage, proxy: Proxy, count: int) -> list[int]:
    """So many troubles of chance kinds. When each was over."""
    chance, healed = scene.run.random, []
    kinds = ("reset", "sever", "refuse", "freeze", "spoil")
    for number in range(count):
        time.sleep(chance.uniform(*CALM))
        kind = kinds[number % len(kinds)]
        scene.run.progress(f"{scene.run.scenario}: {kind}", number, count)
        if kind in ("reset", "sever"):
            proxy.sever(reset=kind == "reset")
        else:
            _for_a_while(proxy, kind, chance.uniform(*TROUBLE), chance.random)
        healed.append(now_ns())
    return healed


def _for_a_while(proxy: Proxy, kind: str, seconds: float, draw: Callable[[], float]) -> None:
    def spoil(request: Request) -> Fault:
        hit = request.runs_script and draw() < SPOILED_SHARE
        return SPOILED[int(draw() * len(SPOILED))] if hit else "none"

    proxy.refuse, proxy.frozen = kind == "refuse", kind == "freeze"
    proxy.plan = spoil if kind == "spoil" else _let_pass
    if kind == "refuse":
        proxy.sever()
    time.sleep(seconds)
    proxy.refuse = proxy.frozen = False
    proxy.plan = _let_pass


def _let_pass(_request: Request) -> Fault:
    return "none"


def to_next_answer(ops: Iterable[Op], moments: Iterable[int]) -> list[float]:
    """For each moment, seconds to the first answer after it that an application got; without end if it got none."""
    answers = sorted(one.completed for one in ops if one.op in ASKED and one.outcome == "ok" and one.completed)
    return [min((at - moment for at in answers if at > moment), default=inf) / 1e9 for moment in moments]


SCENARIO = Scenario(
    "network",
    "Connections that are reset, cut, refused or silent cost time, and nothing else.",
    "0 lost, 0 settled twice, only typed errors; work goes on <= 2.5 s after the network is back",
    short={"troubles": 10},
    long={"troubles": 200},
    play=play,
)
