"""Fixtures for tests that drive the engine by its calls, under a clock of their own."""

from __future__ import annotations

import fakeredis
import pytest

from tests.property.driver import Driver
from tests.property.engine import Engine


@pytest.fixture
def driver(namespace: str) -> Driver:
    """A namespace of its own on an imitation of Redis, with two sessions open."""
    return Driver(Engine(fakeredis.FakeRedis(version=(6, 2)), namespace, shebang=False), namespace)
