"""No library: locks by scripts that do nothing but what the promises of a lock of ours need on the server.

Each key that has to change does so by one command, and what has to be known is read by one: the clock and the last
number, whether the session lives, the request's record, what its session owns, the index of resources, the holders,
the end of the lease, the line, the event, the message. No policies, no counters, no subtrees, no freezes, no repeated
calls, no check of anybody's words, and no leases that are renewed. So this is what the promises alone leave of the
speed, over the connections of our own client.
"""

from __future__ import annotations

import itertools
import os
import threading
from typing import Any

import redis

from bench.actors.locker import Locker
from bench.actors.speech import said
from coordinator.drivers.direct import sync_exchange

BEGIN = """
local p = KEYS[1]
local tick, t = redis.call('HGET', p .. 'meta', 'tick') or '0', redis.call('TIME')
local us = t[1] * 1000000 + t[2]
local ms, fence = string.format('%d', us / 1000), string.format('%d', math.max(tonumber(tick) + 1, us))
local expires = string.format('%d', us / 1000 + 60000)
"""
ASK = f"""{BEGIN}
local id, session, resource = ARGV[1], ARGV[2], ARGV[3]
local record, line, holders = p .. 'req:' .. id, p .. 'line:' .. resource, p .. 'holders:' .. resource
if not redis.call('ZSCORE', p .. 'sessions', session) then return redis.error_reply('LOST') end
local free = redis.call('EXISTS', record, line, holders) == 0
redis.call('SADD', p .. 'owns:' .. session, id)
redis.call('ZADD', p .. 'resources', '0', resource)
redis.call('HSET', p .. 'meta', 'tick', fence)
if free then
  redis.call('HSET', holders, id, 'x 1 ' .. fence .. ' ' .. session .. ' ' .. expires)
  redis.call('ZADD', p .. 'deadlines', expires, id)
  redis.call('HSET', record, 'state', 'held', 'stamp', fence, 'needs', resource, 'session', session, 'fence', fence,
    'since', ms, 'expires', expires)
  redis.call('XADD', p .. 'events', 'MAXLEN', '~', '100000', '*', 'event', 'grant', 'id', id, 'ms', ms, 'fence', fence)
  return fence
end
redis.call('ZADD', line, fence, id)
redis.call('HSET', record, 'state', 'waiting', 'stamp', fence, 'needs', resource, 'session', session)
redis.call('XADD', p .. 'events', 'MAXLEN', '~', '100000', '*', 'event', 'ask', 'id', id, 'ms', ms)
return false
"""
GIVE = f"""{BEGIN}
local id, record = ARGV[1], p .. 'req:' .. ARGV[1]
local r = redis.call('HMGET', record, 'state', 'session', 'needs', 'fence')
if r[1] ~= 'held' or r[4] ~= ARGV[2] then return redis.error_reply('LOST') end
local resource = r[3]
local line, holders = p .. 'line:' .. resource, p .. 'holders:' .. resource
redis.call('ZREM', p .. 'deadlines', id)
redis.call('HDEL', holders, id)
redis.call('HSET', record, 'state', 'released', 'ended', ms)
redis.call('PEXPIRE', record, '600000')
redis.call('SREM', p .. 'owns:' .. r[2], id)
redis.call('XADD', p .. 'events', 'MAXLEN', '~', '100000', '*', 'event', 'release', 'id', id, 'ms', ms)
local following = redis.call('ZRANGE', line, '0', '0')[1]
if not following then
  redis.call('ZREM', p .. 'resources', resource)
  return 'OK'
end
local session = redis.call('HGET', p .. 'req:' .. following, 'session')
if not redis.call('ZSCORE', p .. 'sessions', session) then return redis.error_reply('DEAD') end
redis.call('ZREM', line, following)
redis.call('HSET', holders, following, 'x 1 ' .. fence .. ' ' .. session .. ' ' .. expires)
redis.call('ZADD', p .. 'deadlines', expires, following)
redis.call('HSET', p .. 'req:' .. following, 'state', 'held', 'fence', fence, 'since', ms, 'expires', expires)
redis.call('XADD', p .. 'events', 'MAXLEN', '~', '100000', '*', 'event', 'grant', 'id', following, 'ms', ms,
  'fence', fence)
redis.call('RPUSH', p .. 'inbox:' .. session, following .. ' ' .. fence)
redis.call('HSET', p .. 'meta', 'tick', fence)
return 'OK'
"""
PREFIX = "kept:"


class _Session:
    """One thread's: its name, and the connection on which its messages come."""

    def __init__(self, client: redis.Redis) -> None:
        self.name = f"s{os.getpid()}-{threading.get_ident()}"
        self.following = itertools.count().__next__
        client.zadd(f"{PREFIX}sessions", {self.name: 1})
        self._client, self._inbox = client, f"{PREFIX}inbox:{self.name}"

    def hear(self) -> tuple[str, str]:
        """The next message: id and fence of what was granted."""
        found: Any = self._client.blpop([self._inbox])
        ident, fence = found[1].decode().split(" ")
        return ident, fence


class Actor(Locker):
    def __init__(self) -> None:
        super().__init__()
        self._client = redis.Redis.from_url(said("URL"))
        self._send = sync_exchange(self._client)
        self._ask, self._give = (self._client.script_load(text) for text in (ASK, GIVE))
        self._own = threading.local()

    def acquire(self, name: str) -> tuple[str, str]:
        session = getattr(self._own, "session", None) or self._open()
        ident = f"{session.name}-{session.following()}"
        fence = self._send("EVALSHA", self._ask, 1, PREFIX, ident, session.name, name)
        return session.hear() if fence is None else (ident, fence.decode())

    def release(self, held: tuple[str, str]) -> None:
        self._send("EVALSHA", self._give, 1, PREFIX, *held)

    def _open(self) -> _Session:
        self._own.session = _Session(self._client)
        found: _Session = self._own.session
        return found
