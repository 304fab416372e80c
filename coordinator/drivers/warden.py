"""The small process between an application and its embedded server, so that neither outlives the other.

It is run by path in a bare interpreter (`python -I -S warden.py ...`) and so imports nothing of this package.

Why a process of its own, when the kernel can signal the server on its parent's death: that signal fires when
the *thread* that started the server ends, and asking for it is not safe in a program with threads. A pipe
held open by the owner says nothing once the owner has forked, for the fork holds it too. The parent's process
id has neither fault: it changes when the owner dies, and only then. Here there is one thread, so the kernel's
signal may be used the other way round, to take the server along if the warden itself is killed.
"""

import ctypes
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from types import FrameType

# How often the owner is looked for: its death must be noticed within a second, and a look costs nothing.
LOOK_SECONDS = 0.25
STOP_SECONDS = 5.0
PR_SET_PDEATHSIG = 1


def _end_with_warden() -> None:
    """Ask Linux to end this process when the warden ends; elsewhere it would stay, as any orphan does."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _watch(server: subprocess.Popen[bytes], owner: int, wake: socket.socket, stop: list[int]) -> None:
    """Return when the server has ended, a stop was asked for, or the owner is gone."""
    while server.poll() is None and not stop and os.getppid() == owner:
        if select.select([wake], [], [], LOOK_SECONDS)[0]:
            wake.recv(4096)


def guard(owner: int, lock: int, scraps: list[str], command: list[str]) -> int:
    """Run the server until the owner stops it or dies, and answer with the server's exit status.

    The server inherits the directory's lock: it must stay locked until the last process that may write there
    has ended, whoever dies first. `scraps` are removed here only if the owner is no longer there to do it.
    """
    stop: list[int] = []

    def ask(signum: int, _frame: FrameType | None) -> None:
        stop.append(signum)

    wake, alarm = socket.socketpair()
    wake.setblocking(False)
    alarm.setblocking(False)
    signal.set_wakeup_fd(alarm.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # a handler, so that the server's end wakes the select
    server = subprocess.Popen(
        command,
        pass_fds=(lock,),
        preexec_fn=_end_with_warden,  # noqa: PLW1509  (there are no other threads here)
    )
    _watch(server, owner, wake, stop)
    if server.poll() is None:
        server.terminate()
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
    status = server.wait()
    if os.getppid() != owner:
        for scrap in scraps:
            shutil.rmtree(scrap, ignore_errors=True)
    return status if status >= 0 else 128 - status


def main(arguments: list[str]) -> int:
    """Read `owner-pid lock-fd [directory to remove ...] -- command ...`."""
    split = arguments.index("--")
    owner, lock, *scraps = arguments[:split]
    return guard(int(owner), int(lock), scraps, arguments[split + 1 :])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
