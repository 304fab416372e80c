"""Whatever a server answers: an error of ours, in bounded time and memory, and no thread that dies."""

import logging
import os
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from coordinator import Coordinator, Settings, Submission
from coordinator.doctor import examine
from coordinator.errors import CoordinatorError
from coordinator.ops import fleet, history
from coordinator.wire.calls import Claim, Report, Scope
from tests.security.hostile_server import HostileServer
from tests.support.faces import connected

pytestmark = pytest.mark.no_redis

# Answers to scripts in all; the long form is for the soak.
ANSWERS = 100_000 if os.environ.get("COORDINATOR_TEST_LONG") else 2_000
CLAIM = Claim(1, 5, 1000, ("default",))


@pytest.fixture(params=[1.0, 0.7], ids=["well-formed", "broken"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HostileServer]:
    made = HostileServer(tmp_path, seed=7, polite=request.param)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def nothing_is_logged() -> Iterator[None]:
    """Records of what went wrong keep the replies that it went wrong with, and the test would keep the records."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def settings() -> Settings:
    return Settings.of(namespace="hostile", session_ttl=2.0, sweep_interval=0.1, operation_timeout=0.1, retry_for=0.0)


def operations(co: Any, scope: Scope) -> list[Callable[[], Any]]:
    reports = [Report("j", "1", "succeeded", 0, b"\x01"), Report("k", "1", "retry", 5, "why")]
    return [
        lambda: co.acquire(["a", "b"], wait=0.01, metadata={"a": 1}),
        lambda: co.try_acquire("a"),
        lambda: co.request("a").wait(0.01),
        lambda: co.submit("job", {"a": 1}, resources=["a"]),
        lambda: co.submit_many([Submission("job", n) for n in range(3)]),
        lambda: co.submit("job").result(0.01),
        lambda: co.get("x").position(),
        lambda: co.cancel("x"),
        lambda: co.reprioritise("x", "high"),
        lambda: co.replay("x"),
        lambda: co.force_release("x", "why"),
        lambda: co.define("a", capacity=2),
        lambda: co.explain("x"),
        lambda: co.line("a"),
        co.survey,
        lambda: co.run(history.events(scope)),
        lambda: co.run(history.dead(scope)),
        lambda: co.run(fleet.exchange(scope, CLAIM, [])),
        lambda: co.run(fleet.exchange(scope, CLAIM, reports)),
        lambda: co.run(fleet.note_progress(scope, "j", 1, "half")),
        lambda: co.run(fleet.wish(scope, "j", 1)),
    ]


@pytest.mark.timeout(1800 if os.environ.get("COORDINATOR_TEST_LONG") else 60)
def test_every_answer_is_read_or_refused(kind: str, server: HostileServer, settings: Settings) -> None:
    process, complaints = psutil.Process(), []
    before = process.memory_info().rss
    while server.answered < ANSWERS and len(complaints) < 20:
        with connected(kind, server.url, settings) as co:
            scope = Scope.of("hostile", settings.terms())
            for _ in range(10):
                for at, operation in enumerate(operations(co, scope)):
                    complaints += _complaint(at, operation)
    assert complaints == []
    assert process.memory_info().rss - before < 256 * 1_048_576


def test_the_doctor_reads_or_refuses_every_answer(server: HostileServer, settings: Settings) -> None:
    for _ in range(50):
        with Coordinator.connect(server.url, settings=settings) as co:
            assert _complaint(0, lambda co=co: examine(co, fix=True)) == []


def _complaint(at: int, operation: Callable[[], Any]) -> list[str]:
    began = time.monotonic()
    try:
        operation()
    except CoordinatorError:
        pass
    except Exception as error:
        return [f"{at}: {error!r} {traceback.extract_tb(error.__traceback__)[-2:]}"]
    return [f"{at}: slow"] if time.monotonic() - began > 5 else []
