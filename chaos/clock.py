"""The clock of histories: one for all processes of the machine, and it never steps."""

from __future__ import annotations

import time


def now_ns() -> int:
    """Nanoseconds since some point in the past, the same point for every process."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)
