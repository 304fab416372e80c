"""A message on its way looks as if it were lost: its connection must not be given up for that, or it is."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from coordinator import AsyncCoordinator
from coordinator.drivers.aio import ON_ITS_WAY_SECONDS, AsyncDriver
from coordinator.drivers.messages import RESYNC
from coordinator.settings import Settings


@pytest.fixture
async def driver(redis_url: str, settings: Settings) -> AsyncIterator[AsyncDriver]:
    async with AsyncCoordinator.connect(redis_url, settings=settings) as co:
        await (await co.acquire("r")).release()
        yield co._driver


async def looked() -> None:
    """The driver has looked whether the message has come: its timer was set before this one."""
    over = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(ON_ITS_WAY_SECONDS, over.set_result, None)
    await over


async def test_a_connection_that_brings_the_message_stays(driver: AsyncDriver) -> None:
    listener = driver._listener
    driver._check_mail(driver.postman.tally.arrived + 1, 0)
    driver.postman.deliver("bell")
    await looked()
    assert driver._listener is listener


async def test_one_that_brings_nothing_is_given_up_and_all_look_at_once(
    driver: AsyncDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener, told = driver._listener, []
    monkeypatch.setattr(driver.postman, "tell_all", told.append)
    driver._check_mail(driver.postman.tally.arrived + 1, 0)
    assert told == [RESYNC]
    await looked()
    assert driver._listener is not listener
