"""The engine on a real server, and the checks that every script test ends with."""

from collections.abc import Iterator

import pytest
import redis

from tests.scripts.keyspace import Keyspace
from tests.support.defining import Defining
from tests.support.engine import Engine


@pytest.fixture
def engine(raw: redis.Redis, namespace: str, request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A namespace of the test's own. Afterwards its keys must hold together, and the replies that the test is said to
    reach (`@reaches`) must have been given."""
    one = Engine(raw, namespace)
    yield one
    missing: set[tuple[str, str]] = getattr(request.function, "reached", set()) - one.seen
    assert not missing, f"never answered: {sorted(missing)}"
    assert Keyspace(namespace, one.census(), one.now).faults() == []


@pytest.fixture
def define(engine: Engine) -> Defining:
    """Says how resources are granted; the session `s` is there to ask for them."""
    engine.open("s")
    return Defining(engine)
