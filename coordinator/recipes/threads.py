"""Locks with the interface of `threading`, for code that was written for one process.

`acquire(blocking, timeout)` and `release()`, True and False, as there; but waiters are served in order, across
processes. What a process that dies has held is given back, so hold nothing that must outlive it. To be told that a lock
was lost, or for a fence, look at `lease`.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

from coordinator.client import Coordinator
from coordinator.drivers.entered import OLDEST, Entered, Entry
from coordinator.errors import InvalidInput, LeaseLost, StoreUnavailable, UnknownOutcome, WaitTimeout
from coordinator.leases import Lease
from coordinator.model.need import Need

FOREVER = -1
# What is to be given back, and where it was.
_Taken = tuple[Entered[Lease], Entry[Lease]]


class _Shape:
    """What the shapes have in common. `options` are those of `co.acquire`, but for `wait`."""

    def __init__(self, coordinator: Coordinator, name: str, **options: Any) -> None:
        self._co, self._name, self._options = coordinator, Need(name).resource, options

    def acquire(self, blocking: bool = True, timeout: float = FOREVER) -> bool:
        """Acquire it, waiting at most `timeout` seconds (-1: without end), or not at all unless `blocking`."""
        raise NotImplementedError

    def release(self) -> None:
        """Give it back."""
        raise NotImplementedError

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _acquired(self, blocking: bool, timeout: float) -> Lease | None:
        if isinstance(timeout, bool) or not isinstance(timeout, int | float):
            raise InvalidInput("timeout", timeout, "must be a number of seconds, or -1 to wait without end")
        if not blocking and timeout != FOREVER:
            raise ValueError("can't specify a timeout for a non-blocking call")
        if timeout < 0 and timeout != FOREVER:
            raise ValueError("timeout value must be a non-negative number")
        if not blocking or timeout == 0:
            return self._co.try_acquire(self._name, **self._options)
        try:
            return self._co.acquire(self._name, wait=None if timeout == FOREVER else timeout, **self._options)
        except WaitTimeout:
            return None


class _Mutex(_Shape):
    """What one holds at a time."""

    def locked(self) -> bool:
        """Whether anybody holds it, as the server knows it."""
        return bool(self._co.line(self._name).holders)


class Lock(_Mutex):
    """As `threading.Lock`: any thread of this process may release it.

    A thread that acquired it releases what it has got itself, so one whose lock was lost is told, and whoever has it by
    then keeps it. A thread that did not gives back what another has. On a resource with more than one permit several
    may have it.
    """

    def __init__(self, coordinator: Coordinator, name: str, **options: Any) -> None:
        super().__init__(coordinator, name, **options)
        self._entered = Entered[Lease]()

    @property
    def lease(self) -> Lease | None:
        """The lease of this thread, or else of another."""
        return self._entered.latest(threading.current_thread())

    def acquire(self, blocking: bool = True, timeout: float = FOREVER) -> bool:
        """Acquire it, waiting at most `timeout` seconds (-1: without end), or not at all unless `blocking`."""
        lease, thread = self._acquired(blocking, timeout), threading.current_thread()
        if lease is not None:
            self._entered.forget_lost(thread, threading.enumerate)
            self._entered.add(thread, lease)
        return lease is not None

    def release(self) -> None:
        """Give it back. Raises RuntimeError if it is not held here, LeaseLost if it was lost; StoreUnavailable, and can
        be released again then."""
        entry = self._entered.take(threading.current_thread())
        if entry is None:
            raise RuntimeError("release unlocked lock")
        try:
            entry.lease.release()
        except StoreUnavailable:
            self._entered.put_back(entry)
            raise


class _Own(threading.local):
    """What a thread has of a re-entrant lock."""

    lease: Lease | None = None
    times: int = 0


class RLock(_Mutex):
    """As `threading.RLock`: the thread that holds it acquires it again at once, under the same fence, and gives it back
    when it has released it as often."""

    def __init__(self, coordinator: Coordinator, name: str, **options: Any) -> None:
        super().__init__(coordinator, name, **options)
        self._own = _Own()

    @property
    def lease(self) -> Lease | None:
        """The lease of this thread."""
        return self._own.lease if self._own.times else None

    def acquire(self, blocking: bool = True, timeout: float = FOREVER) -> bool:
        """Acquire it, waiting at most `timeout` seconds (-1: without end), or not at all unless `blocking`. Raises
        LeaseLost if this thread has it no longer."""
        had, own = self.lease, self._own
        if had is None:
            # One whose release had no answer may be there still: the client gives that back by itself.
            own.lease = self._acquired(blocking, timeout)
        else:
            had.check()
        own.times += own.lease is not None
        return own.lease is not None

    def release(self) -> None:
        """Give it back once. Raises RuntimeError if this thread does not hold it, LeaseLost if it was lost;
        StoreUnavailable and UnknownOutcome: then this thread holds it no more, and it can be released again all the
        same, until it is acquired anew."""
        own = self._own
        if own.lease is None:
            raise RuntimeError("cannot release un-acquired lock")
        own.times = max(0, own.times - 1)
        if own.times == 0:
            try:
                own.lease.release()
            except LeaseLost:
                own.lease = None
                raise
            own.lease = None

    # --- what a `threading.Condition` asks of a re-entrant lock

    def _is_owned(self) -> bool:
        return self.lease is not None

    def _release_save(self) -> int:
        times, self._own.times = self._own.times, min(1, self._own.times)
        try:
            self.release()
        except (StoreUnavailable, UnknownOutcome):
            self._own.times = times
            raise
        return times

    def _acquire_restore(self, times: int) -> None:
        self._own.lease, self._own.times = self._acquired(True, FOREVER), times


class Semaphore(_Shape):
    """As `threading.BoundedSemaphore`, with `value` permits for all processes together (None: as they are defined)."""

    def __init__(self, coordinator: Coordinator, name: str, value: int | None = None, **options: Any) -> None:
        super().__init__(coordinator, name, **options)
        self._value, self._entered = value, Entered[Lease]()
        # Those whose release had no answer: the client gives them back by itself, so all others are released first.
        self._unanswered = Entered[Lease]()

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """Acquire a permit, waiting at most `timeout` seconds (None: without end), or not at all unless `blocking`."""
        if self._value is not None:
            self._co.define(self._name, capacity=self._value)
            self._value = None
        lease = self._acquired(blocking, FOREVER if timeout is None else timeout)
        if lease is not None:
            thread = threading.current_thread()
            for those in (self._entered, self._unanswered):
                those.forget_lost(thread, threading.enumerate)
            self._entered.add(thread, lease)
        return lease is not None

    def release(self, n: int = 1) -> None:
        """Give permits back, those that this thread has acquired before others, the oldest first. Raises ValueError for
        more than are held here, LeaseLost if one was lost; StoreUnavailable and UnknownOutcome, and what is left can be
        released again then."""
        left, lost = self._taken(n), list[LeaseLost]()
        while left:
            entry = left[0][1]
            try:
                entry.lease.release()
            except LeaseLost as error:
                lost.append(error)
            except BaseException:
                self._unanswered.add(*entry)
                _put_back(left[1:])
                raise
            del left[0]
        if lost:
            raise lost[-1]

    def _taken(self, n: int) -> list[_Taken]:
        """So many, or none. Takes no lock, for a process may be forked at any moment."""
        taken, thread = list[_Taken](), threading.current_thread()
        enough = 0 < n <= len(self._entered) + len(self._unanswered)
        while enough and len(taken) < n:
            # What has had no answer comes last, but not after what other threads have.
            first, second = self._entered, self._unanswered
            if second.has(thread) and not first.has(thread):
                first, second = second, first
            those = first if len(first) else second
            entry = those.take(thread, own=OLDEST)
            if entry is None:  # another thread was quicker
                enough = False
            else:
                taken.append((those, entry))
        if not enough:
            _put_back(taken)
            raise ValueError("Semaphore released too many times")
        return taken


def _put_back(taken: list[_Taken]) -> None:
    for those, entry in reversed(taken):
        those.put_back(entry)
