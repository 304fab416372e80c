"""What to do about an error of the store: one table, by the first word of Redis's message.

Our calls carry ids and fences, so every one of them may be sent again; what differs is whether it helps. redis-py's own
re-sending is off: it does not know which commands are safe (one lost reply ran INCR twice).
"""

from __future__ import annotations

import re
from enum import Enum


class Remedy(Enum):
    """What helps against an error."""

    AGAIN = "again"  # the server will be able to in a moment
    ELSEWHERE = "elsewhere"  # another server is the primary, or soon will be
    LOAD = "load"  # the script has to be sent whole
    FULL = "full"  # the server has no room
    GIVE_UP = "give up"


_REMEDIES = {
    "NOSCRIPT": Remedy.LOAD,
    "LOADING": Remedy.AGAIN,
    "BUSY": Remedy.AGAIN,
    "MASTERDOWN": Remedy.ELSEWHERE,
    "READONLY": Remedy.ELSEWHERE,
    "CLUSTERDOWN": Remedy.AGAIN,
    "TRYAGAIN": Remedy.AGAIN,
    "NOREPLICAS": Remedy.ELSEWHERE,
    "UNBLOCKED": Remedy.ELSEWHERE,
    "OOM": Remedy.FULL,
    "MISCONF": Remedy.FULL,
}


# What a script is told that looks for a missing key while its slot is moved to another node (see `wire.loader`).
_SLOT_MOVES = "attempted to access a non local key"

# Redis 6.2 puts an error that a command of a script met at the end of a message of its own.
_IN_SCRIPT = re.compile(r"Error running script .*? -([A-Z]+) ")


def remedy(message: str) -> Remedy:
    """The remedy for an error message of Redis."""
    if _SLOT_MOVES in message:
        return Remedy.AGAIN
    inner = _IN_SCRIPT.search(message)
    if inner is not None:
        return _REMEDIES.get(inner.group(1), Remedy.GIVE_UP)
    for word in message.split(" ", 2)[:2]:
        found = _REMEDIES.get(word.strip("-:"))
        if found is not None:
            return found
    return Remedy.GIVE_UP


def pause(tries: int, chance: float) -> float:
    """Seconds before sending again: 20 ms doubling to half a second, half of it by chance, so that clients spread out.

    Not longer, for it adds to every outage: work is to go on within a second after the server is back.
    """
    return min(0.5, 0.02 * 2.0 ** min(tries, 16)) * (0.5 + 0.5 * chance)
