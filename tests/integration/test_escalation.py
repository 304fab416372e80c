"""Escalation and adaptive backoff of a whole fleet: several worker processes on a real server."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from coordinator import Coordinator, RetryPolicy, Settings
from coordinator.ops import history, lessons
from coordinator.policy.escalation import Escalation
from coordinator.wire.calls import Scope
from tests.support.until import until

pytestmark = pytest.mark.any_version
ROOT = Path(__file__).parents[2]
# `slow` needs 0.9 s and is given 0.5: only at level 2 it gets done.
WORKER = """
import asyncio, sys
from coordinator import RetryPolicy, Settings
from workers import Registry, Worker
url, namespace = sys.argv[1:]
jobs = Registry()

@jobs.handler("slow", breaker=False, timeout=0.5, retry=RetryPolicy(max_attempts=50, base=0.05, cap=0.05))
async def slow(ctx, payload):
    await asyncio.sleep(0.9)
    return ctx.attempt

@jobs.handler("down", breaker=False)
async def down(ctx, payload):
    raise ConnectionError("no route")

settings = Settings.of(namespace=namespace, sweep_interval=0.05)
asyncio.run(Worker(jobs, url, None, settings, concurrency=2).run())
"""


@contextmanager
def workers(url: str, namespace: str, count: int) -> Iterator[None]:
    running = [
        subprocess.Popen([sys.executable, "-c", WORKER, url, namespace], env={"PYTHONPATH": str(ROOT)})
        for _ in range(count)
    ]
    try:
        yield
    finally:
        for one in running:
            one.terminate()
        for one in running:
            one.wait(30)


def test_timeouts_of_several_processes_raise_one_level_and_a_success_ends_it(
    redis_url: str, settings: Settings
) -> None:
    scope = Scope.of(settings.namespace, settings.terms())
    with Coordinator.connect(redis_url, settings=settings) as co:
        with workers(redis_url, settings.namespace, 3):
            tickets = [co.submit("slow") for _ in range(3)]
            attempts = [one.result(60) for one in tickets]
            until(lambda: not known(co, scope).level, 20)
        told = [one for one in co._driver.run(history.events(scope, most=250)) if one.event == "escalate"]
    assert max(attempts) > 1
    assert {one.subject for one in told} == {"slow"}
    steps = [(int(one.fields["from"]), int(one.fields["to"])) for one in told]
    assert steps[:2] == [(0, 1), (1, 2)]
    assert all(to in (before + 1, 0) for before, to in steps)
    assert steps[-1][1] == 0


def known(co: Coordinator, scope: Scope) -> Escalation:
    return co._driver.run(lessons.learnt(scope, ["slow"]))["slow"].escalation


def test_one_process_goes_by_what_retries_of_another_came_to(redis_url: str, settings: Settings) -> None:
    """A worker that has never seen a retry passes over the delay after which those of others have failed."""
    fails = RetryPolicy(2, 0.05, 10, 8, 0, "adaptive")
    with Coordinator.connect(redis_url, settings=settings) as co:
        with workers(redis_url, settings.namespace, 1):
            for one in [co.submit("down", retry=fails) for _ in range(8)]:
                until(lambda one=one: one.state().final, 30)
        ticket = co.submit("down", retry=fails)
        with workers(redis_url, settings.namespace, 1):
            until(lambda: "adaptive" in co.explain(ticket.ident).fields.get("why", ""), 30)
            why = co.explain(ticket.ident).fields["why"]
    assert "0 succeeded, so 0.4 s" in why
