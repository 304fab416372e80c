"""What a process says about itself and whoever it runs for, for people who look."""

from __future__ import annotations

import getpass
import os
import socket

MOST = 128


def describe(kind: str, **more: str) -> dict[str, str]:
    """Host, pid and kind of this process, and what else is given."""
    return {"kind": kind, "host": socket.gethostname(), "pid": str(os.getpid()), **more}


def person() -> str:
    """Whoever this process runs for: user@host. Other than its number this still says who it was when it has ended."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # nobody of that number is known here
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"[:MOST]
