"""Carries out operations with blocking calls and threads.

One connection is blocked on the inbox of the session, whatever the number of waits; `hall` says which thread reads it.
A forked child starts afresh: it shares no connection, no thread and no session with its parent.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from coordinator.drivers import clock, failpoints
from coordinator.drivers.connect import locate, sync_client
from coordinator.drivers.demands import Demands
from coordinator.drivers.describe import describe
from coordinator.drivers.hall import Hall, Listener, Slot
from coordinator.drivers.holdings import Holding
from coordinator.drivers.ids import new_id
from coordinator.drivers.keeper import Duties, Keeper
from coordinator.drivers.learner import Learner
from coordinator.drivers.live import LiveSettings
from coordinator.drivers.messages import FORGOTTEN, READ_SECONDS, RESYNC, SESSION_LOST, Postman
from coordinator.drivers.near import NearCache
from coordinator.drivers.store import Store
from coordinator.drivers.tap import tap_of
from coordinator.drivers.teller import Teller
from coordinator.errors import ClientClosed, CoordinatorError
from coordinator.keys import key
from coordinator.model.measures import Meter, NoMeter
from coordinator.ops import configuring
from coordinator.ops.configuring import Configuration
from coordinator.settings import Settings
from coordinator.wire import calls
from coordinator.wire.calls import Scope
from coordinator.wire.replies import carried_out
from coordinator.wire.step import Abandon, Call, Expect, Forget, Hear, Now, Operation, Session, Step, Stream, Wait

log = logging.getLogger(__name__)
T = TypeVar("T")


def _nobody(*_told: object) -> None:
    return None


def _nothing(_now: float) -> Operation[None]:
    yield from ()


class SyncDriver:
    """Everything a sync client does on the outside. Safe for many threads, and across a fork."""

    def __init__(self, url: str | None, settings: Settings, kind: str = "app") -> None:
        self.live = LiveSettings(settings, self._configuration, self._adopt)
        self.target = locate(url or settings.url, settings.allow_insecure_tls, settings.durability == "durable")
        self.scope = Scope.of(settings.namespace, settings.terms(), settings.acknowledged_by is None)
        self.signer = settings.signer()
        self.rules = settings.rules()
        self.meter: Meter = NoMeter()
        # Told the time whenever an operation begins.
        self.on_use: Callable[[float], None] = _nobody
        # Told in a forked child, which has measured nothing yet.
        self.on_fork: Callable[[], None] = _nobody
        # Gives an operation to be carried out before the client is closed.
        self.on_close: Callable[[float], Operation[None]] = _nothing
        self._kind = kind
        self._begin()
        _live.add(self)

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.live.current

    def _begin(self) -> None:
        """What belongs to one process: connections, threads, the session. `pid` is that process, `closed` whether
        `close` was called."""
        settings, self.pid, self.closed = self.settings, os.getpid(), False
        demands = Demands.of(settings)
        self.store = Store(sync_client(self.target, settings.operation_timeout, settings.max_connections), demands)
        # The heartbeat has a connection of its own: it must never wait behind the application's calls.
        self._keeper_store = Store(sync_client(self.target, settings.operation_timeout, 1), demands)
        self.postman = Postman(self._lost)
        self._hall = Hall()
        self.learner = Learner.of(settings, self._keeper_store, self.scope, lambda: self.meter)
        fields = describe(self._kind)
        self._teller = Teller(self._keeper_store, lambda: self.scope, fields)
        self.live.report_to(self._teller.took)
        duties = Duties(
            *(fields, self._opened, self._session_lost, self._mail),
            asked=self.postman.asked,
            beaten=self._beaten,
            leaving=self.learner.leave,
            timed=self.learner.timed,
            over=self.postman.over,
            configured=self.live.heard,
        )
        self.keeper = Keeper(self._keeper_store, self.scope, settings.session_ttl, settings.sweep_interval, duties)
        self.postman.on_left = self.keeper.beat_soon
        self.postman.on_yield = self.keeper.ask_to_yield
        self.near = NearCache(settings.coalescing, lambda: self.keeper.session, lambda: self.meter)
        self.postman.on_stale = self.near.drop

    def after_fork(self) -> None:
        """In a forked child: leave everything of the parent alone and start afresh."""
        if not self.closed:
            self._begin()
            self.on_fork()

    @property
    def described(self) -> dict[str, str]:
        """Kind, host and pid of this process."""
        return describe(self._kind)

    @property
    def book(self) -> Learner:
        """What is known of timeouts."""
        return self.learner

    new_id = staticmethod(new_id)
    """A new request id."""

    now = staticmethod(clock.now)
    """The clock that leases are judged by."""

    def hold(self, holding: Holding) -> None:
        """Watch over a holding."""
        self.keeper.hold(holding)

    def run(self, operation: Operation[T], retry_for: float | None = None) -> T:
        """Carry out an operation. An interruption is thrown into it, and what it still asks for is done.
        `retry_for`: seconds for which its calls are repeated, if not as in the settings. Raises ClientClosed."""
        if self.closed:
            operation.close()
            raise ClientClosed
        self.on_use(clock.now())
        return carried_out(operation, partial(self._perform, retry_for))

    def in_passing(self, operation: Operation[None]) -> None:
        """Carry out an operation that nobody waits for, with each call tried once."""
        with contextlib.suppress(ClientClosed):
            self.run(operation, 0.0)

    def close(self) -> None:
        """End the session in good order and close all connections. Safe to call twice."""
        if self.closed:
            return
        self.in_passing(self.on_close(clock.now()))
        self.closed = True
        self.keeper.close()
        self.postman.tell_all(SESSION_LOST)
        self._stop_listening()
        self.store.close()
        self._keeper_store.close()

    def _perform(self, retry_for: float | None, step: Step) -> Any:
        if failpoints.on:
            failpoints.reach("driver.before_step")
        if isinstance(step, Call):
            return self._call(step, retry_for)
        if isinstance(step, Session):
            return self.keeper.ensure(step.lost, retry_for), clock.now()
        if isinstance(step, Wait):
            slot = self.postman.slot(step.ident, step.reader)
            return slot.get(step.seconds) if isinstance(slot, Slot) else FORGOTTEN
        if isinstance(step, Stream):
            return self.store.stream(step)
        return self._note(step)

    def _call(self, call: Call, retry_for: float | None) -> Any:
        began = clock.now()
        try:
            return self.store.call(call, retry_for)
        except CoordinatorError:
            self.meter.count("call.failed")
            raise
        finally:
            self.meter.observe("call.time", clock.now() - began)

    def _note(self, step: Step) -> str | float | None:
        # No `match`: to look at the parts of a step takes it longer than all the rest.
        if isinstance(step, Expect):
            return self.postman.keep(step.ident, Slot(self._hall), step.own)
        if isinstance(step, Now):
            return clock.now()
        if isinstance(step, Forget):
            self.postman.drop(step.ident, step.reader)
            if not step.reader:
                self.keeper.let_go(step.ident)
        elif isinstance(step, Abandon):
            self.keeper.abandon(step.ident, step.undo)
        elif isinstance(step, Hear):
            self.postman.hand_out(step.message)
        return None

    def _opened(self, session: str) -> None:
        self.postman.new_session()
        self._stop_listening()
        self._listen_to(session)

    def _listen_to(self, session: str) -> None:
        # A read may last longer than a call; if the server is gone, the next heartbeat shows it.
        timeout = self.settings.operation_timeout
        client = sync_client(self.target, READ_SECONDS + timeout, 1)
        inbox = key(self.scope.namespace, "INBOX", session)
        self._hall.listen(
            Listener(self._hall, client, tap_of(client, inbox, timeout, self.postman.deliver), self.postman)
        )

    def _stop_listening(self) -> None:
        if self._hall.listener is not None:
            self._hall.listener.stop(self.store)

    def _session_lost(self, session: str) -> None:
        self._hall.retire()  # not `stop`, which would wait for a server that may be away
        self.postman.tell_all((*SESSION_LOST, session))

    def _mail(self, sent: int, waiting: int) -> None:
        if self.postman.tally.behind(sent, waiting):
            self.postman.tell_all(RESYNC)
        if self.postman.tally.stuck(waiting, clock.now()) and self.keeper.session:
            self._listen_to(self.keeper.session)

    def _lost(self, ident: str, fence: int, why: str) -> None:
        self.keeper.lose(ident, fence, why)

    def _beaten(self, session: str) -> None:
        self.learner.report(session)
        self._teller.tell(session)

    def _configuration(self) -> Configuration:
        return configuring.read(self._keeper_store.call(calls.config(self.scope), 0.0))

    def _adopt(self, settings: Settings) -> None:
        self.scope = Scope.of(settings.namespace, settings.terms(), settings.acknowledged_by is None)
        self.keeper.adopt(self.scope)
        self.learner.adopt(settings, self.scope)
        self.near.adopt(settings.coalescing)


_live: weakref.WeakSet[SyncDriver] = weakref.WeakSet()


def _restart_all() -> None:
    for driver in list(_live):
        try:
            driver.after_fork()
        except CoordinatorError as error:
            log.warning("a client could not be restarted after a fork: %s", error)


def _close_all() -> None:
    """A process that ends without closing its clients still leaves nothing behind."""
    for driver in list(_live):
        try:
            driver.close()
        except CoordinatorError as error:
            log.debug("a client could not be closed at exit: %s", error)


os.register_at_fork(after_in_child=_restart_all)
atexit.register(_close_all)
