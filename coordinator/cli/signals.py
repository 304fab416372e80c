"""Signals as something to wait for, not as interruptions: the command decides what each means at each moment."""

from __future__ import annotations

import contextlib
import select
import signal
import socket
from collections import deque
from types import FrameType, TracebackType
from typing import Any, Self

from coordinator.errors import InvalidInput

# What somebody sends to end a command. One that is ignored on entry (nohup) stays ignored.
ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


class Signals:
    """Within the context, signals that end a command are collected. For the main thread.

    `wait` also returns when a child changes its state, and when any thread calls `ring`.
    """

    def __init__(self) -> None:
        self._arrived: deque[int] = deque()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._ear, self._bell = socket.socketpair()
        self._ear.setblocking(False)
        self._bell.setblocking(False)
        self._wakeup = signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)
        for number in (*ENDING, signal.SIGCHLD):
            if number == signal.SIGCHLD or signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        signal.set_wakeup_fd(self._wakeup)
        self._ear.close()
        self._bell.close()

    def take(self) -> int | None:
        """The next signal that has arrived, each once; None if there is none."""
        return self._arrived.popleft() if self._arrived else None

    def pass_on(self, number: int) -> None:
        """As if that signal had arrived, from any thread."""
        self._arrived.append(number)
        self.ring()

    def ring(self) -> None:
        """End a `wait`, from any thread. What rings after the context is over rings for nobody."""
        with contextlib.suppress(OSError):
            self._bell.send(b"!")

    def wait(self, seconds: float | None) -> None:
        """Until a signal arrives, a child changes, somebody rings, or so many seconds are over."""
        if select.select([self._ear], [], [], seconds)[0]:
            self._ear.recv(4096)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self._arrived.append(number)


def numbered(name: str) -> int:
    """The number of `TERM`, `SIGTERM` or `usr1`. Raises InvalidInput."""
    full = f"SIG{name.upper().removeprefix('SIG')}"
    try:
        return signal.Signals[full].value
    except KeyError:
        raise InvalidInput("signal", name, "must be the name of a signal, as TERM") from None


def name_of(number: int) -> str:
    """`SIGTERM`."""
    return signal.Signals(number).name
