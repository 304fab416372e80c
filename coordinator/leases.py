"""Locks that are held, in the sync client."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, TypeVar

from coordinator.drivers.describe import person
from coordinator.drivers.sync import SyncDriver
from coordinator.errors import CoordinatorError, InvalidInput, LeaseLost
from coordinator.model.lease import Grant, LeaseInfo, Person
from coordinator.model.names import milliseconds as checked_ms
from coordinator.model.need import Need
from coordinator.ops import heirs, locks, looking, operator, timing
from coordinator.ops.asking import Said
from coordinator.wire.step import Operation

log = logging.getLogger(__name__)
T = TypeVar("T")


class Lease:
    """A lock that is held. Use it as a context manager, or `release` it.

    `fence` grows with every grant; hand it to whatever the lock guards. `lost` is set before anybody else can have the
    lock, or a moment after if an operator takes it away; `held` answers the same, and asks nobody.
    `yield_requested` is set when somebody more urgent asks for it.
    """

    def __init__(
        self,
        driver: SyncDriver,
        grant: Grant,
        needs: tuple[Need, ...],
        said: Said,
        last: Callable[[], bool] | None = None,
    ) -> None:
        self.ident, self.fence, self.needs = grant.ident, grant.fence, needs
        self.trusted_until, self._since = grant.trusted_until, driver.now()
        self.why_lost = ""
        self._said = said
        # Re-entrant locks: says whether this release is the outermost one. None: every release is.
        self._last = last
        self._driver, self._keeper, self._pid, self._over = driver, driver.keeper, driver.pid, False

    @property
    def lost(self) -> threading.Event:
        """Set before anybody else can have the lock."""
        # Made on first use: an event costs as much as all the rest of a lease.
        event: threading.Event = self.__dict__.setdefault("_lost", threading.Event())
        if self.why_lost:
            event.set()
        return event

    @property
    def yield_requested(self) -> threading.Event:
        """Set when somebody more urgent waits for the lock and asks for it: `on_preempt` of `acquire`."""
        event: threading.Event = self.__dict__.setdefault("_yield_requested", threading.Event())
        return event

    @property
    def info(self) -> LeaseInfo:
        """What this process knows of the lock: what it holds in which mode, fence, owner, reason, since and until when.
        Asks nobody; `waiters` asks who waits behind it."""
        clock = time.time() - self._driver.now()
        until = min(self.trusted_until, self._keeper.trusted_until)
        return LeaseInfo(
            *(self.ident, self.needs, self.fence, self._said.owner, self._said.reason),
            since=clock + self._since,
            until=clock + until,
        )

    def waiters(self) -> tuple[Person, ...]:
        """Who waits for what this lock holds, each once: from the head of each line, at most 20 of each."""
        return self._driver.run(looking.waiters(self._driver.scope, self.needs))

    @property
    def held(self) -> bool:
        """Whether the lock can be trusted to be ours right now. Asks nobody."""
        ours = self._pid == self._driver.pid and not self._over and not self.why_lost
        return ours and self._driver.now() < min(self.trusted_until, self._keeper.trusted_until)

    def check(self) -> None:
        """Raises LeaseLost unless `held`."""
        self._check_process()
        if not self.held:
            raise LeaseLost(
                self.ident, self.why_lost or ("released" if self._over else "it cannot be trusted any more")
            )

    def _check_process(self) -> None:
        if self._pid != self._driver.pid:
            raise LeaseLost(self.ident, "it is held by the process that this one was forked from")

    def release(self) -> None:
        """Give the lock back; a re-entrant one that was acquired several times, once. Raises LeaseLost if it was no
        longer ours; releasing twice does nothing, nor does releasing after the client was closed, which has released
        it. Raises StoreUnavailable and UnknownOutcome: then it is held no more here, and is given back in the
        background as soon as the store answers."""
        if self._last is not None and not self._last():
            return
        if not self._over and not self._driver.closed and self._pid == self._driver.pid:
            driver = self._driver
            giving = timing.release(driver.scope, driver.learner, self.ident, self.fence, self.needs, self._since)
            try:
                driver.run(giving)
            except LeaseLost as error:
                self.lose(error.why)
                raise
            except BaseException:
                self.lose("it is being given back")
                raise
            self._over = True

    def hand_over(self, to: str = "", reason: str | None = None, *, to_owner: str = "") -> str:
        """Give the lock to a request that waits for it, before all others. Returns the state of that one then.

        `to` is its id; instead of that `to_owner` is whose it is, if that owner has exactly one that waits for it.
        Raises LeaseLost, InvalidInput, Frozen, NotFound.
        """
        driver = self._driver
        deed = operator.deed(person(), reason, driver.new_id())
        state = self._run(heirs.hand_over(driver.scope, self.ident, self.fence, to, to_owner, deed))
        self._over = True
        return state

    def extend(self, seconds: float) -> None:
        """Let the lease end `seconds` from now, sooner or later than before, also beyond the `max_hold` of the
        settings; not beyond that of the resource.

        Raises LeaseLost, InvalidInput.
        """
        lease_ms = checked_ms(seconds, "seconds", least=0.05)
        self.trusted_until = self._run(locks.extend(self._driver.scope, self.ident, self.fence, lease_ms))
        self._driver.hold(self)

    def _run(self, operation: Operation[T]) -> T:
        """What the server says of the lease is believed at once: its message may be on its way, or never come. Only for
        the process that holds it: a forked child is not asked."""
        self._check_process()
        try:
            return self._driver.run(operation)
        except LeaseLost as error:
            self.lose(error.why)
            raise

    def trust(self, until: float) -> None:
        """Believe in the lease until then, on the clock of `held`: for what holds something else along with it."""
        self.trusted_until = until
        self._driver.hold(self)

    def lose(self, why: str) -> None:
        """Called by the keeper of the session, and when the server says so."""
        self.why_lost = why
        event: threading.Event | None = self.__dict__.get("_lost")
        if event is not None:
            event.set()

    def ask_to_yield(self, _grace: float | None) -> None:
        """Called by the keeper of the session."""
        self.yield_requested.set()

    def __enter__(self) -> Self:
        self.check()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.release()
        except CoordinatorError as problem:
            if error is None:
                raise
            # What went wrong inside matters more than that the lock was gone as well.
            log.warning("releasing %s failed: %s", self.ident, problem)

    def __repr__(self) -> str:
        return f"Lease({', '.join(need.resource for need in self.needs)}, fence={self.fence}, held={self.held})"


def leased(
    driver: SyncDriver, grant: Grant, needs: Sequence[Need], said: Said, last: Callable[[], bool] | None = None
) -> Lease:
    """A lease on what was granted, watched over from now on. `said` is what was said of it when it was asked for."""
    lease = Lease(driver, grant, tuple(needs), said, last)
    driver.keeper.hold(lease, grant.session)
    return lease


def checked_lease(given: Lease) -> Lease:
    """What was given, if it is a lease. Raises InvalidInput."""
    found: object = given
    if not isinstance(found, Lease):
        raise InvalidInput("lease", found, "must be a lease of Coordinator")
    return found
