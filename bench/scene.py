"""All that one measurement of one library uses: a fresh server, actors, workers, and what they leave behind."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.actors.marks import Mark, MarkReader, open_gate
from bench.environments import environment_for
from bench.model import NotMeasured
from bench.peers import Kind, Mode, Peer
from bench.processes import ROOT, Actor, Process
from bench.server import Server, fresh_server

START_SECONDS = 40.0
LOOK_SECONDS = 0.01
ROOM = 200_000


class Workers:
    """The worker processes of a library."""

    def __init__(self, processes: Sequence[Process]) -> None:
        self._processes = processes

    def cpu(self) -> float:
        """Seconds of processor time that they have used."""
        return sum(one.cpu() for one in self._processes)

    def check(self) -> None:
        """Raises NotMeasured if one is over."""
        for one in self._processes:
            one.check()


class Scene:
    """One library, one server."""

    def __init__(self, peer: Peer, kind: Kind, aof: bool, stack: ExitStack) -> None:
        self.peer, self._kind, self._actor = peer, kind, peer.actors[kind]
        self._aof, self._stack = aof, stack
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="co-bench-")))
        self.server = stack.enter_context(fresh_server(aof))
        self._programs = environment_for(peer.requirements)
        self._reader = MarkReader(self._folder)

    def second_server(self) -> Server:
        """Another server like the scene's own, until the end of the measurement."""
        return self._stack.enter_context(fresh_server(self._aof))

    @contextmanager
    def beside(self, peer: Peer) -> Iterator[Scene]:
        """A scene like this one for a library in other settings, on a server of its own."""
        with scene_for(peer, self._kind, self._aof) as made:
            yield made

    def actor(self, name: str = "") -> Actor:
        """A process that takes orders, until the end of the measurement: the library's, or the one named."""
        command = [str(self._programs / "python"), "-m", "bench.actors", name or self._actor]
        return self._stack.enter_context(Actor(command, self._environment(1), self._folder / "actor.log"))

    @contextmanager
    def workers(self, mode: Mode, processes: int, concurrency: int | None = None) -> Iterator[Workers]:
        """Worker processes, which end with the context; their first jobs wait at the gate unless it is open."""
        command = self.peer.workers[mode]
        slots = concurrency or command.concurrency
        words = command.words.format(
            bin=self._programs, processes=processes, concurrency=slots, url=self.server.url
        ).split()
        environment = {**self._environment(slots), **command.environment}
        log = self._folder / "worker.log"
        with ExitStack() as stack:
            started = [
                stack.enter_context(Process(words, environment, log, speaks=False))
                for _ in range(1 if command.forks else processes)
            ]
            yield Workers(started)

    def wait_at_gate(self, processes: int, workers: Workers) -> None:
        """Return when so many worker processes stand at the gate with their first job. Raises NotMeasured."""
        deadline = time.monotonic() + START_SECONDS
        while self._reader.processes < processes:
            workers.check()
            if time.monotonic() > deadline:
                raise NotMeasured(
                    f"{self._reader.processes} of {processes} worker processes had a job within {START_SECONDS:g} s"
                )
            time.sleep(LOOK_SECONDS)

    def open_gate(self) -> None:
        """Let the workers begin."""
        open_gate(self._folder)

    def wait_for_marks(self, count: int, seconds: float, workers: Workers) -> list[Mark]:
        """The marks, by time, once there are so many, or after `seconds`. Raises NotMeasured if there are none."""
        deadline = time.monotonic() + seconds
        while self._reader.look() < count and time.monotonic() < deadline:
            workers.check()
            time.sleep(LOOK_SECONDS)
        if not self._reader.marks:
            raise NotMeasured(f"no job was begun in {seconds:g} s")
        return sorted(self._reader.marks)

    def _environment(self, concurrency: int) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("COORDINATOR_")}
        return {
            **kept,
            **self.peer.environment,
            "PYTHONPATH": str(ROOT),
            "PATH": f"{self._programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "COORDINATOR_URL": self.server.url,
            "BENCH_URL": self.server.url,
            "BENCH_MARKS": str(self._folder),
            "BENCH_ROOM": str(ROOM),
            "BENCH_CONCURRENCY": str(concurrency),
        }


@contextmanager
def scene_for(peer: Peer, kind: Kind, aof: bool) -> Iterator[Scene]:
    """A scene on a server of its own. Raises NotMeasured if the library cannot be installed."""
    with ExitStack() as stack:
        yield Scene(peer, kind, aof, stack)
