"""No library: jobs by scripts that do nothing but what the promises of a job of ours need on the server.

As `floor_kept`, for a job that needs no resource and a worker that is idle: the record, the queue and its limit, the
idle workers, the bell; then, behind the read of the inbox and so without a further wait for the network, the claim with
its fence, and afterwards the outcome.
"""

from __future__ import annotations

import itertools
import os
from typing import Any

import redis

from bench.actors.floor_kept import BEGIN, PREFIX
from bench.actors.marks import mark
from bench.actors.producer import Parcel, Producer
from bench.actors.speech import said
from coordinator.drivers.direct import pack, sync_exchange

SUBMIT = f"""{BEGIN}
local record = p .. 'req:' .. ARGV[1]
if redis.call('EXISTS', record) == 1 then return 'OK' end
if redis.call('ZCARD', p .. 'ready') > 1000000 then return redis.error_reply('FULL') end
redis.call('HSET', record, 'state', 'ready', 'stamp', fence, 'name', 'work', 'queue', 'default', 'data', ARGV[2])
redis.call('ZADD', p .. 'ready', fence, ARGV[1])
local idle = redis.call('ZPOPMIN', p .. 'idle')[1]
if idle and redis.call('ZSCORE', p .. 'sessions', idle) then
  redis.call('RPUSH', p .. 'inbox:' .. idle, 'bell')
end
redis.call('HSET', p .. 'meta', 'tick', fence)
return 'OK'
"""
# The outcome of the job before, if there was one, and the next job, if there is one; else this worker is idle.
CLAIM = f"""{BEGIN}
local session, done = ARGV[1], ARGV[2]
if not redis.call('ZSCORE', p .. 'sessions', session) then return redis.error_reply('LOST') end
if done ~= '' then
  local record = p .. 'req:' .. done
  if redis.call('HGET', record, 'fence') ~= ARGV[3] then return redis.error_reply('LOST') end
  redis.call('HSET', record, 'state', 'succeeded', 'ended', ms)
  redis.call('PEXPIRE', record, '600000')
  redis.call('SREM', p .. 'owns:' .. session, done)
end
local id = redis.call('ZRANGE', p .. 'ready', '0', '0')[1]
if not id then
  redis.call('ZADD', p .. 'idle', ms, session)
  return false
end
local record = p .. 'req:' .. id
local r = redis.call('HGETALL', record)
redis.call('ZREM', p .. 'ready', id)
redis.call('SADD', p .. 'owns:' .. session, id)
redis.call('HSET', record, 'state', 'running', 'session', session, 'fence', fence, 'since', ms, 'deliveries', '1')
redis.call('HSET', p .. 'meta', 'tick', fence)
return {{ id, fence, r }}
"""


class Actor(Producer):
    """Hands in jobs."""

    def __init__(self) -> None:
        client = redis.Redis.from_url(said("URL"))
        self._send = sync_exchange(client)
        self._submit = client.script_load(SUBMIT)
        self._following = itertools.count().__next__

    def send(self, parcel: Parcel) -> None:
        self._send("EVALSHA", self._submit, 1, PREFIX, f"j{os.getpid()}-{self._following()}", parcel.what)


async def work() -> None:
    """A worker that takes one job after the other, until it is ended."""
    client = redis.Redis.from_url(said("URL"))
    session, claim = f"w{os.getpid()}", client.script_load(CLAIM)
    client.zadd(f"{PREFIX}sessions", {session: 1})
    connection: Any = client.connection_pool.get_connection()
    bell = pack(("BLPOP", f"{PREFIX}inbox:{session}", 0))

    def claims(done: str, fence: str) -> bytes:
        return pack(("EVALSHA", claim, 1, PREFIX, session, done, fence))

    done = fence = ""
    while True:
        connection.send_packed_command((claims(done, fence),), check_health=False)
        found = connection.read_response()
        if found is None:
            connection.send_packed_command((bell + claims("", ""),), check_health=False)
            connection.read_response()
            found = connection.read_response()
        done = fence = ""
        if found is not None:
            done, fence = found[0].decode(), found[1].decode()
            fields = dict(zip(found[2][::2], found[2][1::2], strict=True))
            mark(int(fields[b"data"]))
