"""Which event loop a worker process runs on: uvloop's if it is installed (the extra `fast`), else asyncio's.

Only the processes that the commands start choose; a `Worker` inside an application runs on the application's loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

try:
    import uvloop

    NEW_LOOP: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
except ImportError:
    NEW_LOOP = asyncio.new_event_loop


def run(main: Coroutine[Any, Any, None]) -> None:
    """As `asyncio.run`."""
    with asyncio.Runner(loop_factory=NEW_LOOP) as runner:
        runner.run(main)
