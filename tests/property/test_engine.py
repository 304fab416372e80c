"""The engine against its model, on an imitation of Redis and on a real server."""

from __future__ import annotations

import fakeredis
import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.property.engine import Engine
from tests.property.machine import EngineMachine

PROFILE = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


def test_on_an_imitation() -> None:
    client = fakeredis.FakeRedis(version=(6, 2))

    class OnImitation(EngineMachine):
        def connect(self, namespace: str) -> Engine:
            return Engine(client, namespace, shebang=False)

    run_state_machine_as_test(OnImitation, settings=PROFILE)


def test_on_a_server(raw: redis.Redis) -> None:
    shebang = int(raw.info()["redis_version"].split(".")[0]) >= 7

    class OnServer(EngineMachine):
        def connect(self, namespace: str) -> Engine:
            return Engine(raw, namespace, shebang)

    run_state_machine_as_test(OnServer, settings=PROFILE)
