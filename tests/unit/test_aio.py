"""The asyncio driver and cancellations."""

import asyncio
from typing import Any

import pytest

from coordinator import Settings
from coordinator.drivers.aio import AsyncDriver
from coordinator.errors import WrongLoop
from coordinator.wire.step import Now, Operation, Session, Step


class Deaf(AsyncDriver):
    """A driver whose first step swallows a cancellation, as redis-py's sending may."""

    def __init__(self) -> None:
        super().__init__("unix:///nowhere.sock", Settings.of())
        self.performing = asyncio.Event()
        self.steps: list[Step] = []

    async def _perform(self, step: Step, retry_for: float | None = None) -> Any:
        self.steps.append(step)
        if len(self.steps) == 1:
            self.performing.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return 1.0
        return 2.0


def operation() -> Operation[str]:
    try:
        yield Session()
    except BaseException:
        yield Session()  # the cleaning up
        raise
    return "as if nothing had happened"


async def test_a_swallowed_cancellation_still_ends_the_operation_and_cleans_up() -> None:
    driver = Deaf()
    task = asyncio.create_task(driver.run(operation()))
    await driver.performing.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(driver.steps) == 2
    await driver.close()


async def test_a_timeout_around_it_is_a_timeout() -> None:
    driver = Deaf()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await driver.run(operation())
    await driver.close()


def looking() -> Operation[float]:
    now: float = yield Now()
    return now


def test_a_client_works_on_one_loop_and_says_so_on_another() -> None:
    driver = AsyncDriver("unix:///nowhere.sock", Settings.of())

    async def elsewhere() -> None:
        with pytest.raises(RuntimeError):
            await driver.close()

    async def first() -> None:
        await driver.run(looking())
        await driver.run(looking())
        await asyncio.to_thread(asyncio.run, elsewhere())

    async def second() -> None:
        with pytest.raises(WrongLoop, match=r"used on another event loop, .*: connect a client in each") as caught:
            await driver.run(looking())
        assert caught.value.closed
        await driver.close()

    asyncio.run(first())
    asyncio.run(second())
    assert driver.closed
