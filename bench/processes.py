"""The processes of one measurement: actors that take orders, and workers. Each is ended by its own id."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

import psutil

from bench.model import NotMeasured

ROOT = Path(__file__).parents[1]
STOP_SECONDS = 2.0  # whatever is left undone, its server goes with it
SHOWN_LINES = 6


def stay_on(pid: int, place: int) -> None:
    """Have a process run on one processor, counted round from 0. Does nothing where the system cannot do that."""
    one = psutil.Process(pid)
    if hasattr(one, "cpu_affinity"):
        there = sorted(psutil.Process().cpu_affinity())
        one.cpu_affinity([there[place % len(there)]])


class Process:
    """One child process with its descendants; what it prints to standard error goes to a log."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path, speaks: bool) -> None:
        self._log = log
        with log.open("ab") as errors:
            self._child = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE if speaks else subprocess.DEVNULL,
                stdout=subprocess.PIPE if speaks else errors,
                stderr=errors,
                start_new_session=True,
            )

    @property
    def family(self) -> list[psutil.Process]:
        """The process and its descendants that are alive."""
        with contextlib.suppress(psutil.NoSuchProcess):
            first = psutil.Process(self._child.pid)
            return [first, *first.children(recursive=True)]
        return []

    @property
    def pid(self) -> int:
        """The process itself."""
        return self._child.pid

    def cpu(self) -> float:
        """Seconds of processor time that the process and its descendants have used."""
        total = 0.0
        for one in self.family:
            with contextlib.suppress(psutil.NoSuchProcess):
                times = one.cpu_times()
                total += times.user + times.system
        return total

    def memory(self) -> int:
        """Bytes of memory that the process itself has resident."""
        return int(psutil.Process(self._child.pid).memory_info().rss)

    def check(self) -> None:
        """Raises NotMeasured, with the end of its log, if it is over."""
        if self._child.poll() is not None:
            raise NotMeasured(f"a process ended with status {self._child.returncode}: {self.tail()}")

    def tail(self) -> str:
        """The last lines of its log."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
        return " / ".join(line.strip() for line in [one for one in lines if one.strip()][-SHOWN_LINES:])

    def stop(self) -> None:
        """Ask it to end, and kill what does not."""
        family = self.family
        if self._child.poll() is None:
            self._child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(STOP_SECONDS)
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        self._child.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Actor(Process):
    """A child that takes orders, one after the other."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        super().__init__(command, environment, log, speaks=True)
        self._orders, self._answers = cast("IO[bytes]", self._child.stdin), cast("IO[bytes]", self._child.stdout)
        self._heard = b""

    def ask(self, do: str, /, patience: float = 120.0, **arguments: Any) -> Any:
        """Give an order and wait for its answer. Raises NotMeasured."""
        self.tell(do, **arguments)
        return self.hear(patience)

    def tell(self, do: str, /, **arguments: Any) -> None:
        """Give an order."""
        try:
            self._orders.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
            self._orders.flush()
        except OSError:
            self._child.wait(STOP_SECONDS)
            self.check()
            raise

    def hear(self, patience: float = 120.0) -> Any:
        """The answer to the oldest order that has none yet. Raises NotMeasured."""
        stream, deadline = self._answers.fileno(), time.monotonic() + patience
        while b"\n" not in self._heard:
            if not select.select([stream], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise NotMeasured(f"no answer in {patience:g} s: {self.tail()}")
            piece = os.read(stream, 1 << 20)
            if not piece:
                self._child.wait(STOP_SECONDS)
                raise NotMeasured(f"it ended with status {self._child.returncode}: {self.tail()}")
            self._heard += piece
        line, _, self._heard = self._heard.partition(b"\n")
        answer = json.loads(line)
        if isinstance(answer, dict) and "error" in answer:
            raise NotMeasured(str(answer["error"]).strip().rsplit("\n", 1)[-1])
        return answer
