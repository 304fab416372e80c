"""One worker: the place where its parts are put together, and the order in which they end.

Read it to know the process: the *exchange* claims jobs for free slots and reports outcomes, the *executor* runs them,
the *listener* hears bells and cancellations, the *pulse* publishes what is measured, the *spares* offer to other
workers what cannot begin here, the driver's *keeper* renews the session in threads of its own.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from coordinator.drivers import failpoints
from coordinator.drivers.aio import AsyncDriver
from coordinator.drivers.extras import Extras
from coordinator.drivers.messages import READ_SECONDS
from coordinator.drivers.teller import GATES
from coordinator.errors import AccessDenied, ConfigError, CoordinatorError, Corrupt
from coordinator.metrics.publisher import Options, Publisher
from coordinator.metrics.recorder import Recorder
from coordinator.metrics.sample import Origin
from coordinator.model.names import milliseconds, one_of, whole
from coordinator.ops import configuring, timing
from coordinator.settings import Settings
from workers.desk import Desk
from workers.exchange import PARKED, Exchange
from workers.executor import Executor
from workers.listener import Listener
from workers.pulse import Pulse
from workers.registry import Registry
from workers.served import Served
from workers.spares import Spares

log = logging.getLogger(__name__)

MAX_CONCURRENCY = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """How a worker works. Durations in seconds. Raises InvalidInput.

    `queues` defaults to those of the handlers; with weights, `["default=3", "bulk=1"]`, they share the worker.
    `concurrency` is how many jobs run at once; `process_slots` how many of them in processes. `grace` is how long
    running handlers may take to finish when the worker is told to stop. `poll` is how often a worker that hears nothing
    looks for work all the same.
    """

    queues: tuple[str, ...] = ()
    concurrency: int = 64
    grace: float = 25.0
    process_slots: int = os.cpu_count() or 1
    poll: float = 5.0

    def __post_init__(self) -> None:
        Served.of(self.queues)
        whole(self.concurrency, "concurrency", 1, MAX_CONCURRENCY)
        whole(self.process_slots, "process_slots", 1, MAX_CONCURRENCY)
        milliseconds(self.grace, "grace")
        milliseconds(self.poll, "poll", least=0.01)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Options by name. Raises InvalidInput."""
        for name in given:
            one_of(name, "option", tuple(cls.__dataclass_fields__))
        queues = given.get("queues") or ()
        return cls(**{**given, "queues": (queues,) if isinstance(queues, str) else tuple(queues)})


