"""What an error of redis-py says of the server, and of the connections to it."""

from __future__ import annotations

import redis
import redis.sentinel

from coordinator.policy.faults import bare
from coordinator.policy.resend import Remedy, remedy

# A cluster of which no node can be reached is told apart from all other errors of redis-py.
BROKEN = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, redis.exceptions.RedisClusterException)

# How a server says that it does not know a function.
_MISSING = "Function not found"


def said(error: Exception) -> str:
    """What redis-py says, without how it represents each Sentinel that it could not ask."""
    if isinstance(error, redis.sentinel.MasterNotFoundError):
        what, _, asked = str(error).partition(" : ")
        return f"{what}; {'not every Sentinel answers' if asked else 'the Sentinels know none of that name'}"
    return bare(str(error))


def knows_not(reply: object) -> bool:
    """Whether a reply is the error of a server that does not have the script or the function that was called."""
    if isinstance(reply, redis.exceptions.NoScriptError):
        return True
    return isinstance(reply, redis.ResponseError) and _MISSING in str(reply)


def message(error: Exception) -> str:
    """The message with its code in front; redis-py takes the code of some errors away and makes it their class."""
    names = {
        redis.exceptions.ReadOnlyError: "READONLY",
        redis.exceptions.BusyLoadingError: "LOADING",
        redis.exceptions.OutOfMemoryError: "OOM",
        redis.exceptions.NoScriptError: "NOSCRIPT",
        redis.exceptions.NoPermissionError: "NOPERM",
    }
    for kind, code in names.items():
        if isinstance(error, kind):
            return f"{code} {error}"
    return str(error)


def leads_nowhere(error: BaseException) -> bool:
    """Whether the other connections to the server are of no use either: it is gone or silent, or says that it is not,
    or may no longer be, the primary. Whoever connects anew finds the primary of then."""
    if isinstance(error, redis.exceptions.ResponseError):
        return remedy(message(error)) is Remedy.ELSEWHERE
    return isinstance(error, BROKEN)
