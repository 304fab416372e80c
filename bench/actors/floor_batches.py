"""No library: a worker that does nothing but take a hundred jobs by one script with two commands, again and again."""

from __future__ import annotations

import signal

import redis

from bench.actors.marks import mark
from bench.actors.speech import said

# The outcomes of the jobs before are one number.
NEXT = "redis.call('INCRBY', KEYS[2], ARGV[1]) return redis.call('LPOP', KEYS[1], ARGV[2]) or {}"
BATCH = 100


async def work() -> None:
    """A worker, until it is ended."""
    following = redis.Redis.from_url(said("URL")).register_script(NEXT)
    numbers: list[bytes] = []
    while numbers := following(keys=["jobs", "done"], args=[len(numbers), BATCH]):
        for number in numbers:
            mark(int(number))
    signal.pause()
