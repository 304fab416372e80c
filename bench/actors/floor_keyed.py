"""No library: a worker that knows beforehand which resources are its own, so that no other ever wants one of them.

Each resource has a task, and its slot until it is done, the one with the most jobs first; the jobs of a resource come
one after the other, the most urgent first, by a script with one command.
"""

from __future__ import annotations

import asyncio

import redis.asyncio

from bench.actors import keyed
from bench.actors.speech import said

NEXT = "return redis.call('ZPOPMIN', KEYS[1])"
WORKERS = 2


async def work() -> None:
    """A worker for one half of the resources, until it is ended."""
    slots = asyncio.Semaphore(int(said("CONCURRENCY")))
    async with redis.asyncio.Redis.from_url(said("URL")) as client:
        following = client.register_script(NEXT)

        async def alone(resource: bytes) -> None:
            async with slots:
                while found := await following(keys=[resource]):
                    await keyed.arun_held(int(found[0]))

        sizes = {key: await client.zcard(key) async for key in client.scan_iter("r*")}
        resources = sorted(sizes, key=lambda key: -sizes[key])
        mine = await client.incr("workers")
        await asyncio.gather(*(alone(one) for one in resources[mine % WORKERS :: WORKERS]))
        await asyncio.Event().wait()
