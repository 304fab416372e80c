"""What most scenarios stand on: a private Redis, a nursery of workers, a client, and the history of all of them."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from chaos import account, checker, climbers, forking, history, lockers, roles
from chaos.checker import Problem
from chaos.checker.losses import check_errors, check_fences
from chaos.history import Op, Recorder
from chaos.processes import Child, Nursery
from chaos.scenario import Run
from chaos.servers import private_server
from coordinator import Coordinator, Settings, Submission
from coordinator.drivers.embedded import EmbeddedServer
from coordinator.errors import JobFailed

# Deaths are seen in a second instead of ten, and nothing that the judge reads is thrown away before it reads.
QUICK: Mapping[str, Any] = {
    "session_ttl": 1.0,
    "sweep_interval": 0.1,
    "operation_timeout": 1.0,
    "aging_after": None,
    "max_events": 10_000_000,
    "result_ttl": 86_400.0,
}
BATCH = 500
# What children are made of, imported once.
CHILDREN = (roles.__name__, lockers.__name__, climbers.__name__, forking.__name__)
# Events that begin and that end a request, as the server counts them.
BEGINNINGS = ("ask", "delay", "replay")
ENDS = ("succeed", "fail", "bury", "cancel", "expire", "shed", "release", "lose")


@dataclass
class Stage:
    """One namespace on one server, and the processes that use it. Made by `stage`."""

    run: Run
    server: EmbeddedServer
    nursery: Nursery
    settings: dict[str, Any]
    co: Coordinator
    recorder: Recorder
    _forked: int = field(default=0)

    @property
    def parsed(self) -> Settings:
        """The settings of all processes."""
        return Settings.of(**self.settings)

    def worker(self, url: str | None = None, **options: Any) -> Child:
        """Fork a worker; `options` are those of `Worker`."""
        given = {"queues": roles.QUEUE, "process_slots": 1, **options}
        return self.fork(f"{roles.__name__}:worker", url, **given)

    def fork(self, entry: str, url: str | None = None, **options: Any) -> Child:
        """Fork a process that is told where everything is, and `options`. Its name is also that of its history."""
        self._forked += 1
        name = f"{entry.rpartition(':')[2]}-{self._forked}"
        child = self.nursery.fork(
            entry,
            url=url or self.server.url,
            settings=self.settings,
            history=str(self.run.history),
            process=name,
            options=options,
        )
        child.name = name
        return child

    def submit(self, submissions: Sequence[Submission]) -> list[str]:
        """Hand in jobs, and write each into the history. Their ids."""
        ids: list[str] = []
        for at in range(0, len(submissions), BATCH):
            chunk = submissions[at : at + BATCH]
            pending = [self.recorder.begin("submit") for _ in chunk]
            tickets = self.co.submit_many(chunk)
            for one, ticket in zip(pending, tickets, strict=True):
                one.args["job"] = ticket.ident
                self.recorder.end(one)
            ids += [ticket.ident for ticket in tickets]
        return ids

    def tell(self, ident: str, seconds: float = 30.0) -> str:
        """Wait for a job's end as an application does, and write what it was told. The state."""
        with self.recorder.doing("told", job=ident) as pending:
            try:
                self.co.get(ident).result(seconds)
                state = "succeeded"
            except JobFailed as error:
                state = str(error.state)
            pending.args["state"] = state
        return state

    def has_begun(self, child: Child) -> bool:
        """Whether a worker has done anything that is in its history: run a job, met a failpoint."""
        path = self.run.history / f"{child.name}.jsonl"
        return path.exists() and path.stat().st_size > 0

    def begun(self, child: Child) -> dict[str, int]:
        """The jobs that a worker has begun, each with its newest fence there."""
        path = self.run.history / f"{child.name}.jsonl"
        found = history.read_one(path) if path.exists() else ()
        return {one.arg("job"): one.fence for one in found if one.op == "start"}

    def died(self, child: Child) -> bool:
        """Whether a process that has ended was killed before it was done. Raises RuntimeError for one that fell over:
        what it met was no error of ours."""
        code = child.wait()
        if code not in (0, -signal.SIGKILL):
            raise RuntimeError(f"{child.name} ended with {code}; see {self.run.folder}")
        return code != 0

    def ended(self) -> int:
        """How many requests have reached an end."""
        return _sum(self.co.survey(most=1).counters, ENDS)

    def until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait for a condition. Raises TimeoutError."""
        ends = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > ends:
                raise TimeoutError(f"not within {seconds:g} s: {what}")
            time.sleep(0.02)

    def drain(self, seconds: float) -> None:
        """Wait until every request has ended. One that never does is for the judge to find."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            done, all_of_them = self.so_far()
            if done >= all_of_them:
                return
            self.run.progress(f"{self.run.scenario}: draining", done, all_of_them)
            time.sleep(0.1)

    def so_far(self) -> tuple[int, int]:
        """How many requests have ended, and of how many."""
        counted = self.co.survey(most=1).counters
        return _sum(counted, ENDS), _sum(counted, BEGINNINGS)

    def judge(self, *, drained: bool = True) -> tuple[list[Op], tuple[Problem, ...]]:
        """Take the server's account, and judge everything."""
        self.run.progress(f"{self.run.scenario}: judging", 0, 0)
        account.record(self.server.url, self.parsed, self.run.history)
        ops = history.read(self.run.history)
        found = checker.judge(ops, drained=drained, steady=True)
        return ops, (*found, *check_fences(ops), *check_errors(ops))


@contextmanager
def stage(run: Run, config: Mapping[str, str] | None = None, **settings: Any) -> Iterator[Stage]:
    """Set everything up, and take it down again; children that still run are killed."""
    chosen = {**QUICK, "namespace": run.namespace, **settings}
    with ExitStack() as stack:
        server = stack.enter_context(private_server(config=config))
        nursery = stack.enter_context(Nursery(run.folder / "children.log", CHILDREN))
        co = stack.enter_context(Coordinator.connect(server.url, settings=Settings.of(**chosen)))
        recorder = Recorder(run.history, "app")
        stack.callback(recorder.close)
        yield Stage(run, server, nursery, chosen, co, recorder)


def mixed_jobs(chance: random.Random, count: int, ms: tuple[float, float], resources: int) -> list[Submission]:
    """Jobs of chance durations; every second one needs one of so many resources, on the loop and in threads."""
    made = []
    for number in range(count):
        needs = [f"r/{chance.randrange(resources)}"] if number % 2 else []
        name = roles.STEP if number % 4 < 2 else roles.STEP_IN_THREAD  # noqa: PLR2004
        made.append(Submission(name, {"ms": round(chance.uniform(*ms), 1)}, resources=needs))
    return made


def _sum(counted: Mapping[str, int], names: Iterable[str]) -> int:
    return sum(counted.get(name, 0) for name in names)
