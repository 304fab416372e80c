"""Waiting for the servers of a run: for a condition, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable

WAIT_SECONDS = 40.0


def until(condition: Callable[[], bool], what: str, seconds: float = WAIT_SECONDS) -> None:
    """Wait for a condition. Raises TimeoutError."""
    ends = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)
