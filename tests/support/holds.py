"""Makes a history of holds, as the processes of a fleet would have told it."""

import time
from typing import Any

from coordinator.keys import key
from coordinator.model.histogram import Histogram


def seen_holds(raw: Any, namespace: str, resource: str, *seconds: float) -> None:
    """As if a lock had been held so often and so long."""
    counts = Histogram.of(seconds).counts
    raw.hset(key(namespace, "TIMEOUT", f"hold/{resource}"), mapping={"now": 60_000, "base": 60_000, "version": 0})
    raw.hset(key(namespace, "TIMINGS", f"hold/{resource}"), mapping={"ok": len(seconds), **counts})
    raw.zadd(key(namespace, "HOLDS"), {f"hold/{resource}": time.time() * 1000})
    for name in ("TIMEOUT", "TIMINGS"):
        raw.pexpire(key(namespace, name, f"hold/{resource}"), 60_000)
