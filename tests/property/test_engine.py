"""The engine against its model, on an imitation of Redis and on a real server.

A run is short here. For a long one: `COORDINATOR_PROPERTY_RUN=2000x50 pytest tests/property --timeout 0`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import ClassVar

import fakeredis
import pytest
import redis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.property.engine import Engine
from tests.property.machine_jobs import JobMachine
from tests.property.machine_modes import ModeMachine
from tests.property.machine_verbs import VerbMachine

LONG = os.environ.get("COORDINATOR_PROPERTY_RUN")
EXAMPLES, STEPS = map(int, (LONG or "25x30").split("x"))
# Random, so that every run looks elsewhere; a failure prints what reproduces it.
PROFILE = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    database=None,
    print_blob=True,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
    # Making a failure small takes minutes, more than a run of all tests has: only a long run does it.
    phases=tuple(Phase) if LONG else (Phase.generate,),
)


@pytest.mark.no_redis
@pytest.mark.timeout(180)  # seconds on a machine that has nothing else to do
def test_on_an_imitation() -> None:
    client = fakeredis.FakeRedis(version=(6, 2))

    class OnImitation(JobMachine):
        def connect(self, namespace: str) -> Engine:
            return Engine(client, namespace, shebang=False)

    run_state_machine_as_test(OnImitation, settings=PROFILE)


# Two subtrees, one in the other, and three resources in them, of which two are counted.
TREE = {"a": "p/**", "b": "p/q", "c": "p/q/**", "d": "p/q/r", "e": "p/s"}


class TreeMachine(JobMachine):
    names_of: ClassVar[Mapping[str, str]] = TREE


class ModedTreeMachine(ModeMachine):
    """One of them lies elsewhere, so that somebody in the tree waits for nothing that is in it."""

    names_of: ClassVar[Mapping[str, str]] = {**TREE, "e": "o"}


@pytest.mark.timeout(180)
def test_subtrees_on_a_server(raw: redis.Redis) -> None:
    shebang = int(raw.info()["redis_version"].split(".")[0]) >= 7

    class OnServer(TreeMachine):
        def connect(self, namespace: str) -> Engine:
            return Engine(raw, namespace, shebang)

    run_state_machine_as_test(OnServer, settings=PROFILE)


@pytest.mark.timeout(180)
def test_on_a_server(raw: redis.Redis) -> None:
    shebang = int(raw.info()["redis_version"].split(".")[0]) >= 7

    class OnServer(JobMachine):
        def connect(self, namespace: str) -> Engine:
            return Engine(raw, namespace, shebang)

    run_state_machine_as_test(OnServer, settings=PROFILE)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("machine", [ModeMachine, ModedTreeMachine])
def test_modes_on_a_server(raw: redis.Redis, machine: type[ModeMachine]) -> None:
    shebang = int(raw.info()["redis_version"].split(".")[0]) >= 7

    class OnServer(machine):  # type: ignore[misc,valid-type]
        def connect(self, namespace: str) -> Engine:
            return Engine(raw, namespace, shebang)

    run_state_machine_as_test(OnServer, settings=PROFILE)


class VerbTreeMachine(VerbMachine):
    names_of: ClassVar[Mapping[str, str]] = TREE


@pytest.mark.timeout(180)
@pytest.mark.parametrize("machine", [VerbMachine, VerbTreeMachine])
def test_operators_on_a_server(raw: redis.Redis, machine: type[VerbMachine]) -> None:
    shebang = int(raw.info()["redis_version"].split(".")[0]) >= 7

    class OnServer(machine):  # type: ignore[misc,valid-type]
        def connect(self, namespace: str) -> Engine:
            return Engine(raw, namespace, shebang)

    run_state_machine_as_test(OnServer, settings=PROFILE)
