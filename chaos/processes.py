"""Child processes by the thousand: forked from a nursery that has imported everything, signalled and watched by id.

Starting an interpreter takes 150 ms, a fork 5. The nursery (`chaos.nursery`) has one thread and no connection of its
own, so every child starts clean; it ends with the process that made it, and its children end with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[1]
READY_SECONDS = 30.0


class NurseryError(Exception):
    """The nursery ended, or did not do what it was asked in time."""


class Child:
    """One forked process. `name` is for its owner; `ended_at`: when it was seen to end, on the monotonic clock."""

    def __init__(self, pid: int) -> None:
        self.pid, self.name = pid, ""
        self._ended = threading.Event()
        self._code = 0
        self.ended_at = 0.0
        # The nursery reaps it, which frees its id; a handle on the process itself never reaches another one.
        self._handle = os.pidfd_open(pid)

    @property
    def alive(self) -> bool:
        """Whether it has not been reaped yet."""
        return not self._ended.is_set()

    def signal(self, number: int) -> bool:
        """Send a signal. False if the process is gone."""
        if self._handle < 0:
            return False
        try:
            signal.pidfd_send_signal(self._handle, number)
        except ProcessLookupError:
            return False
        return True

    def kill(self) -> bool:
        """SIGKILL. False if it is gone."""
        return self.signal(signal.SIGKILL)

    def stop(self) -> bool:
        """SIGSTOP: it does nothing more, and does not know it. False if it is gone."""
        return self.signal(signal.SIGSTOP)

    def go_on(self) -> bool:
        """SIGCONT. False if it is gone."""
        return self.signal(signal.SIGCONT)

    def wait(self, seconds: float | None = None) -> int | None:
        """Its exit code, minus the signal's number if one killed it; None if it has not ended in time."""
        return self._code if self._ended.wait(seconds) else None

    def ended(self, code: int) -> None:
        """Called by the nursery's reader."""
        self._code, self.ended_at = code, time.monotonic()
        handle, self._handle = self._handle, -1
        os.close(handle)
        self._ended.set()


class Nursery:
    """Forks children that run `module:function` with plain arguments. Safe for many threads.

    `modules` are imported before the first fork. What the children print goes to `log`.
    """

    def __init__(self, log: Path, modules: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> None:
        self._modules, self._environment, self._log = tuple(modules), {**os.environ, **(environment or {})}, log
        self._turn, self._sending = threading.Lock(), threading.Lock()
        self._answers: queue.SimpleQueue[Child | None] = queue.SimpleQueue()
        self._children: dict[int, Child] = {}

    def start(self) -> None:
        """Start the nursery. Raises NurseryError."""
        near, far = socket.socketpair()
        command = [sys.executable, "-P", "-m", "chaos.nursery", str(far.fileno()), *self._modules]
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with far, self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(far.fileno(),),
                env={**self._environment, "PYTHONPATH": str(ROOT)},
                start_new_session=True,
            )
        self._socket = near
        self._reader = threading.Thread(target=self._read, args=(near.makefile("rb"),), daemon=True)
        self._reader.start()

    def fork(self, entry: str, **args: Any) -> Child:
        """A new child that runs `entry`, as `package.module:function`. Raises NurseryError."""
        with self._turn:
            try:
                self._send(entry=entry, args=args)
                child = self._answers.get(timeout=READY_SECONDS)
            except (OSError, queue.Empty) as error:
                raise NurseryError(f"no child for {entry}: {error!r}; see {self._log}") from None
        if child is None:
            raise NurseryError(f"the nursery has ended; see {self._log}")
        return child

    def children(self) -> list[Child]:
        """Those that have not ended."""
        return [one for one in list(self._children.values()) if one.alive]

    def kill_all(self) -> None:
        """SIGKILL every child, and wait until they are reaped."""
        doomed = self.children()
        for child in doomed:
            child.kill()
        ends = time.monotonic() + READY_SECONDS
        for child in doomed:
            child.wait(max(0.0, ends - time.monotonic()))

    def close(self) -> None:
        """End the nursery; its children are killed."""
        self.kill_all()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        try:
            self._process.wait(READY_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(5)
        self._socket.close()

    def _send(self, **words: Any) -> None:
        with self._sending:
            self._socket.sendall(json.dumps(words).encode() + b"\n")

    def _read(self, lines: Any) -> None:
        with contextlib.suppress(OSError), lines:
            for line in lines:
                said = json.loads(line)
                if "forked" in said:
                    child = self._children[said["forked"]] = Child(said["forked"])
                    self._answers.put(child)
                    self._send(seen=said["forked"])
                else:
                    self._children.pop(said["ended"]).ended(said["code"])
        self._answers.put(None)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
