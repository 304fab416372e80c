"""Looks after the plain keys of locks that are held, and renews those without a timeout.

Such a lease is believed in only as long as both last, so `lease.lost` is set in time when either cannot be renewed. The
others are only looked at: who deletes the key of a lock by hand means that it is free, and the next in line would
not hear of it before the lock's time was over. All that a client holds is looked at with one call, a thousand locks as
one. One thread per coordinator, and for asyncio one task on its loop; each ends when nothing is held.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import time
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import redis
import redis.asyncio
from redis.exceptions import RedisError, ResponseError

from coordinator.aclient import AsyncCoordinator
from coordinator.aleases import AsyncLease
from coordinator.client import Coordinator
from coordinator.compat.held import pace_of
from coordinator.compat.plain import KEEP
from coordinator.drivers import clock
from coordinator.errors import CoordinatorError
from coordinator.leases import Lease
from coordinator.policy.trust import trusted_until

log = logging.getLogger(__name__)

TAKEN = "its plain key is gone or has another token"
# Keys of one call: 1.4 ms of a busy server.
AT_ONCE = 1000
_CLUSTERS = (redis.RedisCluster, redis.asyncio.RedisCluster)

L = TypeVar("L", Lease, AsyncLease)


@dataclass(frozen=True, slots=True)
class Duty(Generic[L]):
    """The key that goes along with a lease: the `name` a `client` has for it, and the token (`word`) that it must have.
    `ttl`: the seconds that it is renewed for every now and then; None: it is only looked at."""

    lease: L
    client: Any
    name: Any
    word: bytes
    ttl: float | None

    def trust(self, sent: float, most: float) -> None:
        """The key was set, or renewed, by a call sent at `sent`; the lease itself ends at `most`."""
        if self.ttl is not None:
            self.lease.trust(min(most, trusted_until(sent, self.ttl)))

    @property
    def group(self) -> tuple[int, int]:
        """What one call may look at: the keys of one pool of connections, of a Cluster those of a slot."""
        pool = getattr(self.client, "connection_pool", None)
        slot = self.client.keyslot(self.name) if isinstance(self.client, _CLUSTERS) else 0
        return id(self.client if pool is None else pool), slot

    @property
    def ttl_ms(self) -> int:
        """As the script has it."""
        return int(self.ttl * 1000) if self.ttl else 0


class Entry(NamedTuple, Generic[L]):
    """A duty that has been taken on, and when its lease ends by itself."""

    duty: Duty[L]
    most: float


Batch = Sequence[Entry[L]]


def batches(entries: Iterable[Entry[L]]) -> list[Batch[L]]:
    """In as few calls as may be; in no call too many."""
    groups: dict[tuple[int, int], list[Entry[L]]] = {}
    for one in entries:
        groups.setdefault(one.duty.group, []).append(one)
    return [found[at : at + AT_ONCE] for found in groups.values() for at in range(0, len(found), AT_ONCE)]


def call(batch: Batch[L]) -> Any:
    """Asks of each of a batch whether it is ours, and renews it."""
    duties = [one.duty for one in batch]
    client = duties[0].client
    return client.register_script(KEEP)(
        keys=[one.name for one in duties],
        args=[word for one in duties for word in (one.word, one.ttl_ms)],
        client=client,
    )


def not_told(batch: Batch[L], error: Exception) -> list[None]:
    """Each lease ends by itself when this goes on."""
    first, more = batch[0].duty.lease.ident, len(batch) - 1
    log.warning("the plain key of %s%s was not looked at: %s", first, f" and of {more} more" if more else "", error)
    return [None] * len(batch)


class Book(Generic[L]):
    """What is looked after on behalf of one coordinator."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._entries: dict[str, Entry[L]] = {}

    def drop(self, lease: L) -> None:
        """No longer look after it."""
        self._entries.pop(lease.ident, None)

    def _enter(self, duty: Duty[L], sent: float) -> None:
        entry = Entry(duty, duty.lease.trusted_until)
        duty.trust(sent, entry.most)
        self._entries[duty.lease.ident] = entry

    def _due(self) -> list[Batch[L]]:
        return batches(self._entries.values())

    def _current(self, entry: Entry[L]) -> bool:
        return self._entries.get(entry.duty.lease.ident) is entry

    def _settle(self, entry: Entry[L], ours: bool | None, sent: float) -> bool:
        """A look was sent at `sent`. `ours` None: there was no answer. Whether it was lost by that."""
        duty, lease = entry.duty, entry.duty.lease
        if not self._current(entry) or (ours is None and not lease.why_lost):
            return False
        if ours and not lease.why_lost:
            duty.trust(sent, entry.most)
            return False
        self.drop(lease)
        lease.lose(lease.why_lost or TAKEN)
        return True


