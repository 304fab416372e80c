"""Copies of answers in the memory of a process, so that most calls ask nobody.

A copy is believed like a lease: while the session under which it was made lives, and no longer than the answer is good,
counted from before it was asked for. When an answer is dropped or replaced, the script that does it tells all sessions
that keep copies; that takes as long as a message does. If the message is lost, the next heartbeat shows it and all
copies go; if the server cannot be reached, the session ends, and with it every copy. So a copy is out of date for at
most `session_ttl`, whatever happens.

An answer that was read before it was dropped may arrive after the message that says so. Therefore whoever asks takes a
`mark` first, and what comes back under an old mark is not kept.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from cachetools import TLRUCache

from coordinator.drivers import clock
from coordinator.model.answers import CoalescingStats
from coordinator.model.measures import Meter
from coordinator.ops.answers import How, Kept
from coordinator.sections import Coalescing

# What an entry takes beside its value: key, tuples, links of the cache. Measured: 620 bytes.
OVERHEAD = 620


class Copy(NamedTuple):
    """An answer as it is kept: still packed, so that no caller can change what the next one gets."""

    kept: Kept
    session: str
    until: float


class NearCache:
    """Bounded in entries and in bytes; what was used least recently goes first. Safe for many threads."""

    def __init__(self, limits: Coalescing, session: Callable[[], str], meter: Callable[[], Meter]) -> None:
        self._session, self._meter = session, meter
        self._lock = threading.Lock()
        self.adopt(limits)
        self._drops = self._evicted = 0
        self._counts: Counter[str] = Counter()

    def adopt(self, limits: Coalescing) -> None:
        """Have other bounds from now on. All copies go, for the cache cannot change its size."""
        with self._lock:
            self._entries, self._most_bytes = limits.entries, limits.bytes
            self._copies: TLRUCache[str, Copy] = TLRUCache(limits.bytes, _ttu, timer=clock.now, getsizeof=_size)

    def look(self, key: str) -> Kept | None:
        """The copy of an answer, if there is one to be believed; what is left of its time is counted anew."""
        session = self._session()
        with self._lock:
            copy: Copy | None = self._copies.get(key)
        if copy is None or copy.session != session:
            return None
        left = copy.until - clock.now()
        return copy.kept._replace(seconds_left=left) if left > 0 else None

    def mark(self) -> int:
        """What to give to `keep` with an answer that is asked for from now on."""
        return self._drops

    def keep(self, key: str, kept: Kept, session: str, mark: int) -> None:
        """Keep a copy, unless any was dropped since the mark."""
        size = len(kept.packed) + OVERHEAD
        with self._lock:
            if mark != self._drops or not self._entries or size > self._most_bytes:
                return
            # What is out of time makes room first, and is no eviction.
            self._copies.expire()
            self._copies.pop(key, None)
            evicted = 0
            while len(self._copies) >= self._entries or self._copies.currsize + size > self._most_bytes:
                self._copies.popitem()
                evicted += 1
            self._copies[key] = Copy(kept, session, kept.asked + kept.seconds_left)
            self._evicted += evicted
            entries, used = len(self._copies), self._copies.currsize
        meter = self._meter()
        if evicted:
            meter.count("coalesce.evicted", evicted)
        meter.gauge("coalesce.entries", entries)
        meter.gauge("coalesce.bytes", used)

    def drop(self, keys: Iterable[str]) -> None:
        """Drop the copies of some answers; `*` stands for all."""
        with self._lock:
            self._drops += 1
            for key in keys:
                if key == "*":
                    self._copies.clear()
                else:
                    self._copies.pop(key, None)

    def count(self, how: How | Literal["near_hits"]) -> None:
        """One more call, and how it was answered."""
        with self._lock:
            self._counts["calls"] += 1
            self._counts[how] += 1
        meter = self._meter()
        meter.count("coalesce.calls")
        if how == "near_hits":
            meter.count("coalesce.near_hits")
        elif how == "far_hits":
            meter.count("coalesce.far_hits")
        elif how == "joined":
            meter.count("coalesce.joined")
        else:
            meter.count("coalesce.executed")

    def stats(self) -> CoalescingStats:
        """Everything that was counted, and what is kept now."""
        with self._lock:
            self._copies.expire()
            return CoalescingStats(
                **self._counts,
                evicted=self._evicted,
                entries=len(self._copies),
                bytes=int(self._copies.currsize),
            )


def _ttu(_key: str, copy: Copy, _now: float) -> float:
    return copy.until


def _size(copy: Copy) -> int:
    return len(copy.kept.packed) + OVERHEAD
