"""Mixed load for runs: producers, lockers and workers as processes of their own, ended and judged in good order."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import redis

from chaos import account
from chaos.history import SERVER, Op, Recorder, read
from chaos.processes import Child, Nursery
from chaos.scenario import Figure, Run
from coordinator import Coordinator, Settings
from coordinator.doctor import examine
from coordinator.errors import CoordinatorError
from coordinator.keys import key
from coordinator.ops.doctor import Finding
from coordinator.wire import calls
from coordinator.wire.calls import Scope
from coordinator.wire.step import Operation
from coordinator_demo.account import raw_client

PRODUCER, LOCKER, WORKER = "chaos.traffic:producer", "chaos.traffic:locker", "chaos.roles:worker"
STOP_SECONDS = 60.0
DRAIN_SECONDS = 90.0

# Every event is kept for the judge, and no job is taken for poison because its workers keep losing their server.
JUDGEABLE: dict[str, Any] = {"max_events": 10_000_000, "max_deliveries": 1000, "aging_after": None}


@dataclass(slots=True)
class Load:
    """The processes of a run. `url` is where they find the server, `near` from where they start; `recorder` is for what
    the scenario itself does; `environment` is added to that of the processes."""

    run: Run
    url: str
    settings: dict[str, Any] = field(default_factory=dict)
    near: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext
    name: str = "load"
    environment: dict[str, str] = field(default_factory=dict)
    _children: dict[str, tuple[str, Child]] = field(default_factory=dict)
    _started: int = 0
    _nursery: Nursery = field(init=False)
    recorder: Recorder = field(init=False)

    def __post_init__(self) -> None:
        self.settings = {"namespace": self.run.namespace, **JUDGEABLE, **self.settings}
        modules = ("chaos.traffic", "chaos.roles")
        self._nursery = Nursery(self.run.folder / f"{self.name}.log", modules, self.environment)
        self.recorder = Recorder(self.run.history, f"harness-{self.name}")

    def __enter__(self) -> Self:
        with self.near():
            self._nursery.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._nursery.close()
        self.recorder.close()

    def producer(self, **options: Any) -> Child:
        """One more producer."""
        return self._fork(PRODUCER, {"rate": 200, "ms": 5, "tell": 5, **options})

    def locker(self, **options: Any) -> Child:
        """One more locker."""
        return self._fork(LOCKER, {"threads": 4, "resources": 4, "ms": 2, **options})

    def worker(self, **options: Any) -> Child:
        """One more worker."""
        return self._fork(WORKER, {"concurrency": 16, "poll": 1.0, "grace": 5.0, "process_slots": 1, **options})

    def workers(self) -> list[Child]:
        """The workers that run."""
        return [child for entry, child in self._children.values() if entry == WORKER and child.alive]

    def quiet(self) -> None:
        """Stop handing in jobs and taking locks."""
        self._stop(lambda entry: entry != WORKER)

    def drain(self, seconds: float = DRAIN_SECONDS) -> float:
        """Wait until every job has an end, then stop the workers; how long it took. Raises TimeoutError."""
        began = time.monotonic()
        with self.near(), raw_client(self.url) as client:
            while left := self._unfinished(client):
                if time.monotonic() - began > seconds:
                    raise TimeoutError(f"{left} jobs have no end after {seconds:g} s")
                time.sleep(0.05)
        took = time.monotonic() - began
        self._stop(lambda _entry: True)
        return took

    def history(self) -> list[Op]:
        """The history with the server's account."""
        if not (self.run.history / f"{SERVER}.jsonl").exists():
            with self.near():
                account.record(self.url, Settings.of(**self.settings), self.run.history)
        return read(self.run.history)

    def doctor(self) -> tuple[Finding, ...]:
        """What the doctor finds, once whatever is due has been taken back."""
        with self.near(), Coordinator.connect(self.url, settings=Settings.of(**self.settings)) as co:
            ends = time.monotonic() + co.settings.session_ttl + 5
            while True:
                co.run(_sweep(calls.Scope.of(self.run.namespace, co.settings.terms())))
                found = examine(co).problems
                if not found or time.monotonic() > ends:
                    return found
                time.sleep(0.25)

    def _fork(self, entry: str, options: dict[str, Any]) -> Child:
        self._started += 1
        kind = entry.rpartition(":")[2]
        process = f"{self.name}-{kind}-{self._started}"
        child = self._nursery.fork(
            entry,
            url=self.url,
            settings=self.settings,
            history=str(self.run.history),
            process=process,
            options=options,
        )
        self._children[process] = (entry, child)
        return child

    def _stop(self, chosen: Callable[[str], bool]) -> None:
        doomed = {name: child for name, (entry, child) in self._children.items() if chosen(entry)}
        for child in doomed.values():
            child.signal(signal.SIGTERM)
            child.go_on()
        for name, child in doomed.items():
            code = child.wait(STOP_SECONDS)
            del self._children[name]
            if code is None and name.rpartition("-")[0] != f"{self.name}-worker":
                child.signal(signal.SIGUSR1)
                child.wait(1)
            if code not in (0, -signal.SIGKILL):
                raise RuntimeError(f"{name} ended with {code}; see {self.run.folder}")

    def _unfinished(self, client: Any) -> int:
        """How many jobs have no end; -1 while the server is away."""
        namespace = self.run.namespace
        try:
            pipe = client.pipeline(transaction=False)
            for family in ("READY", "WAITING"):
                pipe.zcard(key(namespace, family, "default"))
            pipe.zcard(key(namespace, "SCHEDULED"))
            # A job that runs is its session's, and so is a lock.
            for session in client.zrange(key(namespace, "SESSIONS"), 0, -1):
                pipe.scard(key(namespace, "OWNS", session.decode()))
            return sum(int(count) for count in pipe.execute())
        except (redis.RedisError, CoordinatorError):
            return -1


def acknowledged(ops: Sequence[Op], least: float) -> Figure:
    """How many jobs were acknowledged. A run in which that is next to none has shown nothing."""
    return Figure("jobs acknowledged", sum(one.op == "submit" and one.outcome == "ok" for one in ops), least=int(least))


def _sweep(scope: Scope) -> Operation[None]:
    """What any live process of the namespace does each second."""
    while (yield calls.sweep(scope))[1] > 0:
        pass
