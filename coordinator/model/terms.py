"""The rules of a namespace that travel with every call, so that scripts need not look them up."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

# 31 years: more than any wait, and still exact in a double beside a time stamp in microseconds.
NO_AGING_US = 10**15


@dataclass(frozen=True)
class Terms:
    """Limits and periods, in the units of Redis.

    `aging_us`: how long a request waits for one level of priority. `max_events` 0 switches the events stream off.
    `retry_share` per mille of successes and `retry_floor` in 1000 s may be retried, over `retry_window_ms`; a floor of
    0 switches the budget of retries off. With `shedding` 1 a queue or a line refuses LOW from
    `shed_begin` per mille of its limit on, until there are fewer than `shed_end`, and later NORMAL (`policy.shed`), and
    `max_bytes`, or `memory_share` per mille of the server's `maxmemory`, are the ceiling for what is new; with both 0
    there is none. `escalate_after` timeouts in a row raise a handler by a level, to `escalate_most` at most
    (`policy.escalation`). Scripts have the names of these fields in `lib/context`, in this order.
    """

    aging_us: int
    max_line: int
    max_queue: int
    result_ms: int
    dead_ms: int
    max_crashes: int
    session_ms: int
    max_events: int
    retry_share: int = 0
    retry_floor: int = 0
    retry_window_ms: int = 1
    shedding: int = 0
    memory_share: int = 0
    max_bytes: int = 0
    shed_begin: int = 1000
    shed_end: int = 1000
    escalate_after: int = 3
    escalate_most: int = 5

    @cached_property
    def text(self) -> str:
        """The terms as the scripts read them."""
        return " ".join(str(getattr(self, one.name)) for one in fields(self))
