"""A command in a process group of its own, so that all of it can be signalled and none of it outlives its lock.

On a terminal the group is the foreground one while it runs: keys such as Ctrl-C go to the command and not to us, and it
may read. A command that is suspended (Ctrl-Z) suspends us with it, and goes on only if the lock is still ours.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

LAUNCHER = Path(__file__).with_name("launcher.py")


class Terminal:
    """The controlling terminal, if there is one and we are in its foreground."""

    def __init__(self) -> None:
        self._fd = -1
        with contextlib.suppress(OSError):
            self._fd = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)

    @property
    def ours(self) -> bool:
        """Whether our group is the foreground one."""
        try:
            return self._fd >= 0 and os.tcgetpgrp(self._fd) == os.getpgrp()
        except OSError:
            return False

    def give(self, group: int) -> None:
        """Make a group the foreground one."""
        # A process in the background that does this would be stopped by SIGTTOU.
        before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        with contextlib.suppress(OSError):
            os.tcsetpgrp(self._fd, group)
        signal.signal(signal.SIGTTOU, before)

    def close(self) -> None:
        """Let go of it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Child:
    """A running command."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        ready, go = os.pipe()
        os.set_inheritable(ready, True)
        self._terminal = Terminal()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(LAUNCHER), str(ready), str(os.getpid()), *command],
            env=dict(environment),
            process_group=0,
            # Ours are not inheritable; what the caller handed us on purpose is for the command.
            close_fds=False,
        )
        os.close(ready)
        self._foreground = self._terminal.ours
        if self._foreground:
            self._terminal.give(self._process.pid)
        with contextlib.suppress(BrokenPipeError):
            os.write(go, b"!")
        os.close(go)

    def poll(self) -> int | None:
        """The exit code if the command is over (128 + n for signal n), else None.

        Suspends this process while the command is suspended; what comes after that is for the caller to `resume`.
        """
        pid, status = os.waitpid(self._process.pid, os.WNOHANG | os.WUNTRACED)
        if pid == 0:
            return None
        if os.WIFSTOPPED(status):
            self._suspend()
            return None
        code = os.waitstatus_to_exitcode(status)
        self._process.returncode = code
        self._take_terminal_back()
        self._terminal.close()
        return code if code >= 0 else 128 - code

    @property
    def suspended(self) -> bool:
        """Whether the command was suspended and waits to be resumed."""
        return self._suspended

    def resume(self) -> None:
        """Let a suspended command go on, in the foreground if that is where we are."""
        self._suspended = False
        if self._terminal.ours:
            self._foreground = True
            self._terminal.give(self._process.pid)
        self.send(signal.SIGCONT)

    def send(self, number: int) -> bool:
        """Send a signal to the whole group. False if nobody of it is left."""
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return False
        except PermissionError:
            # Somebody is there, under another user.
            return True
        return True

    def _suspend(self) -> None:
        if not self._foreground:
            # Not by our terminal: whoever stopped it will also let it go on.
            return
        self._take_terminal_back()
        self._suspended = True
        os.killpg(os.getpgrp(), signal.SIGTSTP)

    def _take_terminal_back(self) -> None:
        if self._foreground:
            self._foreground = False
            self._terminal.give(os.getpgrp())

    _suspended = False
