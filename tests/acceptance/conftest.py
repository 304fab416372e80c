"""What the tests of the command line share: commands, and a client beside them."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from coordinator import Coordinator
from tests.support.cli import Cli


@pytest.fixture
def co(redis_url: str, namespace: str) -> Iterator[Coordinator]:
    """Another process's client, as far as the server can tell."""
    with Coordinator.connect(redis_url, namespace) as client:
        yield client


@pytest.fixture
def cli(redis_url: str, namespace: str) -> Iterator[Cli]:
    """The command line on the test's namespace; what it started ends with the test."""
    with closing(Cli(redis_url, namespace)) as made:
        yield made