class Worker:
    """Runs the jobs of some queues, in this process and on this event loop.

        async with Worker(registry, url="redis://...", queues=["default", "mail"]):
            ...
        await Worker(registry).run()    # until `stop_soon` is called or the task is cancelled

    A worker that is told to stop claims nothing more, hands back what has not begun, lets handlers finish for `grace`
    seconds, then cancels them and hands back their jobs, none of which costs a job an attempt. `desk`: its slots, if
    they are shared with others (`Shards`).
    Raises ConfigError, InvalidInput; on starting UnsafeServer, StoreUnavailable.
    """

    def __init__(
        self,
        registry: Registry,
        url: str | None = None,
        namespace: str | None = None,
        settings: Settings | None = None,
        desk: Desk | None = None,
        **options: Any,
    ) -> None:
        chosen = WorkerOptions.of(options)
        if not len(registry):
            raise ConfigError(["the registry has no handlers"])
        served = Served.of(chosen.queues or registry.queues)
        self.options = chosen
        client = Settings.of_client(settings, namespace)
        gates = ((GATES + name, told) for name, told in _gates(registry, client).items())
        fields = (("queues", " ".join(served.names)), ("concurrency", str(chosen.concurrency)), *gates)
        reads = min(READ_SECONDS, chosen.poll, PARKED * client.session_ttl)
        extras = Extras(kind="worker", fields=fields, started=self._begun, claiming=self._claiming, reads=reads)
        self._driver = AsyncDriver(url, client, extras)
        self._driver.live.on_change(lambda changed: self._driver.teller.change(_gates(registry, changed)))
        self._desk = desk or Desk(chosen.concurrency)
        self._executor = Executor(registry, self._driver, self._desk, chosen.process_slots)
        self._exchange = Exchange(self._driver, self._desk, self._executor, served.words(client.queues))
        self._driver.live.on_change(lambda changed: self._exchange.serve(served.words(changed.queues)))
        self._listener = Listener(self._driver, self._desk, self._executor, chosen.poll)
        self._spares = Spares(self._driver, self._desk, self._executor, self._exchange)
        self._pulse = self._measuring()
        self._asked, self._hurry = asyncio.Event(), asyncio.Event()
        self._stopping: asyncio.Task[None] | None = None

    @property
    def session(self) -> str:
        """The id of the worker's live session, or empty."""
        return self._driver.keeper.session

    def stop_soon(self) -> None:
        """Ask to stop; asked a second time, running handlers are not waited for. To be called on the loop."""
        if self._asked.is_set():
            self._hurry.set()
            log.info("asked to stop again: running handlers are not waited for")
        else:
            self._asked.set()
            log.info("asked to stop: no more jobs are claimed")
        self._exchange.stop_claiming()

    async def run(self) -> None:
        """Work until asked to stop, then stop in good order."""
        await self.start()
        waits = [asyncio.ensure_future(one) for one in (self._asked.wait(), self._exchange.failed())]
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()
        finally:
            for one in waits:
                one.cancel()
            await self.stop()

    async def start(self) -> None:
        """Open the session and begin to claim."""
        # Before the session, which is opened with what follows from it.
        await self._take_over()
        await self._driver.session()
        await self._learn_timeouts()
        log.info("worker started: session %s on %s", self.session, self._driver.target.shown)
        if failpoints.on:
            failpoints.reach("worker.before_start")
        # The executor before those that give it work, the exchange last: from then on jobs come.
        services = (self._executor.lessons, self._executor, self._listener, self._pulse, self._spares, self._exchange)
        for service in filter(None, services):
            await service.start()
        if failpoints.on:
            failpoints.reach("worker.after_start")

    async def stop(self) -> None:
        """Stop in good order; also called by several at once, or before the start. A cancellation hurries it."""
        if self._stopping is None:
            self._asked.set()
            self._stopping = asyncio.get_running_loop().create_task(self._stop())
        try:
            await asyncio.shield(self._stopping)
        except asyncio.CancelledError:
            self._hurry.set()
            await self._stopping
            raise

    async def _stop(self) -> None:
        if failpoints.on:
            failpoints.reach("worker.before_stop")
        try:
            # Nothing new, and what has not begun goes back at once, so that another worker need not wait for us.
            self._exchange.stop_claiming()
            await self._spares.stop()
            self._executor.release_waiting()
            if failpoints.on:
                failpoints.reach("worker.after_release")
            # Outcomes flow out all the while: the exchange still runs, the listener still hears cancellations.
            await self._let_finish()
            await self._executor.release_all()
            # Processes are killed and threads given up before the session ends: no handler outlives its lease.
            await self._executor.stop()
            await self._executor.lessons.stop()
            await self._listener.stop()
            # Now every job has an outcome; each is recorded, or void because the lease ended first.
            await self._exchange.stop()
            if self._pulse is not None:
                await self._pulse.stop()
            if failpoints.on:
                failpoints.reach("worker.before_session_end")
        finally:
            # The session last: until here the leases hold. What it still has (a claim whose reply never came) is
            # handed back by closing it.
            await self._driver.close()
        log.info("worker stopped")

    async def _take_over(self) -> None:
        """What was changed for the fleet, before the first job. Later changes come with the heartbeats."""
        driver, known = self._driver, self._driver.live.version
        try:
            driver.live.take(await driver.run(configuring.look(driver.scope)), known)
        except (AccessDenied, Corrupt) as error:
            log.warning("the fleet's configuration cannot be read: %s", error)

    async def _learn_timeouts(self) -> None:
        """What the fleet knows already. Without it a handler begins at its base, and learns within seconds."""
        driver = self._driver
        try:
            await driver.run(timing.ask(driver.scope, driver.learner, self._executor.times.adaptive))
        except CoordinatorError as error:
            log.warning("the fleet's timeouts are not known yet: %s", error)

    def _measuring(self) -> Pulse | None:
        driver = self._driver
        if not driver.settings.metrics.enabled:
            return None

        def options() -> Options:
            return Options.of(driver.settings.metrics)

        driver.meter = recorder = Recorder()
        origin = Origin(driver.new_id(), **driver.described)
        publisher = Publisher(driver.scope, recorder, options, origin, driver.now())
        return Pulse(driver, self._desk, self._executor, self._exchange.sizes, publisher)

    def _begun(self) -> Iterable[tuple[str, str]]:
        return self._executor.begun()

    def _claiming(self) -> float:
        return self._exchange.asked_at

    async def _let_finish(self) -> None:
        waits = [asyncio.ensure_future(one) for one in (self._executor.finished(), self._hurry.wait())]
        await asyncio.wait(waits, timeout=self.options.grace, return_when=asyncio.FIRST_COMPLETED)
        for one in waits:
            one.cancel()

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def _gates(registry: Registry, settings: Settings) -> dict[str, str]:
    """What the server is told of the gates of each handler."""
    return {one.name: one.gates.to_wire(one.name, settings.gate_defaults()) for one in registry}
