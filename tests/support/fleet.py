"""A worker's surroundings, played by hand: a driver without Redis, and what is asked of it."""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from coordinator import AsyncCoordinator, State
from coordinator.drivers.learner import Habits, Learner
from coordinator.errors import JobFailed
from coordinator.metrics.recorder import Recorder
from coordinator.model import codec
from coordinator.model.measures import NoMeter
from coordinator.ops.fleet import Claimed
from coordinator.settings import Settings
from coordinator.wire.calls import Scope
from coordinator.wire.step import Call, Now, Session
from tests.support.until import LOOK, lost_since
from workers import Registry, Worker


async def until_async(condition: Callable[[], Any], seconds: float = 10.0, what: str = "") -> Any:
    """The first true value of `condition`, which may be a coroutine function; fails after `seconds`."""
    ends = time.monotonic() + seconds
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        before = time.monotonic()
        if before > ends:
            raise AssertionError(f"not within {seconds} s: {what or condition}")
        await asyncio.sleep(LOOK)
        ends += lost_since(before)


class Fleet:
    """A client and workers of one namespace."""

    def __init__(self, url: str, settings: Settings, stack: AsyncExitStack) -> None:
        self.url, self.settings, self._stack = url, settings, stack
        self.client = AsyncCoordinator.connect(url, settings=settings)

    async def worker(self, registry: Registry, **options: Any) -> Worker:
        """A worker that ends with the test."""
        given = {"queues": "default", "process_slots": 1, "poll": 0.5, **options}
        return await self._stack.enter_async_context(Worker(registry, self.url, None, self.settings, **given))

    async def state(self, ticket: Any, state: State) -> None:
        """Wait until a job is in a state."""

        async def reached() -> bool:
            return bool(await ticket.state() == state)

        await until_async(reached, what=f"{ticket} {state}")

    async def why(self, ticket: Any, seconds: float = 10) -> tuple[str, str]:
        """How a job ended without success, and why."""
        with pytest.raises(JobFailed) as caught:
            await ticket.result(seconds)
        return caught.value.state, caught.value.why

    async def idle(self, workers: int = 1) -> None:
        """Wait until so many workers have said that they have nothing to do."""

        async def reached() -> bool:
            queues = (await self.client.survey()).queues
            return bool(queues) and queues[0].idle_workers == workers

        await until_async(reached)


class FakeKeeper:
    """Remembers what is held."""

    def __init__(self) -> None:
        self.session = "s1"
        self.trusted_until = math.inf
        self.held: dict[str, Any] = {}

    def hold_all(self, holdings: Iterable[Any]) -> None:
        self.held |= {one.ident: one for one in holdings}

    def let_go_all(self, idents: Iterable[str]) -> None:
        for ident in idents:
            self.held.pop(ident, None)


class FakeDriver:
    """Runs operations; `answer` plays the server: it is given each call and returns a reply or an error to raise."""

    def __init__(self, **settings: Any) -> None:
        self.settings = Settings.of(namespace="fake", **settings)
        self.scope = Scope.of("fake", self.settings.terms())
        self.keeper = FakeKeeper()
        self.meter = Recorder()
        self.postman = SimpleNamespace(on_bell=None, on_cancel=None)
        self.calls: list[Call] = []
        self.answer: Callable[[Call], Any] = lambda call: ["ok", [], []] if call.script == "settle" else ["ok"]
        self.time = 0.0
        # Claims that were parked, with what is to be told of each; None: this server parks nothing.
        self.parked: list[tuple[Call, Callable[[Any], None]]] | None = None
        no_store: Any = None  # it is never told to report
        self.learner = Learner(Habits(), no_store, self.scope, NoMeter)
        # How often a call gives way to the loop before it is answered: a store is slower than a handler that does
        # nothing.
        self.turns = 1

    def now(self) -> float:
        return self.time

    def hold(self, holding: Any) -> None:
        self.keeper.held[holding.ident] = holding

    def park(self, call: Call, answered: Callable[[Any], None]) -> bool:
        if self.parked is None:
            return False
        self.parked.append((call, answered))
        return True

    def in_loop(self, work: Callable[..., None], *args: Any) -> None:
        asyncio.get_running_loop().call_soon_threadsafe(work, *args)

    async def run(self, operation: Any) -> Any:
        reply: Any = None
        while True:
            try:
                step = operation.send(reply)
            except StopIteration as done:
                return done.value
            reply = await self._perform(step)

    async def _perform(self, step: Any) -> Any:
        if isinstance(step, Session):
            return self.keeper.session, self.time
        if isinstance(step, Now):
            return self.time
        self.calls.append(step)
        for _ in range(self.turns):
            await asyncio.sleep(0)
        reply = self.answer(step)
        if isinstance(reply, Exception):
            raise reply
        return reply


class LoopDriver(FakeDriver):
    """A fake driver whose loop is known, so that threads can reach it."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._loop = asyncio.get_running_loop()

    def in_loop(self, work: Callable[..., None], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(work, *args)


def claimed(ident: str = "j-1", name: str = "job", payload: Any = None, **more: Any) -> Claimed:
    """A job as a claim hands it out."""
    fields = {"fence": 7, "queue": "default", "payload": codec.pack(payload, "payload", 10_000), **more}
    return Claimed(ident, name=name, **fields)


def wire(one: Claimed) -> list[Any]:
    """The same as it stands in a reply."""
    words = [one.ident, str(one.fence), one.name, one.queue, one.priority, one.attempts, one.deliveries]
    words += ["" if not one.run_ms else str(one.run_ms), one.retry, one.needs, one.metadata]
    sent = [word.encode() if isinstance(word, str) else word for word in words]
    return [*sent, one.payload, one.dedup.encode(), one.waited_ms]
