"""Whether a server has written to disk what it answers, which `durable` promises.

That it keeps an append-only file is in INFO; how often the file is synced has to be asked for with a command that few
users may use: not those of `coordinator acl`, for the same command shows passwords. So where nobody may ask the promise
hangs on whoever set the server up, and that is said in the log. Of a Cluster one server is asked, here as for INFO.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

import redis

from coordinator.errors import UnsafeServer

log = logging.getLogger(__name__)
_SETTING = "appendfsync"
_CURE = "set `appendonly yes` and `appendfsync always`, or ask for no more than `durability=fast`"


def asked(client: Any) -> Any:
    """What a sync client is told of how often the server syncs its file; None where it may not ask."""
    try:
        return client.config_get(_SETTING)
    except redis.ResponseError:
        return None


async def asked_async(client: Any) -> Any:
    """As `asked`."""
    try:
        return await client.config_get(_SETTING)
    except redis.ResponseError:
        return None


def check(info: dict[str, Any], told: Any) -> None:
    """`info` is the server's INFO, `told` what `asked` returned. Raises UnsafeServer."""
    if not int(info.get("aof_enabled", 0)):
        raise UnsafeServer([f"durability is `durable`, but the server keeps no append-only file: {_CURE}"])
    synced = told.get(_SETTING) if isinstance(told, dict) else None
    if synced is None:
        _nobody_knows()
    elif synced != "always":
        raise UnsafeServer([f"durability is `durable`, but the server's {_SETTING} is {synced}: {_CURE}"])


@cache  # once in a process
def _nobody_knows() -> None:
    log.warning("durability is `durable`, and we may not ask whether the server syncs each write: %s", _CURE)
