"""Fixtures every test may use: a private real server for each test process, and a namespace for each test.

Nothing is ever flushed: tests keep apart by namespace, as applications do, and so can run side by side.
"""

import contextlib
import logging
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import redis

from coordinator.drivers import tls
from coordinator.drivers.embedded import EmbeddedServer
from tests.support.health import assert_healthy
from tests.support.server import chosen_server, plain_client

TESTS = Path(__file__).parent
UNIT = TESTS / "unit"
# What these look at is above the scripts: it is the same on every server on which the scripts do what their own tests,
# which run on each, say.
ANY_VERSION = {TESTS / name for name in ("acceptance", "bench", "integration", "property", "security")}
# Another sample in each run: many short runs see more than a few long ones.
hypothesis.settings.register_profile("sample", max_examples=40)
if os.environ.get("COORDINATOR_TEST_LONG") != "1":
    hypothesis.settings.load_profile("sample")
# A shell has what it starts in the background ignore the first two, and nohup the third, and so would every process
# that a test starts.
for ignored in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    if signal.getsignal(ignored) is signal.SIG_IGN:
        signal.signal(ignored, signal.default_int_handler if ignored is signal.SIGINT else signal.SIG_DFL)
EXAMINED = {TESTS / "integration", TESTS / "acceptance"}


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What is left out whole for a second server need not be read: that takes each test process some seconds."""
    again = {"not no_redis", "not any_version"} <= set(config.option.markexpr.split(" and "))
    return True if again and collection_path in {UNIT, *ANY_VERSION} else None


@pytest.hookimpl(tryfirst=True)  # before `-m` selects by the mark set here
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if UNIT in item.path.parents:
            item.add_marker("no_redis")
        if ANY_VERSION & {item.path, *item.path.parents}:
            item.add_marker("any_version")
        used = {"redis_server", "fresh_server"} & set(getattr(item, "fixturenames", ()))
        if used and item.get_closest_marker("no_redis"):
            raise pytest.UsageError(f"{item.nodeid} is marked no_redis but uses {', '.join(sorted(used))}")


@pytest.fixture(scope="session")
def redis_server() -> Iterator[EmbeddedServer]:
    """One server for the whole of this test process; a test that stops or stalls it takes `fresh_server`."""
    with EmbeddedServer(binary=chosen_server()) as server:
        yield server


@pytest.fixture(scope="session")
def redis_url(redis_server: EmbeddedServer) -> str:
    return redis_server.url


@pytest.fixture
def namespace() -> str:
    """A name no other test has. Not from `random`, whose seed is set anew, and alike, before each test."""
    return f"t-{secrets.token_hex(6)}"


@pytest.fixture
def raw(redis_url: str) -> Iterator["redis.Redis"]:
    """A plain client, to look at what is really there."""
    with contextlib.closing(plain_client(redis_url)) as client:
        yield client


@pytest.fixture(autouse=True)
def loggers_are_as_they_were() -> Iterator[None]:
    """A command is a process of its own and says how much it logs; called within a test's process it would say so for
    all tests that come after."""
    loggers = [logging.getLogger(name) for name in ("coordinator", tls.__name__)]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture(autouse=True)
def namespace_is_left_in_order(request: pytest.FixtureRequest) -> Iterator[None]:
    """After every integration and acceptance test the doctor finds nothing in its namespace. After every test what is
    in it goes: others look for their keys among all there are.

    Set up before the test's own fixtures, and so the last to end: clients are closed by then. Tests that plant faults
    on purpose are marked `plants_faults`.
    """
    if not {"namespace", "redis_url"} <= set(request.fixturenames):
        yield
        return
    url, namespace = request.getfixturevalue("redis_url"), request.getfixturevalue("namespace")
    yield
    try:
        if EXAMINED & set(request.node.path.parents) and not request.node.get_closest_marker("plants_faults"):
            assert_healthy(url, namespace)
    finally:
        with contextlib.closing(plain_client(url)) as client:
            left = list(client.scan_iter(match=f"*{namespace}*", count=1000))
            if left:
                client.unlink(*left)


@pytest.fixture
def fresh_server() -> Iterator[EmbeddedServer]:
    """A server of the test's own, with data on disk: started again, it has the same address and data."""
    folder = tempfile.mkdtemp(prefix="co-")  # short, so that the socket is inside it
    try:
        with EmbeddedServer(Path(folder), binary=chosen_server(), config={"appendfsync": "always"}) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)
