"""A call that fails leaves nothing for the collector: what broke is let go of at once, sockets and buffers with it."""

import asyncio
import contextlib
import gc
import inspect
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from coordinator import Settings
from coordinator.drivers.aio import AsyncDriver
from coordinator.drivers.sync import SyncDriver
from coordinator.errors import CoordinatorError
from coordinator.wire.step import Call, Operation

CALL = Call("holders", "co:{n}:meta", ())
NOWHERE = "unix:///nowhere.sock"


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Broken:
    """An exchange that breaks a few times, and remembers the errors for as long as anybody has them."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.errors: list[weakref.ref[BaseException]] = []

    def __call__(self, *_words: Any) -> Any:
        if self.left:
            self.left -= 1
            error = redis.exceptions.ConnectionError("the connection broke")
            self.errors.append(weakref.ref(error))
            try:
                raise error
            finally:
                del error
        return [b"ok"]

    async def later(self, *words: Any) -> Any:
        return self(*words)


def operation() -> Operation[Any]:
    return (yield CALL)


@pytest.mark.parametrize("breaks", [1, 3, 1000])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_error_is_gone_once_its_call_is_over(kind: str, breaks: int) -> None:
    driver: Any = (SyncDriver if kind == "sync" else AsyncDriver)(NOWHERE, Settings.of(retry_for=0.05))
    exchange = Broken(breaks)
    programs = "_programs" if kind == "sync" else "programs"
    getattr(driver.store, programs).known = True
    driver.store._exchange = exchange if kind == "sync" else exchange.later

    async def use() -> None:
        with contextlib.suppress(CoordinatorError):
            made = driver.run(operation())
            if inspect.isawaitable(made):
                await made

    asyncio.run(use())
    assert exchange.errors
    assert [one() for one in exchange.errors if one()] == []
