"""Clients of both kinds, a namespace to break by hand, and settings with keys."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from typing import Any

import pytest

from coordinator import Settings
from tests.support.faces import connected
from tests.support.fleet import Fleet
from tests.support.scene import scene

__all__ = ["scene"]  # a fixture of some tests here


@pytest.fixture
def settings(namespace: str) -> Settings:
    """Fast clocks, and no waiting for a server that will not come."""
    return Settings.of(namespace=namespace, session_ttl=2.0, sweep_interval=0.2, operation_timeout=2.0, retry_for=1.0)


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def connect(kind: str, redis_url: str, settings: Settings) -> Iterator[Callable[..., Any]]:
    """Makes clients of the test's kind on the test's namespace; all are closed at the end."""
    with ExitStack() as stack:

        def make(**changes: Any) -> Any:
            return stack.enter_context(connected(kind, redis_url, settings.model_copy(update=changes)))

        yield make


@pytest.fixture
async def fleets(redis_url: str, settings: Settings) -> AsyncIterator[Callable[..., Fleet]]:
    """Makes fleets with changed settings; they end with the test."""
    async with AsyncExitStack() as stack:

        def make(**changes: Any) -> Fleet:
            fleet = Fleet(redis_url, settings.model_copy(update=changes), stack)
            stack.push_async_callback(fleet.client.close)
            return fleet

        yield make
