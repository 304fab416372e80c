"""The asyncio client. One object per event loop and namespace is enough."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self, TypeVar

from coordinator.acoalescer import AsyncCoalescer
from coordinator.aguarding import AsyncGuarding
from coordinator.aleases import AsyncLease, checked_lease, leased
from coordinator.aoverseer import AsyncOverseer
from coordinator.drivers.aio import AsyncDriver
from coordinator.drivers.entered import Entered
from coordinator.drivers.entries import Entries
from coordinator.errors import CoordinatorError, LeaseLost, anew
from coordinator.metrics import clients
from coordinator.model.lease import Grant, Position
from coordinator.model.names import Priority
from coordinator.model.need import Need, needs_of
from coordinator.model.states import State
from coordinator.ops import asking, forecasting, locks, requests, timing, work
from coordinator.ops.asking import LockOptions, Needs, Urgency, lock_options
from coordinator.ops.likeness import Resemblance
from coordinator.ops.locks import Asked
from coordinator.ops.submission import Submission
from coordinator.ops.work import Submitted
from coordinator.policy.timeout import ADAPTIVE, Wait
from coordinator.settings import Settings
from coordinator.wire.calls import LockAsk
from coordinator.wire.step import Operation

log = logging.getLogger(__name__)
T = TypeVar("T")


class AsyncLockContext:
    """What `Coordinator.lock` returns: acquires on entering, releases on leaving.

    It may be entered again, also while it is, and by several at a time: whoever leaves it releases what they have got
    themselves, the latest first. Who has entered nothing releases for one that is gone.
    """

    def __init__(self, coordinator: AsyncCoordinator, needs: Needs, options: LockOptions) -> None:
        self._coordinator, self._needs, self._options = coordinator, needs, options
        self._entered = Entered[AsyncLease]()

    async def __aenter__(self) -> AsyncLease:
        lease = await self._coordinator._acquire(self._needs, self._options)
        self._entered.add(asyncio.current_task(), lease)
        return lease

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lease = self._entered.leave(asyncio.current_task(), lambda task: task is None or task.done())
        if lease is not None:
            await lease.__aexit__(kind, error, trace)


class AsyncTicket:
    """The handle on any request."""

    def __init__(self, driver: AsyncDriver, ident: str) -> None:
        self.ident = ident
        self._driver = driver

    async def state(self) -> State:
        """How the request stands. Raises NotFound."""
        return (await self._driver.run(work.standing(self._driver.scope, self.ident))).state

    async def position(self) -> Position:
        """Where the request stands, and whom it waits for. Raises NotFound."""
        return await self._driver.run(forecasting.position(self._driver.scope, self.ident))

    async def cancel(self, reason: str = "") -> bool:
        """Cancel it. True: it is over; False: it runs and was told to stop. Raises IllegalTransition, NotFound."""
        return await self._driver.run(requests.cancel(self._driver.scope, self.ident, reason))

    async def reprioritise(self, priority: Priority | int | str) -> None:
        """Change its priority while it waits. Raises IllegalTransition, NotFound."""
        await self._driver.run(requests.reprioritise(self._driver.scope, self.ident, Priority.of(priority)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.ident})"


class AsyncLockTicket(AsyncTicket):
    """The handle on a lock request that may still wait."""

    def __init__(self, driver: AsyncDriver, asked: LockAsk, needs: tuple[Need, ...], standing: Asked) -> None:
        super().__init__(driver, asked.ident)
        self._asked, self._needs, self._standing = standing.taken(asked), needs, standing
        self._lease = None if standing.grant is None else leased(driver, standing.grant, needs, asked)
        # One waiter at a time asks the server: the answer is delivered only once, and all waiters share it.
        self._turn, self._pid = asyncio.Lock(), os.getpid()
        self._ended: CoordinatorError | None = None

    @property
    def may_wait(self) -> float | None:
        """How many seconds the request may stand in line, from when it was asked; None: without end."""
        return None if self._asked.wait_ms is None else self._asked.wait_ms / 1000

    async def wait(self, timeout: float | None = None) -> AsyncLease:
        """Wait for the lock. After a WaitTimeout the request still stands in line. Raises WaitCancelled.

        All who wait on a ticket get the same lease, or the same error, then and later, also when it was released since.
        Raises LeaseLost in a forked child of the process that has asked: what is granted is its parent's.
        """
        if self._lease is not None:
            return self._lease
        seconds, began = asking.timeout(timeout), self._driver.now()
        if self._pid != os.getpid():
            raise LeaseLost(self.ident, locks.OF_PARENT)
        if not await self._my_turn(seconds):
            raise locks.ran_out(self._asked, seconds)
        try:
            left = seconds and max(0.0, seconds - (self._driver.now() - began))
            return await self._granted(left, seconds)
        finally:
            self._turn.release()

    async def _my_turn(self, seconds: float | None) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._turn.acquire()
        except TimeoutError:
            return False

    async def _granted(self, left: float | None, seconds: float | None) -> AsyncLease:
        if self._lease is not None:
            return self._lease
        if self._ended is not None:
            raise anew(self._ended)
        driver, asked = self._driver, self._asked
        waits = timing.await_grant(driver.scope, driver.learner, asked, self._needs, self._standing, left)
        try:
            grant = await driver.run(waits)
        except locks.ENDED as error:
            self._ended = anew(error)
            raise
        if grant is None:
            raise locks.ran_out(self._asked, seconds)
        self._lease = leased(driver, grant, self._needs, asked)
        return self._lease


class AsyncJobTicket(AsyncTicket):
    """The handle on a job. `duplicate`: it was there already; `replaced`: it now has the payload handed in; `similar`:
    an earlier one with nearly the same text, if that was asked for."""

    def __init__(self, driver: AsyncDriver, submitted: Submitted) -> None:
        super().__init__(driver, submitted.ident)
        self.duplicate, self.replaced = submitted.duplicate, submitted.replaced
        self.similar: Resemblance | None = submitted.similar

    async def result(self, timeout: float | None = None) -> Any:
        """Wait for what the handler returns. Raises JobFailed, WaitTimeout (the job goes on), NotFound; Overloaded if
        it was shed; BadSignature or Corrupt for a result that is not what a worker wrote."""
        return await self._driver.run(
            work.result(self._driver.scope, self.ident, asking.timeout(timeout), self._driver.signer)
        )

    async def progress(self) -> str:
        """How far the handler says it is. Raises NotFound."""
        return (await self._driver.run(work.standing(self._driver.scope, self.ident))).progress


class AsyncCoordinator(AsyncCoalescer, AsyncGuarding, AsyncOverseer):
    """A namespace on a Redis: locks and jobs. Made by `connect`; close it, or use it as a context manager."""

    def __init__(self, driver: AsyncDriver) -> None:
        self._driver = driver
        self._entries = Entries[AsyncLease]()
        clients.attach(driver)

    @classmethod
    def connect(cls, url: str | None = None, namespace: str | None = None, settings: Settings | None = None) -> Self:
        """Connect to redis://, rediss://, unix://, redis+sentinel://, redis+cluster:// or embedded://.

        Without a URL that of the settings ($COORDINATOR_URL, else redis://127.0.0.1:6379/0), and so for the namespace
        ("default"). Nothing is sent yet. Raises ConfigError.
        """
        return cls(AsyncDriver(url, Settings.of_client(settings, namespace)))

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._driver.settings

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._driver.closed

    async def run(self, operation: Operation[T]) -> T:
        """Carry out an operation of `coordinator.ops`; for tools built on them."""
        return await self._driver.run(operation)

    # --- locks

    def lock(
        self,
        needs: Needs,
        *,
        priority: Urgency = None,
        wait: Wait = None,
        **options: Any,
    ) -> AsyncLockContext:
        """A context manager that holds a lock: `with co.lock("infra/prod/vpc", wait=60) as lease:`.

        Options and errors as for `acquire`. Leaving raises LeaseLost if the lease was lost inside. Where one
        stands inside another and says nothing of it by `within=`, no circle of waits is found (docs/nested-locks.md).
        """
        return AsyncLockContext(self, needs, lock_options(priority, wait, options))

    async def acquire(
        self,
        needs: Needs,
        *,
        priority: Urgency = None,
        wait: Wait = None,
        **options: Any,
    ) -> AsyncLease:
        """Acquire all of some resources at once, waiting in line at most `wait` seconds (None: without end; "adaptive":
        as long as the fleet has learnt that it takes, see docs/timeouts.md).

        Options: `ttl` (seconds after which the lease ends by itself, whatever the session does), `owner`, `reason`,
        `metadata`, `within` (a lease that is held meanwhile: a wait in a circle is ended with Deadlock), `reentrant`
        (the same `owner` has what it holds already, counted: see docs/recipes.md), `on_preempt` (less urgent holders
        are asked to yield: "ask", or "cancel_job" with `grace`, see docs/preemption.md), `durability` ("replicated":
        replicas have the grant, else it is given back with Unconfirmed, see docs/durability.md). Raises WaitTimeout,
        WaitCancelled, Deadlock, UpgradeRefused, Unconfirmed, LineFull, OverCapacity, InvalidInput, StoreUnavailable.
        """
        return await self._acquire(needs, lock_options(priority, wait, options))

    async def try_acquire(self, needs: Needs, *, priority: Urgency = None, **options: Any) -> AsyncLease | None:
        """Acquire if everything is free now and nobody stands before us, else None. Options as `acquire`."""
        return await self._try(needs, lock_options(priority, 0, options))

    async def request(
        self,
        needs: Needs,
        *,
        priority: Urgency = None,
        wait: Wait = None,
        **options: Any,
    ) -> AsyncLockTicket:
        """Ask for a lock and return at once; the request stands in line for at most `wait` seconds.

        Options and errors as `acquire`; WaitTimeout is raised here only with `wait=0`, for what is not free.
        """
        wanted = needs_of(needs)
        asked = self._ask(wanted, await self._settled(wanted, asking.once(lock_options(priority, wait, options))))
        outcome = await self._driver.run(timing.request(self._driver.scope, self._driver.learner, asked, wanted))
        if outcome is None:
            raise locks.ran_out(asked, 0)
        return AsyncLockTicket(self._driver, asked, wanted, outcome)

    async def release(self, lease: AsyncLease) -> None:
        """As `lease.release()`. Raises InvalidInput for what is no lease of this client's kind."""
        await checked_lease(lease).release()

    async def extend(self, lease: AsyncLease, seconds: float) -> None:
        """As `lease.extend(seconds)`. Raises InvalidInput for what is no lease of this client's kind."""
        await checked_lease(lease).extend(seconds)

    # --- jobs

    async def submit(self, name: str, payload: Any = None, **options: Any) -> AsyncJobTicket:
        """Hand in a job for the workers.

        Options: `resources` it must hold while it runs, `priority`, `queue`, `dedup`, `delay`, `wait_timeout` (until
        it starts, or "adaptive"), `run_timeout` (each run), `total_timeout`, `retry`, `owner`, `reason`, `metadata`,
        `similar`, `on_preempt`, `grace`; in seconds.
        Raises QueueFull, Overloaded, LineFull, BreakerOpen, MemoryFull, OverCapacity, PayloadTooLarge, Duplicate,
        InvalidInput, StoreUnavailable.
        """
        [one] = await self._timed([Submission(name, payload, **options)])
        return AsyncJobTicket(self._driver, await self._driver.run(clients.submit(self._driver, one)))

    async def submit_many(self, submissions: Iterable[Submission]) -> list[AsyncJobTicket]:
        """Hand in many jobs, up to 150 per call. Raises BatchRefused if some are refused; the others are in."""
        given = await self._timed(list(submissions))
        done = await self._driver.run(clients.submit_many(self._driver, given))
        return [AsyncJobTicket(self._driver, one) for one in done]

    # --- any request

    async def get(self, ident: str) -> AsyncJobTicket:
        """The ticket of a request. Raises NotFound."""
        await self._driver.run(work.standing(self._driver.scope, ident))
        return AsyncJobTicket(self._driver, Submitted(ident))

    async def cancel(self, ident: str, reason: str | None = None, *, by: str = "") -> bool:
        """As `Ticket.cancel`, and on record: `by` is who does it, this user@host unless it is given. Raises
        InvalidInput for a blank reason."""
        doer = self._deed(by, reason).by
        return await self._driver.run(requests.cancel(self._driver.scope, ident, reason or "", doer))

    async def reprioritise(
        self, ident: str, priority: Priority | int | str, *, reason: str | None = None, by: str = ""
    ) -> None:
        """As `Ticket.reprioritise`, and on record, as `cancel`."""
        deed = self._deed(by, reason)
        await self._driver.run(requests.reprioritise(self._driver.scope, ident, Priority.of(priority), deed))

    async def replay(self, ident: str) -> None:
        """Queue a failed or dead job again, payload intact. Raises IllegalTransition, QueueFull, NotFound."""
        await self._driver.run(requests.replay(self._driver.scope, ident, self._driver.new_id()))

    async def close(self) -> None:
        """Release what is held, leave all lines, close all connections. Safe to call twice."""
        await self._driver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _acquire(self, needs: Needs, options: LockOptions) -> AsyncLease:
        wanted, driver = needs_of(needs), self._driver
        again = self._again(wanted, options)
        if again is not None:
            return again
        asked = self._ask(wanted, await self._settled(wanted, options))
        grant = await driver.run(timing.acquire(driver.scope, driver.learner, asked, wanted, driver.meter))
        if grant is None:
            raise locks.ran_out(asked, 0)
        return self._taken(grant, wanted, options)

    async def _try(self, needs: Needs, chosen: LockOptions, retry_for: float | None = None) -> AsyncLease | None:
        wanted = needs_of(needs)
        again = self._again(wanted, chosen)
        if again is not None:
            return again
        asked = self._ask(wanted, chosen)
        grant = await self._driver.run(locks.acquire(self._driver.scope, asked, 0), retry_for)
        return None if grant is None else self._taken(grant, wanted, chosen)

    def _taken(self, grant: Grant, wanted: tuple[Need, ...], options: LockOptions) -> AsyncLease:
        if not options.reentrant:
            return leased(self._driver, grant, wanted, options)
        lease = leased(self._driver, grant, wanted, options, lambda: self._entries.leave(options.owner, lease))
        return self._entries.entered(options.owner, lease, confirmed=options.durability is not None)

    def _again(self, wanted: tuple[Need, ...], options: LockOptions) -> AsyncLease | None:
        if not options.reentrant:
            return None
        asking.check(wanted, options, self._driver.settings.max_hold)
        return self._entries.again(options.owner, wanted, confirmed=options.durability is not None)

    async def _settled(self, wanted: tuple[Need, ...], options: LockOptions) -> LockOptions:
        if options.wait != ADAPTIVE:
            return options
        return await self._driver.run(timing.lock_options(self._driver.scope, self._driver.learner, options, wanted))

    async def _timed(self, jobs: list[Submission]) -> list[Submission]:
        if not timing.undecided(jobs):
            return jobs
        return await self._driver.run(timing.decided(self._driver.scope, self._driver.learner, jobs))

    def _ask(self, wanted: tuple[Need, ...], options: LockOptions) -> LockAsk:
        driver = self._driver
        return asking.lock_ask(driver.new_id(), wanted, options, driver.settings.max_hold, driver.rules)
