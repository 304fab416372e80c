"""Looks after the plain keys of locks that are held, and renews those without a timeout.

Such a lease is believed in only as long as both last, so `lease.lost` is set in time when either cannot be renewed. The
others are only looked at: who deletes the key of a lock by hand means that it is free, and the next in line would
not hear of it before the lock's time was over. One thread per coordinator, which ends when nothing is held; for asyncio
one task per lock, on the loop of the client that the key is set with.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import time
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from redis.exceptions import RedisError

from coordinator.aleases import AsyncLease
from coordinator.client import Coordinator
from coordinator.compat.held import pace_of
from coordinator.drivers import clock
from coordinator.errors import CoordinatorError
from coordinator.leases import Lease
from coordinator.policy.trust import trusted_until

log = logging.getLogger(__name__)

TAKEN = "its plain key is gone or has another token"


L = TypeVar("L", Lease, AsyncLease)
B_co = TypeVar("B_co", covariant=True)
N_co = TypeVar("N_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Duty(Generic[L, B_co, N_co]):
    """What has to be renewed every now and then: the key of a lease, which has a TTL; `ttl` None: only to be looked at.
    `renew` says whether it was ours still; `leave` gives the place in the line back."""

    lease: L
    ttl: float | None
    renew: Callable[[], B_co]
    leave: Callable[[], N_co]

    def trust(self, sent: float, most: float) -> None:
        """The key was set, or renewed, by a call sent at `sent`; the lease itself ends at `most`."""
        if self.ttl is not None:
            self.lease.trust(min(most, trusted_until(sent, self.ttl)))


class _Entry(NamedTuple):
    duty: Duty[Lease, bool, None]
    most: float


class Renewer:
    """The thread of one coordinator."""

    def __init__(self, interval: float) -> None:
        self._interval, self._pid = interval, os.getpid()
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.Lock()
        self._at_work = False

    @classmethod
    def of(cls, coordinator: Coordinator) -> Renewer:
        """The one of a coordinator; started when there is something to renew. A forked child has its own."""
        with _guard:
            found = _renewers.get(coordinator)
            if found is None or found._pid != os.getpid():
                found = _renewers[coordinator] = cls(pace_of(coordinator.settings))
            return found

    def add(self, duty: Duty[Lease, bool, None], sent: float) -> None:
        """Renew from now on; the key was set by a call sent at `sent`."""
        entry = _Entry(duty, duty.lease.trusted_until)
        with self._lock:
            duty.trust(sent, entry.most)
            self._entries[duty.lease.ident] = entry
            if not self._at_work:
                threading.Thread(target=self._work, name="coordinator-plain", daemon=True).start()
                self._at_work = True

    def drop(self, lease: Lease) -> None:
        """No longer renew."""
        with self._lock:
            self._entries.pop(lease.ident, None)

    def _work(self) -> None:
        while True:
            time.sleep(self._interval)
            with self._lock:
                entries = list(self._entries.values())
                if not entries:
                    # Not before: a thread for each of many short locks costs more than one that stays for a moment.
                    self._at_work = False
                    return
            for one in entries:
                if one.duty.lease.ident in self._entries:
                    self._renew(one)

    def _renew(self, entry: _Entry) -> None:
        duty, sent = entry.duty, clock.now()
        lease = duty.lease
        try:
            ours = not lease.why_lost and duty.renew()
        except RedisError as error:
            # The lease ends by itself when this goes on.
            log.warning("the plain key of %s was not renewed: %s", lease.ident, error)
            return
        with self._lock:
            if self._entries.get(lease.ident) is not entry:
                return
            if ours:
                duty.trust(sent, entry.most)
                return
        self.drop(lease)
        lease.lose(lease.why_lost or TAKEN)
        with contextlib.suppress(CoordinatorError):
            duty.leave()


_guard = threading.Lock()
_renewers: weakref.WeakKeyDictionary[Coordinator, Renewer] = weakref.WeakKeyDictionary()
os.register_at_fork(before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_guard.release)


# A loop does not keep its tasks alive, and whoever took a lock may not keep it.
_tasks: set[asyncio.Task[None]] = set()


def renewing(duty: Duty[AsyncLease, Awaitable[bool], Awaitable[None]], sent: float, pace: float) -> asyncio.Task[None]:
    """The task of one asyncio lock; cancel it when the lock is given back. The key was set by a call sent at `sent`."""
    most = duty.lease.trusted_until
    duty.trust(sent, most)
    task = asyncio.get_running_loop().create_task(_renews(duty, most, pace))
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return task


async def _renews(duty: Duty[AsyncLease, Awaitable[bool], Awaitable[None]], most: float, pace: float) -> None:
    lease = duty.lease
    while not lease.lost.is_set():
        await asyncio.sleep(pace)
        sent = clock.now()
        try:
            ours = await duty.renew()
        except RedisError as error:
            # The lease ends by itself when this goes on.
            log.warning("the plain key of %s was not renewed: %s", lease.ident, error)
            continue
        if not ours:
            lease.lose(TAKEN)
            break
        if not lease.why_lost:
            duty.trust(sent, most)
    with contextlib.suppress(CoordinatorError):
        await duty.leave()
