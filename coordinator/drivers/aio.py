"""Carries out operations on an asyncio loop.

The inbox is read by one task, whatever the number of waits. The session is kept by the same threads as for the sync
driver, so a coroutine that blocks the loop loses no lease.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from coordinator.drivers import clock, failpoints
from coordinator.drivers.aslot import AsyncSlot
from coordinator.drivers.connect import async_client, close_async, locate, sync_client
from coordinator.drivers.demands import Demands
from coordinator.drivers.describe import describe
from coordinator.drivers.extras import Extras
from coordinator.drivers.holdings import Holding
from coordinator.drivers.ids import new_id
from coordinator.drivers.inbox import Answered, AsyncInbox
from coordinator.drivers.keeper import Duties, Keeper
from coordinator.drivers.learner import Learner
from coordinator.drivers.live import LiveSettings
from coordinator.drivers.messages import BURST_SECONDS, FORGOTTEN, RESYNC, SESSION_LOST, Postman, Words
from coordinator.drivers.near import NearCache
from coordinator.drivers.store import FAILED, AsyncStore, Store
from coordinator.drivers.tally import Tally
from coordinator.drivers.teller import Teller
from coordinator.errors import ClientClosed, CoordinatorError, WrongLoop
from coordinator.keys import key
from coordinator.model.measures import Meter, NoMeter
from coordinator.ops import configuring
from coordinator.ops.configuring import Configuration
from coordinator.settings import Settings
from coordinator.wire import calls
from coordinator.wire.calls import Scope
from coordinator.wire.replies import UNREADABLE, advance
from coordinator.wire.step import Abandon, Call, Expect, Forget, Hear, Now, Operation, Session, Step, Stream, Wait

log = logging.getLogger(__name__)
# Steps that take a while; the others are done at once.
AWAITED = (Call, Stream, Wait, Session)
# How long a message may take from the server's count to ours.
ON_ITS_WAY_SECONDS = 0.02
T = TypeVar("T")


def _nobody(*_told: object) -> None:
    return None


def _nothing(_now: float) -> Operation[None]:
    yield from ()


class AsyncDriver:
    """Everything an async client does on the outside. For one event loop, the one it is first used on."""

    def __init__(self, url: str | None, settings: Settings, extras: Extras | None = None) -> None:
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
        self._extras = extras or Extras()
        self._closed = False
        self._begin()
        _live.add(self)

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.live.current

    def _begin(self) -> None:
        """What belongs to one process: connections, threads, the session."""
        settings, extras = self.settings, self._extras
        demands = Demands.of(settings)
        self.store = AsyncStore(
            async_client(self.target, settings.operation_timeout, settings.max_connections), demands
        )
        self._keeper_store = Store(sync_client(self.target, settings.operation_timeout, 2), demands)
        self.postman = Postman(self._lost)
        fields = describe(extras.kind, **dict(extras.fields))
        self.learner = Learner.of(settings, self._keeper_store, self.scope, lambda: self.meter)
        self.teller = Teller(self._keeper_store, lambda: self.scope, fields)
        self.live.report_to(self.teller.took)
        duties = Duties(
            *(fields, self._opened, self._session_lost, self._mail),
            *(extras.started, self.postman.asked, extras.claiming),
            *(self._beaten, self.learner.leave, self.learner.timed),
            configured=self.live.heard,
            over=self.postman.over,
        )
        self.keeper = Keeper(self._keeper_store, self.scope, settings.session_ttl, settings.sweep_interval, duties)
        self.postman.on_left = self.keeper.beat_soon
        self.postman.on_yield = self.keeper.ask_to_yield
        self.near = NearCache(settings.coalescing, lambda: self.keeper.session, lambda: self.meter)
        self.postman.on_stale = self.near.drop
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener: asyncio.Task[None] | None = None
        self._inbox: AsyncInbox | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._opening = asyncio.Lock()

    def after_fork(self) -> None:
        """In a forked child: start afresh, for a loop of its own. What is the parent's is kept as it is: to close its
        connections here would take them out of the parent's loop, too."""
        if not self._closed:
            _parents.append((self.store, self._loop, self._listener))
            self._begin()
            self.on_fork()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def described(self) -> dict[str, str]:
        """Kind, host and pid of this process."""
        return describe(self._extras.kind)

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

    def in_loop(self, work: Callable[..., None], *args: Any) -> None:
        """Have the loop do something; from any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
                self._loop.call_soon_threadsafe(work, *args)

    def call_aside(self, call: Call) -> Any:
        """A call that does not go by the loop, tried once; from any other thread. Raises CoordinatorError."""
        return self._keeper_store.call(call, 0.0)

    async def run(self, operation: Operation[T], retry_for: float | None = None) -> T:
        """Carry out an operation. A cancellation is thrown into it, and what it still asks for is done, shielded.
        `retry_for`: seconds for which its calls are repeated, if not as in the settings. Raises ClientClosed,
        WrongLoop."""
        if self._closed or asyncio.get_running_loop() is not self._loop:
            self._enter(operation)
        self.on_use(clock.now())
        reply: Any = None
        failure: BaseException | None = None
        step: Step | None = None
        interrupted = False
        task = asyncio.current_task()
        cancels = task.cancelling() if task else 0
        while True:
            try:
                step = advance(operation, reply, failure, step is None)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
            finally:
                reply = failure = None
            try:
                if not isinstance(step, AWAITED):
                    # Not awaited, so that a cancellation cannot come in between and have it undone.
                    reply = self._note(step)
                    continue
                work = self._perform(step, retry_for)
                reply = await (asyncio.shield(asyncio.ensure_future(work)) if interrupted else work)
            except asyncio.CancelledError as error:
                failure, interrupted = error, True
            except BaseException as error:
                failure = error
            if task and task.cancelling() > cancels and not interrupted:
                # Before Python 3.12 `asyncio.wait_for`, under which redis-py sends, may swallow a cancellation.
                failure, interrupted = asyncio.CancelledError(), True

    def _enter(self, operation: Operation[Any]) -> None:
        """The first use, or none that can be: connections and futures are those of one loop."""
        if self._closed:
            operation.close()
            raise ClientClosed
        if self._loop is not None:
            operation.close()
            raise WrongLoop(self._loop, self._loop.is_closed())
        self._loop = asyncio.get_running_loop()

    def in_passing(self, operation: Operation[None]) -> None:
        """Carry out an operation that nobody waits for, with each call tried once. On the loop only."""
        task = asyncio.get_running_loop().create_task(self.run(operation, 0.0))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def park(self, call: Call, answered: Answered) -> bool:
        """Have the server carry out a call when the next message for this session comes, or soon (see `inbox`).
        `answered` is told its reply or a StoreUnavailable. False if that cannot be done here."""
        if self._inbox is None or not self.store.programs.known or self.settings.acknowledged_by:
            return False
        return self._inbox.park(self.store.programs.words(call), answered)

    async def session(self, lost: str = "", retry_for: float | None = None) -> str:
        """The live session, opened in a thread if there is none; see `Keeper.ensure`."""
        current = self.keeper.session
        if current and current != lost:
            return current
        async with self._opening:
            return await asyncio.to_thread(self.keeper.ensure, lost, retry_for)

    async def close(self) -> None:
        """End the session in good order and close all connections. Safe to call twice, and when its loop is closed.
        Raises WrongLoop."""
        if self._closed:
            return
        try:
            await self.run(self.on_close(clock.now()), 0.0)
        except WrongLoop as error:
            if not error.closed:
                raise
        self._closed = True
        await asyncio.gather(*self._background, return_exceptions=True)
        await asyncio.to_thread(self.keeper.close)
        self.postman.tell_all(SESSION_LOST)
        if self._listener is not None:
            await _end(self._listener)
        await self.store.close()
        self._keeper_store.close()

    def _perform(self, step: Call | Stream | Wait | Session, retry_for: float | None) -> Coroutine[Any, Any, Any]:
        if failpoints.on:
            failpoints.reach("driver.before_step")
        if isinstance(step, Call):
            return self._call(step, retry_for)
        if isinstance(step, Session):
            return self._session(step, retry_for)
        if isinstance(step, Wait):
            return self._wait(step)
        return self.store.stream(step)

    async def _session(self, step: Session, retry_for: float | None) -> tuple[str, float]:
        return await self.session(step.lost, retry_for), clock.now()

    async def _wait(self, step: Wait) -> Words | None:
        slot = self.postman.slot(step.ident, step.reader)
        return await slot.get(step.seconds) if isinstance(slot, AsyncSlot) else FORGOTTEN

    async def _call(self, call: Call, retry_for: float | None) -> Any:
        began = clock.now()
        try:
            return await self.store.call(call, retry_for)
        except CoordinatorError:
            self.meter.count("call.failed")
            raise
        finally:
            self.meter.observe("call.time", clock.now() - began)

    def _note(self, step: Step) -> str | float | None:
        # No `match`: to look at the parts of a step takes it longer than all the rest.
        if isinstance(step, Expect):
            return self.postman.keep(step.ident, AsyncSlot(), step.own)
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

    # --- called by the keeper's threads

    def _opened(self, session: str) -> None:
        self.in_loop(self._new_inbox, session)

    def _session_lost(self, session: str) -> None:
        self.in_loop(self.postman.tell_all, (*SESSION_LOST, session))

    def _mail(self, sent: int, waiting: int) -> None:
        self.in_loop(self._check_mail, sent, waiting)

    def _beaten(self, session: str) -> None:
        self.learner.report(session)
        self.teller.tell(session)

    def _configuration(self) -> Configuration:
        return configuring.read(self.call_aside(calls.config(self.scope)))

    def _adopt(self, settings: Settings) -> None:
        self.scope = Scope.of(settings.namespace, settings.terms(), settings.acknowledged_by is None)
        self.keeper.adopt(self.scope)
        self.learner.adopt(settings, self.scope)
        self.near.adopt(settings.coalescing)

    # --- on the loop

    def _lost(self, ident: str, fence: int, why: str) -> None:
        self.keeper.lose(ident, fence, why)

    def _check_mail(self, sent: int, waiting: int) -> None:
        tally = self.postman.tally
        behind, stuck = tally.behind(sent, waiting), tally.stuck(waiting, clock.now())
        if behind:
            self.postman.tell_all(RESYNC)
        if stuck:
            self._doubt(tally, tally.arrived)
        elif behind and self._loop is not None:
            # A message on its way looks as if it were lost, and would be if its connection were given up.
            self._loop.call_later(ON_ITS_WAY_SECONDS, self._doubt, tally, tally.arrived)

    def _doubt(self, tally: Tally, arrived: int) -> None:
        """Nothing more is believed of a connection that has lost a message and brought none since, and nothing parked
        on it."""
        if tally is self.postman.tally and tally.arrived == arrived and self.keeper.session and not self._closed:
            self._listen_to(self.keeper.session)

    def _new_inbox(self, session: str) -> None:
        self.postman.new_session()
        self._listen_to(session)

    def _listen_to(self, session: str) -> None:
        if self._listener is not None:
            self._listener.cancel()
        inbox = key(self.scope.namespace, "INBOX", session)
        self._listener = asyncio.get_running_loop().create_task(self._listen(inbox))

    async def _listen(self, name: str) -> None:
        reads, patience = self._extras.reads, self.settings.operation_timeout
        client = async_client(self.target, reads + patience, 1)
        inbox = self._inbox = AsyncInbox(client, name, reads, patience)
        pause = 0.0
        try:
            while self._listener is asyncio.current_task():
                # Also without a pause: whoever was told something acts before this listens again.
                await asyncio.sleep(pause)
                try:
                    await self._hear(inbox)
                    pause = 0.0
                except (*FAILED, *UNREADABLE) as error:
                    log.debug("listening failed: %s", error)
                    pause = min(0.5, pause * 2 + 0.05)
                    self.postman.tell_all(RESYNC)
        finally:
            await inbox.close()
            await close_async(client)

    async def _hear(self, inbox: AsyncInbox) -> None:
        asked = clock.now()
        if failpoints.on:
            failpoints.reach("listener.before_read")
        found = await inbox.read(self._heard)
        if found and clock.now() - asked < BURST_SECONDS:
            self.postman.deliver_all(await inbox.rest())

    def _heard(self, message: object) -> None:
        if failpoints.on:
            failpoints.reach("listener.after_read")
        self.postman.deliver(message)


_live: weakref.WeakSet[AsyncDriver] = weakref.WeakSet()
_parents: list[object] = []


def _restart_all() -> None:
    for driver in list(_live):
        driver.after_fork()


os.register_at_fork(after_in_child=_restart_all)


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel a task until it has ended. Once is not enough: redis-py sends under `asyncio.wait_for`, which before
    Python 3.12 swallows a cancellation that comes at the moment when the sending is done."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.1)
    if not task.cancelled():
        task.exception()
