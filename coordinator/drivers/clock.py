"""The clock that leases are judged by: it goes on while the machine is suspended, and never steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

# Seconds since some point in the past. No function of Python's: a lock that is taken and given back asks a dozen times.
now: Callable[[], float] = partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
