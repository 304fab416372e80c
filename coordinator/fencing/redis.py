"""Fences in Redis: a command that writes one key, carried out only if nothing newer was written there.

The newest fence of a key stands in a key beside it, in the same slot of a Cluster. Check, command and fence are one
script, which a user needs the right to `EVAL` for.
"""

from __future__ import annotations

from typing import Any, TypeVar

import redis.asyncio.cluster
import redis.cluster

from coordinator.errors import InvalidInput
from coordinator.fencing.fences import Fence, check, number
from coordinator.model.names import milliseconds

# The command first: if it fails nothing has changed, and what comes after cannot fail.
GUARDED = """
local newest = tonumber(redis.call('GET', KEYS[2]) or '0')
if newest > tonumber(ARGV[1]) then
  return { 0, string.format('%.0f', newest) }
end
local answer = redis.call(ARGV[3], KEYS[1], unpack(ARGV, 4))
redis.call('SET', KEYS[2], ARGV[1])
if ARGV[2] ~= '' then
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
end
return { 1, answer }
"""
# What Lua can hand on at once.
MOST_WORDS = 7000
# What writes its first argument and no other key. Any other may write keys whose fences nobody has looked at.
COMMANDS = frozenset(
    word
    for kind in (
        "SET SETEX PSETEX SETNX SETRANGE SETBIT GETSET GETDEL GETEX APPEND BITFIELD",
        "INCR INCRBY INCRBYFLOAT DECR DECRBY PFADD GEOADD",
        "DEL UNLINK RESTORE EXPIRE PEXPIRE EXPIREAT PEXPIREAT PERSIST",
        "HSET HSETNX HSETEX HMSET HDEL HGETDEL HGETEX HINCRBY HINCRBYFLOAT",
        "HEXPIRE HPEXPIRE HEXPIREAT HPEXPIREAT HPERSIST",
        "LPUSH LPUSHX RPUSH RPUSHX LPOP RPOP LSET LREM LTRIM LINSERT SADD SREM SPOP",
        "ZADD ZREM ZINCRBY ZPOPMAX ZPOPMIN ZREMRANGEBYLEX ZREMRANGEBYRANK ZREMRANGEBYSCORE",
        "XADD XDEL XTRIM XACK XCLAIM XAUTOCLAIM XSETID JSON.SET JSON.MERGE JSON.DEL",
    )
    for word in kind.split()
)
# Each further word would be a key.
OF_ONE_KEY = frozenset({"DEL", "UNLINK"})
BLOCKING = (redis.Redis, redis.RedisCluster)
ASYNC = (redis.asyncio.Redis, redis.asyncio.RedisCluster)
PIPELINES = (
    *(redis.client.Pipeline, redis.cluster.ClusterPipeline),
    *(redis.asyncio.client.Pipeline, redis.asyncio.cluster.ClusterPipeline),
)
Key = TypeVar("Key", str, bytes)


def fence_key(key: Key) -> Key:
    """The key that holds the newest fence of another. Raises InvalidInput for one that cannot have it in its slot."""
    if isinstance(key, bytes):
        return fence_key(key.decode("latin-1")).encode("latin-1")
    named: object = key
    if not isinstance(named, str) or not named:
        raise InvalidInput("key", key, "must be the name of a key")
    before, _, rest = key.partition("{")
    tag, closed, after = rest.partition("}")
    if tag and closed:
        # `{q}:fence` is that of `q`.
        return f"{key}:fence" if before or after else f"{key}:fenced"
    if "{" in key or "}" in key:
        raise InvalidInput("key", key, "must have no braces but those of a hash tag")
    return f"{{{key}}}:fence"


def fenced(client: Any, fence: Fence, command: str, key: Key, *args: Any, keep: float | None = None) -> Any:
    """`fenced(client, lease, "SET", "report:7", "text")`: the command on that key, unless it was written under a newer
    fence, which raises StaleFence. Returns what the command answers.

    `command` is one that writes the key and no other (`COMMANDS`). `keep`: seconds for which the fence is remembered
    after the last write; without it, for ever. It must outlast every holder that may still be asleep. Raises
    InvalidInput.
    """
    _answers(client, waits=True)
    keys, words = _call(fence, command, key, args, keep)
    return _answer(client.eval(GUARDED, len(keys), *keys, *words), key, number(fence))


async def afenced(client: Any, fence: Fence, command: str, key: Key, *args: Any, keep: float | None = None) -> Any:
    """As `fenced`, with a client of `redis.asyncio`."""
    _answers(client, waits=False)
    keys, words = _call(fence, command, key, args, keep)
    return _answer(await client.eval(GUARDED, len(keys), *keys, *words), key, number(fence))


def _answers(client: object, *, waits: bool) -> None:
    """Refuses what does not answer the call itself, so that nobody would see whether it was carried out."""
    if isinstance(client, PIPELINES) or not callable(getattr(client, "eval", None)):
        problem = "must be a client of redis-py, not a pipeline, which answers later: give the client itself"
    elif waits and isinstance(client, ASYNC):
        problem = "must be a blocking client: `await afenced(...)` takes one of redis.asyncio"
    elif not waits and isinstance(client, BLOCKING):
        problem = "must be a client of redis.asyncio: `fenced(...)` takes a blocking one"
    else:
        return
    raise InvalidInput("client", client, problem)


def _call(
    fence: Fence, command: str, key: Key, args: tuple[Any, ...], keep: float | None
) -> tuple[list[Key], list[Any]]:
    if str(command).upper() not in COMMANDS:
        raise InvalidInput("command", command, "must be one that writes one key and is known here")
    if args and command.upper() in OF_ONE_KEY:
        raise InvalidInput("args", args, f"must not be given: each key of {command} has a fence of its own")
    if len(args) > MOST_WORDS:
        raise InvalidInput("args", len(args), f"must be at most {MOST_WORDS} words")
    kept = "" if keep is None else milliseconds(keep, "keep", least=0.001)
    return [key, fence_key(key)], [number(fence), kept, command, *args]


def _answer(raw: Any, key: str | bytes, fence: int) -> Any:
    if not int(raw[0]):
        check(key if isinstance(key, str) else key.decode("utf-8", "backslashreplace"), fence, int(raw[1]))
    return raw[1] if len(raw) > 1 else None
