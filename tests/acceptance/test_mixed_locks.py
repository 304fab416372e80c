"""Old redis-py `Lock` users and compatible ones at the same lock, in several processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import redis

ROOT = Path(__file__).parents[2]
SECONDS = 30.0 if os.environ.get("COORDINATOR_TEST_LONG") == "1" else 2.0
EACH = 4  # contenders of each kind in a process

# Each has the lock in turn and does what only one at a time may do: it reads a counter and writes it back.
CONTENDERS = f"""
import asyncio
import json
import sys
import threading
import time

import redis
import redis.asyncio
from redis.lock import Lock as OldLock

from coordinator import AsyncCoordinator, Coordinator
from coordinator.compat.redis import AsyncLock, Lock, patch

url, namespace, kind, seconds = *sys.argv[1:4], float(sys.argv[4])
name, ends = f"lock:{{namespace}}", time.monotonic() + seconds
turns, faults = {{"old": 0, "ours": 0}}, []


def guarded(client, fence):
    # In steps, so that a second holder would show.
    inside = client.incr(f"inside:{{namespace}}")
    count = int(client.get(f"count:{{namespace}}") or 0)
    last = int(client.get(f"fence:{{namespace}}") or 0)
    if inside != 1 or (fence is not None and fence <= last):
        faults.append([inside, last, fence])
    if fence is not None:
        client.set(f"fence:{{namespace}}", fence)
    client.set(f"count:{{namespace}}", count + 1)
    client.decr(f"inside:{{namespace}}")


def contend(lock, which):
    client = redis.Redis.from_url(url)
    while time.monotonic() < ends:
        if lock.acquire(blocking_timeout=max(0.0, ends - time.monotonic())):
            guarded(client, lock.fence if which == "ours" else None)
            turns[which] += 1
            lock.release()
            # redis-py's own does not hand over: without work of their own they would hardly let go of it.
            for _ in range(30):
                client.ping()


async def contend_async(lock):
    client = redis.Redis.from_url(url)
    while time.monotonic() < ends:
        if await lock.acquire(blocking_timeout=max(0.0, ends - time.monotonic())):
            guarded(client, lock.fence)
            turns["ours"] += 1
            await lock.release()


async def tasks():
    async with AsyncCoordinator.connect(url, namespace) as co, redis.asyncio.Redis.from_url(url) as client:
        patch(client, co)
        options = {{"sleep": 0.01, "thread_local": False}}
        locks = [client.lock(name, timeout=20 if n % 2 else None, **options) for n in range({EACH})]
        await asyncio.gather(*(contend_async(one) for one in locks))


old = [OldLock(redis.Redis.from_url(url), name, timeout=20, sleep=0.01) for _ in range({EACH})]
work = [(contend, (one, "old")) for one in old]
if kind == "async":
    work.append((asyncio.run, (tasks(),)))
else:
    co, ours = Coordinator.connect(url, namespace), redis.Redis.from_url(url)
    patch(ours, co)
    work += [(contend, (ours.lock(name, sleep=0.01, timeout=20 if n % 2 else None), "ours")) for n in range({EACH})]
threads = [threading.Thread(target=target, args=args) for target, args in work]
for one in threads:
    one.start()
for one in threads:
    one.join()
print(json.dumps([turns, faults]))
"""


def test_half_old_half_ours_never_overlap(redis_url: str, raw: redis.Redis, namespace: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CONTENDERS, redis_url, namespace, kind, str(SECONDS)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        for kind in ("sync", "async")
    ]
    told = [json.loads(one.communicate(timeout=SECONDS + 30)[0]) for one in processes]
    turns = {which: sum(one[0][which] for one in told) for which in ("old", "ours")}
    print(turns, int(raw.get(f"count:{namespace}") or 0))
    assert [one[1] for one in told] == [[], []]
    assert turns["old"] > 0 < turns["ours"]
    assert int(raw.get(f"count:{namespace}") or 0) == sum(turns.values())
    assert raw.get(f"lock:{namespace}") is None
