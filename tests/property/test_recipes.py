"""Latches and barriers against their models, on a real server."""

import pytest
import redis
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.property.engine import Engine
from tests.property.machine_gather import BarrierMachine, GatherMachine, LatchMachine
from tests.property.test_engine import EXAMPLES, PROFILE


@pytest.mark.timeout(180)
@pytest.mark.parametrize("machine", [LatchMachine, BarrierMachine])
def test_who_gathers(raw: redis.Redis, machine: type[GatherMachine]) -> None:
    shebang = int(raw.info()["redis_version"].split(".")[0]) >= 7

    class OnServer(machine):  # type: ignore[misc,valid-type]
        def connect(self, namespace: str) -> Engine:
            return Engine(raw, namespace, shebang)

    # Its calls are cheap.
    run_state_machine_as_test(OnServer, settings=settings(PROFILE, max_examples=2 * EXAMPLES))
