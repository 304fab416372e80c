"""The body of a keyed job: two milliseconds under the lock of its resource, with marks around each step.

A library that does not know resources takes redis-py's lock inside the handler, asked for every millisecond.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from bench.actors.marks import mark

STEPS = 3  # numbers per job: its handler began, it has its resource, it is done
BODY_SECONDS = 0.002
LOCK = {"timeout": 30, "sleep": 0.001}


def run(number: int, resource: str, client: Any) -> None:
    """The body for a handler in a thread; `client` is a `redis.Redis`."""
    mark(number * STEPS)
    with client.lock(f"lock:{resource}", **LOCK):
        mark(number * STEPS + 1)
        time.sleep(BODY_SECONDS)
        mark(number * STEPS + 2)


async def arun(number: int, resource: str, client: Any) -> None:
    """The body for a handler on an event loop; `client` is a `redis.asyncio.Redis`."""
    mark(number * STEPS)
    async with client.lock(f"lock:{resource}", **LOCK):
        mark(number * STEPS + 1)
        await asyncio.sleep(BODY_SECONDS)
        mark(number * STEPS + 2)


async def arun_held(number: int) -> None:
    """The body for a handler that begins with its resource in hand."""
    mark(number * STEPS)
    mark(number * STEPS + 1)
    await asyncio.sleep(BODY_SECONDS)
    mark(number * STEPS + 2)
