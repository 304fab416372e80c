"""A watch while the server is away."""

from __future__ import annotations

from typing import Any, cast

import pytest

from coordinator import Settings
from coordinator.awatches import AsyncWatch
from coordinator.drivers import follower
from coordinator.drivers.connect import locate
from coordinator.errors import ClientClosed, StoreUnavailable, UnknownOutcome
from coordinator.ops.history import Happening
from coordinator.ops.watching import Page
from coordinator.watches import Watch

pytestmark = pytest.mark.no_redis

GRANT = (Happening("2-1", 0.0, "grant", "r", {}), "x1:a")
# The server comes back without what it had.
LIFE = (
    *(Page(0.0, "1-1", False, ()), StoreUnavailable("away"), UnknownOutcome("broken")),
    *(Page(0.0, "2-1", True, (GRANT,)), ClientClosed()),
)


class Driver:
    """Answers as it was told to, one after the other."""

    def __init__(self) -> None:
        self.settings, self.target, self.scope = Settings.of(), locate("redis://nowhere"), None
        self.answers, self.closed = list(LIFE), False

    def answer(self, operation: Any) -> Any:
        operation.close()
        found = self.answers.pop(0)
        if isinstance(found, ClientClosed):
            self.closed = True
        if isinstance(found, Exception):
            raise found
        return found


class SyncDriver(Driver):
    run = Driver.answer


class AsyncDriver(Driver):
    async def run(self, operation: Any) -> Any:
        return self.answer(operation)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "PAUSE_SECONDS", 0.0)


def test_it_goes_on_when_the_server_is_back() -> None:
    found = list(Watch(cast("Any", SyncDriver()), "a", ""))
    assert [(one.what, one.ident) for one in found] == [("gap", "1-1"), ("granted", "2-1")]


async def test_so_does_the_one_for_asyncio() -> None:
    found = [one async for one in AsyncWatch(cast("Any", AsyncDriver()), "a", "")]
    assert [(one.what, one.ident) for one in found] == [("gap", "1-1"), ("granted", "2-1")]
