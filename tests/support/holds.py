"""Makes a history of holds, as the processes of a fleet would have told it."""

import time
from typing import Any

from coordinator.keys import key
from coordinator.model.histogram import Histogram
from coordinator.ops.timing import key_of
from coordinator.policy.adaptive import HOLD


def seen_holds(raw: Any, namespace: str, resource: str, *seconds: float) -> None:
    """As if a lock had been held so often and so long."""
    name = key_of(HOLD, resource)
    counts = Histogram.of(seconds).counts
    raw.hset(key(namespace, "TIMEOUT", name), mapping={"now": 60_000, "base": 60_000, "version": 0})
    raw.hset(key(namespace, "TIMINGS", name), mapping={"ok": len(seconds), **counts})
    raw.zadd(key(namespace, "HOLDS"), {name: time.time() * 1000})
    for kind in ("TIMEOUT", "TIMINGS"):
        raw.pexpire(key(namespace, kind, name), 60_000)
