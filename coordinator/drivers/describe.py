"""What a session says about its process, for people who look."""

from __future__ import annotations

import os
import socket


def describe(kind: str, **more: str) -> dict[str, str]:
    """Host, pid and kind of this process, and what else is given."""
    return {"kind": kind, "host": socket.gethostname(), "pid": str(os.getpid()), **more}
