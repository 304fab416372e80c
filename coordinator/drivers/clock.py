"""The clock that leases are judged by: it goes on while the machine is suspended, and never steps."""

from __future__ import annotations

import time

_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now() -> float:
    """Seconds since some point in the past."""
    return time.clock_gettime(_BOOT)
