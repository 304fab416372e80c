"""Clients on a real server, of both kinds."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from coordinator import Settings
from tests.support.faces import connected
from tests.support.scene import scene

__all__ = ["scene"]  # a fixture of every test here


@pytest.fixture
def settings(namespace: str) -> Settings:
    """Fast clocks, so that tests of death do not take long."""
    return Settings.of(namespace=namespace, session_ttl=2.0, sweep_interval=0.2, operation_timeout=2.0)


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def connect(kind: str, redis_url: str, settings: Settings) -> Iterator[Callable[..., Any]]:
    """Makes clients of the test's kind on the test's namespace; all are closed at the end."""
    with ExitStack() as stack:

        def make(**changes: Any) -> Any:
            chosen = settings.model_copy(update=changes)
            return stack.enter_context(connected(kind, redis_url, chosen))

        yield make


@pytest.fixture
def co(connect: Callable[..., Any]) -> Any:
    return connect()


@pytest.fixture
def other(connect: Callable[..., Any]) -> Any:
    """Another process's client, as far as the server can tell."""
    return connect()
