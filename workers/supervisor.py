"""Several workers on one machine: starts them, starts them again when they die, passes signals on, and waits for them.

Each child is a session of its own (in the sense of the operating system, too: Ctrl-C on the terminal reaches the
supervisor only, which passes it on once). Children hold the reading end of a pipe whose writing end only the supervisor
has; when the supervisor is killed, the pipe closes and they end by themselves.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType

log = logging.getLogger(__name__)

# A child that dies at once is started again after 0.25 s, then 0.5 s, up to 30 s; one that lived a minute begins anew.
FIRST_PAUSE, LONGEST_PAUSE, LONG_LIFE = 0.25, 30.0, 60.0
# Exit codes that starting again will not mend: the command line or the configuration is wrong.
HOPELESS = frozenset({os.EX_USAGE, os.EX_CONFIG})
ORPHAN_SECONDS = 1.0


@dataclass
class Child:
    """One worker process and its luck so far."""

    number: int
    process: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    failures: int = 0
    due: float = field(default=0.0)


class Supervisor:
    """`command` is run `count` times, with `{pipe}` in it replaced by the number of the pipe to watch."""

    def __init__(self, command: Sequence[str], count: int, environment: dict[str, str]) -> None:
        self._command, self._environment = list(command), environment
        self._children = [Child(number) for number in range(1, count + 1)]
        self._signals: list[int] = []
        self._stopping = False
        self._code = 0

    def run(self) -> int:
        """Run until told to stop and all children have ended. Returns the exit code."""
        reading, self._writing = os.pipe()
        wake, alarm = socket.socketpair()
        for end in (wake, alarm):
            end.setblocking(False)
        before = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}
        before[signal.SIGCHLD] = signal.signal(
            signal.SIGCHLD, lambda *_: None
        )  # a handler, so that it wakes the select
        old_wakeup = signal.set_wakeup_fd(alarm.fileno(), warn_on_full_buffer=False)
        try:
            self._supervise(reading, wake)
        finally:
            # The pipe first: should this end by a fault, the children end, too.
            os.close(self._writing)
            os.close(reading)
            signal.set_wakeup_fd(old_wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
            wake.close()
            alarm.close()
        return self._code

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._signals.append(number)

    def _supervise(self, reading: int, wake: socket.socket) -> None:
        while True:
            while self._signals:
                self._pass_on(self._signals.pop(0))
            self._look(reading)
            alive = [one for one in self._children if one.process is not None]
            if self._stopping and not alive:
                return
            if select.select([wake], [], [], self._patience())[0]:
                with contextlib.suppress(BlockingIOError):
                    wake.recv(4096)

    def _pass_on(self, number: int) -> None:
        self._stopping = True
        for child in self._children:
            if child.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    child.process.send_signal(number)

    def _look(self, reading: int) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                self._ended(child, child.process.returncode, now)
            if child.process is None and not self._stopping and child.due <= now:
                self._begin(child, reading, now)

    def _begin(self, child: Child, reading: int, now: float) -> None:
        command = [word.format(pipe=reading) if word == "{pipe}" else word for word in self._command]
        child.process = subprocess.Popen(command, env=self._environment, pass_fds=(reading,), start_new_session=True)
        child.began = now
        log.info("worker process %d started: pid %d", child.number, child.process.pid)

    def _ended(self, child: Child, code: int, now: float) -> None:
        pid = child.process.pid if child.process else 0
        child.process = None
        if self._stopping:
            self._code = self._code or (code if code > 0 else 0)
            return
        if code in HOPELESS:
            log.error("worker process %d (pid %d) cannot work, exit code %d: giving up", child.number, pid, code)
            self._code = code
            self._pass_on(signal.SIGTERM)
            return
        child.failures = 0 if now - child.began >= LONG_LIFE else child.failures + 1
        wait = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(child.failures, 16) / 2)
        child.due = now + wait
        log.warning("worker process %d (pid %d) ended with %d; again in %g s", child.number, pid, code, wait)

    def _patience(self) -> float:
        """Seconds until the next child is due; a second at most, in case a signal slipped through."""
        due = [one.due for one in self._children if one.process is None and not self._stopping]
        return max(0.0, min([1.0, *(one - time.monotonic() for one in due)]))


def watch_supervisor(pipe: int, hurry: Callable[[], None]) -> None:
    """In a child: when the supervisor is gone, `hurry`, and shortly after that end whatever goes on."""

    def watch() -> None:
        with contextlib.suppress(OSError):
            while os.read(pipe, 1):
                pass
        log.error("the supervisor is gone; ending")
        hurry()
        time.sleep(ORPHAN_SECONDS)
        os._exit(os.EX_TEMPFAIL)

    threading.Thread(target=watch, name="coordinator-supervisor-watch", daemon=True).start()
