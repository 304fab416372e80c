"""Renews the plain keys of locks without a timeout, together with our own lease on them.

The lease is believed in only as long as both last, so `lease.lost` is set in time when either cannot be renewed. One
thread per coordinator; for asyncio one task per lock, on the loop of the client that the key is set with.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from redis.exceptions import RedisError

from coordinator.aclient import AsyncLease
from coordinator.client import Coordinator, Lease
from coordinator.drivers import clock
from coordinator.errors import CoordinatorError
from coordinator.policy.trust import trusted_until

log = logging.getLogger(__name__)

# Three tries within a TTL, as for a session.
TRIES = 3
TAKEN = "its plain key is gone or has another token"


@dataclass(frozen=True, slots=True)
class _Entry:
    lease: Lease
    renew: Callable[[], bool]
    ttl: float
    most: float


class Renewer:
    """The thread of one coordinator."""

    def __init__(self, interval: float) -> None:
        self._interval, self._pid = interval, os.getpid()
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()

    @classmethod
    def of(cls, coordinator: Coordinator) -> Renewer:
        """The one of a coordinator; started when there is something to renew. A forked child has its own."""
        with _guard:
            found = _renewers.get(coordinator)
            if found is None or found._pid != os.getpid():
                found = _renewers[coordinator] = cls(coordinator.settings.session_ttl / TRIES)
            return found

    def add(self, lease: Lease, ttl: float, sent: float, renew: Callable[[], bool]) -> None:
        """Renew from now on; the key was set by a call sent at `sent`."""
        entry = _Entry(lease, renew, ttl, lease.trusted_until)
        with self._lock:
            lease.trust(min(entry.most, trusted_until(sent, ttl)))
            self._entries[lease.ident] = entry
            if len(self._entries) == 1:
                self._stop = threading.Event()
                threading.Thread(target=self._work, args=(self._stop,), name="coordinator-plain", daemon=True).start()

    def drop(self, lease: Lease) -> None:
        """No longer renew."""
        with self._lock:
            if self._entries.pop(lease.ident, None) is not None and not self._entries:
                self._stop.set()

    def _work(self, stop: threading.Event) -> None:
        while not stop.wait(self._interval):
            with self._lock:
                entries = list(self._entries.values())
            for one in entries:
                if not stop.is_set():
                    self._renew(one)

    def _renew(self, entry: _Entry) -> None:
        lease, sent = entry.lease, clock.now()
        try:
            ours = not lease.why_lost and entry.renew()
        except RedisError as error:
            # The lease ends by itself when this goes on.
            log.warning("the plain key of %s was not renewed: %s", lease.ident, error)
            return
        with self._lock:
            if self._entries.get(lease.ident) is not entry:
                return
            if ours:
                lease.trust(min(entry.most, trusted_until(sent, entry.ttl)))
                return
        self.drop(lease)
        lease.lose(lease.why_lost or TAKEN)
        with contextlib.suppress(CoordinatorError):
            lease.release()


_guard = threading.Lock()
_renewers: weakref.WeakKeyDictionary[Coordinator, Renewer] = weakref.WeakKeyDictionary()
os.register_at_fork(before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_guard.release)


async def renew(lease: AsyncLease, ttl: float, sent: float, again: Callable[[], Awaitable[bool]]) -> None:
    """The task of one lock; cancelled when it is given back. The key was set by a call sent at `sent`."""
    most = lease.trusted_until
    lease.trust(min(most, trusted_until(sent, ttl)))
    while not lease.lost.is_set():
        await asyncio.sleep(ttl / TRIES)
        sent = clock.now()
        try:
            ours = await again()
        except RedisError as error:
            log.warning("the plain key of %s was not renewed: %s", lease.ident, error)
            continue
        if not ours:
            lease.lose(TAKEN)
            break
        if not lease.why_lost:
            lease.trust(min(most, trusted_until(sent, ttl)))
    with contextlib.suppress(CoordinatorError):
        await lease.release()
