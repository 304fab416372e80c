"""A handler whose process starts as slowly as the test wants: importing this in one waits for a file."""

import multiprocessing
import os
from pathlib import Path
from typing import Any

from tests.support.until import until
from workers import Registry

GATE = "TESTS_SLOW_START"
SLOW_JOBS = Registry()


@SLOW_JOBS.handler("late", executor="process")
def late(ctx: Any, payload: Any) -> int:
    """Which attempt it is."""
    attempt: int = ctx.attempt
    return attempt


if GATE in os.environ and multiprocessing.parent_process() is not None:
    until(Path(os.environ[GATE]).exists)
