"""Latches, barriers and elections against their models, on a real server."""

import asyncio

import pytest
import redis
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from coordinator import AsyncCoordinator, Settings
from tests.property.engine import Engine
from tests.property.machine_election import ElectionMachine, Fleet
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


@pytest.mark.timeout(180)
def test_who_leads(redis_url: str, namespace: str) -> None:
    # Nothing but the rules beats, sweeps or lets a session lapse.
    chosen = Settings.of(namespace=namespace, session_ttl=600.0, sweep_interval=60.0)
    with asyncio.Runner() as runner:
        fleet = Fleet(lambda: AsyncCoordinator.connect(redis_url, settings=chosen), runner.get_loop())
        played = type("Played", (ElectionMachine,), {"fleet": fleet})
        try:
            run_state_machine_as_test(played, settings=settings(PROFILE, max_examples=EXAMPLES // 2))
        finally:
            fleet.close()