class Renewer(Book[Lease]):
    """The thread of one coordinator."""

    def __init__(self, interval: float) -> None:
        super().__init__(interval)
        self._pid, self._lock, self._at_work = os.getpid(), threading.RLock(), False

    @classmethod
    def of(cls, coordinator: Coordinator) -> Renewer:
        """The one of a coordinator; started when there is something to renew. A forked child has its own."""
        with _guard:
            found = _renewers.get(coordinator)
            if found is None or found._pid != os.getpid():
                found = _renewers[coordinator] = cls(pace_of(coordinator.settings))
            return found

    def add(self, duty: Duty[Lease], sent: float) -> None:
        """Look after it from now on; the key was set by a call sent at `sent`."""
        with self._lock:
            self._enter(duty, sent)
            if not self._at_work:
                threading.Thread(target=self._work, name="coordinator-plain", daemon=True).start()
                self._at_work = True

    def drop(self, lease: Lease) -> None:
        """No longer look after it."""
        with self._lock:
            super().drop(lease)

    def _work(self) -> None:
        while True:
            time.sleep(self._interval)
            with self._lock:
                due = self._due()
                if not due:
                    # Not before: a thread for each of many short locks costs more than one that stays for a moment.
                    self._at_work = False
                    return
            for batch in due:
                self._look(batch)

    def _look(self, batch: Batch[Lease]) -> None:
        asked, sent = [one for one in batch if self._current(one)], clock.now()
        for one, ours in zip(asked, self._told(asked), strict=True):
            with self._lock:
                lost = self._settle(one, ours, sent)
            if lost:
                with contextlib.suppress(CoordinatorError):
                    one.duty.lease.release()

    def _told(self, batch: Batch[Lease]) -> Sequence[bool | None]:
        if not batch:
            return []
        try:
            return [bool(one) for one in call(batch)]
        except (RedisError, OSError) as error:
            if len(batch) > 1 and isinstance(error, ResponseError):
                # Of a client that has keys of several slots, or may not have one of them.
                return [ours for one in batch for ours in self._told([one])]
            return not_told(batch, error)


class AsyncRenewer(Book[AsyncLease]):
    """The task of one asyncio coordinator."""

    def __init__(self, interval: float) -> None:
        super().__init__(interval)
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def of(cls, coordinator: AsyncCoordinator) -> AsyncRenewer:
        """The one of a coordinator on the running loop; started when there is something to renew."""
        with _guard:
            found = _async_renewers.get(coordinator)
            if found is None or found._loop is not asyncio.get_running_loop():
                found = _async_renewers[coordinator] = cls(pace_of(coordinator.settings))
            return found

    def add(self, duty: Duty[AsyncLease], sent: float) -> None:
        """Look after it from now on; the key was set by a call sent at `sent`."""
        self._enter(duty, sent)
        if self._task is None or self._task.done():
            self._task = _kept(self._loop.create_task(self._work()))

    async def _work(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            due = self._due()
            if not due:
                return
            for batch in due:
                await self._look(batch)

    async def _look(self, batch: Batch[AsyncLease]) -> None:
        asked, sent = [one for one in batch if self._current(one)], clock.now()
        for one, ours in zip(asked, await self._told(asked), strict=True):
            if self._settle(one, ours, sent):
                # By itself: the others are not to wait while its store is away.
                _kept(self._loop.create_task(_leave(one.duty.lease)))

    async def _told(self, batch: Batch[AsyncLease]) -> Sequence[bool | None]:
        if not batch:
            return []
        try:
            return [bool(one) for one in await call(batch)]
        except (RedisError, OSError) as error:
            if len(batch) > 1 and isinstance(error, ResponseError):
                return [ours for one in batch for ours in await self._told([one])]
            return not_told(batch, error)


async def _leave(lease: AsyncLease) -> None:
    with contextlib.suppress(CoordinatorError):
        await lease.release()


_guard = threading.Lock()
_renewers: weakref.WeakKeyDictionary[Coordinator, Renewer] = weakref.WeakKeyDictionary()
_async_renewers: weakref.WeakKeyDictionary[AsyncCoordinator, AsyncRenewer] = weakref.WeakKeyDictionary()
os.register_at_fork(before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_guard.release)

# A loop does not keep its tasks alive, and whoever took a lock may not keep it.
_tasks: set[asyncio.Task[None]] = set()


def _kept(task: asyncio.Task[None]) -> asyncio.Task[None]:
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return task
