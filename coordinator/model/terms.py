"""The rules of a namespace that travel with every call, so that scripts need not look them up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

# 31 years: more than any wait, and still exact in a double beside a time stamp in microseconds.
NO_AGING_US = 10**15


@dataclass(frozen=True)
class Terms:
    """Limits and periods, in the units of Redis.

    `aging_us`: how long a request waits for one level of priority. `max_events` 0 switches the events stream off.
    `retry_share` per mille of successes and `retry_floor` in 1000 s may be retried, over `retry_window_ms`; a floor of
    0 switches the budget of retries off. A queue of `low_begin` jobs refuses LOW until it has
    fewer than `low_end`, and likewise NORMAL; a `low_begin` of 0 switches that off.
    `memory_share`, per mille of the server's `maxmemory`, or `max_bytes` of its memory are the ceiling for what is new;
    with both 0 there is none. From `shed_begin` per mille of it on LOW is refused, until there is less than `shed_end`.
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
    low_begin: int = 0
    low_end: int = 0
    normal_begin: int = 0
    normal_end: int = 0
    memory_share: int = 0
    max_bytes: int = 0
    shed_begin: int = 1000
    shed_end: int = 1000

    @cached_property
    def text(self) -> str:
        """The terms as the scripts read them."""
        return (
            f"{self.aging_us} {self.max_line} {self.max_queue} {self.result_ms} {self.dead_ms} "
            f"{self.max_crashes} {self.session_ms} {self.max_events} "
            f"{self.retry_share} {self.retry_floor} {self.retry_window_ms} "
            f"{self.low_begin} {self.low_end} {self.normal_begin} {self.normal_end} "
            f"{self.memory_share} {self.max_bytes} {self.shed_begin} {self.shed_end}"
        )
