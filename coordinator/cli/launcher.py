"""Stands in the command's place until everything is ready for it, and then becomes it.

It is run by path in a bare interpreter (`python -I -S launcher.py ...`) and so imports nothing of this package. Two
things can only be done from inside the new process, and not between fork and exec of a process with threads: asking
the kernel to end it when `coordinator lock` is killed, since nobody would watch over its lock then, and waiting until
it has the terminal, since a command that reads too early would be stopped.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Read `ready-fd parent-pid command ...`; return only if there is no command to become."""
    ready, parent, *command = arguments
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.read(int(ready), 1) != b"!" or os.getppid() != int(parent):
        return 1
    os.close(int(ready))
    # Python ignores these, and what is ignored stays so across exec.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606  (running a command is what this is for)
    except OSError as error:
        sys.stderr.write(f"coordinator: {command[0]!a} cannot be run: {error.strerror}\n")
        return 127 if isinstance(error, FileNotFoundError) else 126


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
