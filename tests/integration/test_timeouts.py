"""Adaptive timeouts of a fleet on a real server: learnt by some processes, known to the others."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from coordinator import Coordinator, RetryPolicy, Settings, State, Submission
from coordinator.cli import timeouts
from coordinator.errors import WaitTimeout
from coordinator.ops import timing
from coordinator.ops.timing import TimeoutView
from coordinator.policy.adaptive import Adaptive
from coordinator.sections import Timeouts
from coordinator.wire.calls import Scope
from tests.support.fleet import Fleet, until_async
from tests.support.until import until
from workers import Registry

ROOT = Path(__file__).parents[2]
# A process of its own: takes locks, and says what it knows of their timeout from its start.
LOCKER = """
import json, sys
from coordinator import Coordinator, Settings
from coordinator.ops import timing
settings = Settings.of(namespace=sys.argv[2], session_ttl=2, sweep_interval=0.2, operation_timeout=2)
with Coordinator.connect(sys.argv[1], settings=settings) as co:
    for _ in range(int(sys.argv[3])):
        co.acquire("a", wait="adaptive").release()
    view = co._driver.learner.figures("lock/a")[0]
    print(json.dumps([view.successes, view.timeouts, co._driver.learner.seconds("lock/a")]))
"""


def known(co: Any, settings: Settings, key: str) -> TimeoutView | None:
    """What the fleet knows of a timeout."""
    found = co.run(timing.look(Scope.of(settings.namespace, settings.terms()), [key]))
    return found[0] if found else None


def locker(url: str, namespace: str, times: int) -> list[float]:
    """What another process knew after it had taken the lock so many times."""
    done = subprocess.run(
        [sys.executable, "-c", LOCKER, url, namespace, str(times)],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return list(json.loads(done.stdout))


@pytest.mark.any_version
def test_processes_learn_from_each_other(redis_url: str, settings: Settings) -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", LOCKER, redis_url, settings.namespace, "40"],
            env={"PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
        )
        for _ in range(2)
    ]
    assert [one.wait(60) for one in running] == [0, 0]
    with Coordinator.connect(redis_url, settings=settings) as co:
        view = known(co, settings, "lock/a")
        assert view is not None
        assert (view.seen.successes, view.seen.timeouts, view.base) == (80, 0, 30.0)
        assert view.strategy == "quantile"
    # Whoever comes later knows it all from its first look, before it has reported anything.
    assert locker(redis_url, settings.namespace, 1)[:2] == [80, 0]


def test_a_lock_is_waited_for_as_long_as_the_fleet_has_learnt(
    connect: Callable[..., Any], settings: Settings, redis_url: str
) -> None:
    short = Timeouts(lock=0.2)
    co, other = connect(timeouts=short), connect(timeouts=short)
    chosen = settings.model_copy(update={"timeouts": short})
    with Coordinator.connect(redis_url, settings=chosen) as looker, other.acquire("a"):
        ticket = co.request("a", wait="adaptive")
        found = co.explain(ticket.ident)
        assert found.fields["learnt"] == "200"
        with pytest.raises(WaitTimeout):
            co.acquire("a", wait="adaptive")

        def reported() -> TimeoutView | None:
            view = known(looker, settings, "lock/a")
            return view if view is not None and view.seen.timeouts else None

        view = until(reported)
        assert view is not None
        assert view.seen.latencies.quantile(0.99) == pytest.approx(0.2, rel=0.05)


def test_locks_that_were_asked_for_first_and_waited_for_later_are_learnt_from(
    connect: Callable[..., Any], settings: Settings, redis_url: str
) -> None:
    co, other = connect(), connect()
    assert co.request("a").may_wait is None
    held, ticket = other.acquire("b"), co.request("b", wait=30)
    assert ticket.may_wait == 30
    threading.Timer(0.3, held.release).start()
    ticket.wait(5)
    with pytest.raises(WaitTimeout):
        other.request("b", wait=0.2).wait(5)
    co.close()
    other.close()
    with Coordinator.connect(redis_url, settings=settings) as looker:
        found = {name: known(looker, settings, f"lock/{name}") for name in "ab"}
        ended = {name: (one.seen.successes, one.seen.timeouts) for name, one in found.items() if one is not None}
        assert ended == {"a": (1, 0), "b": (2, 1)}
        assert found["b"] is not None
        assert (found["b"].seen.latencies.quantile(1.0) or 0) >= 0.29


def test_in_a_crowded_line_a_learnt_wait_is_shorter_and_a_chosen_one_is_not(connect: Callable[..., Any]) -> None:
    co = connect(timeouts=Timeouts(lock=0.4), max_line=10)
    with co.acquire("a"):
        for _ in range(9):
            co.submit("job", resources=["a"], priority="high")
        ticket = co.request("a", priority="high", wait="adaptive")
        assert ticket.may_wait == 0.3
        said = " ".join(timeouts.sentences(co.explain(ticket.ident), []))
        assert said == (
            "It may wait 0.3s, which is adaptive: shrunk from 0.4s, because a line had 9 of at most 10 when it came."
        )
        ticket.cancel()
        with pytest.raises(WaitTimeout) as caught:
            co.acquire("a", priority="high", wait="adaptive")
        assert caught.value.seconds == 0.3
        assert co.request("a", priority="high", wait=0.4).may_wait == 0.4


def test_whoever_says_how_long_to_wait_is_heard(co: Any, other: Any) -> None:
    with other.acquire("a"):
        with pytest.raises(WaitTimeout):
            co.acquire("a", wait=0.05)
        assert "learnt" not in co.explain(co.request("a", wait=5).ident).fields


@pytest.fixture
def section() -> Timeouts:
    """The section of the settings, for tests to choose."""
    return Timeouts()


@pytest.fixture
async def fleet(redis_url: str, settings: Settings, section: Timeouts) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        made = Fleet(redis_url, settings.model_copy(update={"timeouts": section}), stack)
        stack.push_async_callback(made.client.close)
        yield made


def handlers(seconds: Callable[[], float], **options: Any) -> Registry:
    """One handler that takes as long as it is told."""
    registry = Registry()

    @registry.handler("work", retry=RetryPolicy.none(), **options)
    async def work(ctx: Any, payload: Any) -> None:
        await asyncio.sleep(seconds())

    return registry


async def test_a_handler_has_the_run_timeout_that_the_fleet_has_learnt(fleet: Fleet, settings: Settings) -> None:
    took = 0.0
    registry = handlers(lambda: took, timeout=Adaptive(base=0.4))
    first = await fleet.worker(registry)
    for ticket in [await fleet.client.submit("work") for _ in range(30)]:
        await ticket.result(10)
    scope = Scope.of(settings.namespace, settings.terms())

    async def moved() -> TimeoutView | None:
        views = await fleet.client.run(timing.look(scope, ["operation/work"]))
        return views[0] if views and views[0].current < 0.36 else None

    view = await until_async(moved, what="the timeout has shrunk")
    assert view.base == 0.4
    await first.stop()

    # A worker that starts now knows it at once.
    second = await fleet.worker(registry)
    learner = second._driver.learner
    assert learner.seconds("operation/work") < 0.37
    took = 30.0
    state, why = await fleet.why(await fleet.client.submit("work"))
    assert state == "failed"
    assert "timed out after 0.3" in why or "timed out after 0.2" in why
    assert "adaptive, quantile: p99" in why
    assert "of 30 runs, 0 cut off" in why


async def test_an_explicit_run_timeout_wins(fleet: Fleet) -> None:
    await fleet.worker(handlers(lambda: 30.0, timeout=Adaptive(base=60.0)))
    _state, why = await fleet.why(await fleet.client.submit("work", run_timeout=0.1))
    assert why == "timed out after 0.1 s"


@pytest.mark.parametrize("section", [Timeouts(handlers=True, operation=0.2, strategy="success_rate")])
async def test_handlers_that_name_no_timeout_may_have_an_adaptive_one(fleet: Fleet) -> None:
    worker = await fleet.worker(handlers(lambda: 30.0))
    _state, why = await fleet.why(await fleet.client.submit("work"))
    assert why == "timed out after 0.2 s (adaptive: nothing was seen yet)"
    assert worker._driver.learner.figures("operation/work")[1] == "success_rate"


async def test_runs_under_any_timeout_are_learnt_from(fleet: Fleet, settings: Settings) -> None:
    worker = await fleet.worker(handlers(lambda: 0.0, timeout=5))
    await (await fleet.client.submit("work")).result(10)
    await worker.stop()
    [view] = await fleet.client.run(timing.look(Scope.of(settings.namespace, settings.terms()), ["operation/work"]))
    assert (view.strategy, view.seen.successes, view.current) == ("", 1, 60.0)


@pytest.mark.parametrize("section", [Timeouts(queue=0.2)])
async def test_a_job_waits_as_long_as_its_queue_is_known_to_take(fleet: Fleet, settings: Settings) -> None:
    late = [
        await fleet.client.submit("work", wait_timeout="adaptive"),
        *await fleet.client.submit_many([Submission("work", wait_timeout="adaptive"), Submission("work")]),
    ]
    assert (await fleet.client.explain(late[0].ident)).fields["learnt"] == "200"
    await fleet.client.acquire("something")  # somebody lives, and so sweeps
    for one in late[:2]:
        await fleet.state(one, State.EXPIRED)
    worker = await fleet.worker(handlers(lambda: 0.0))
    await late[2].result(10)
    await worker.stop()
    [view] = await fleet.client.run(timing.look(Scope.of(settings.namespace, settings.terms()), ["queue/default"]))
    waited = view.seen.latencies.quantile(1.0)
    assert view.seen.successes == 1
    assert waited is not None
    assert waited > 0.19


def test_what_is_not_counted_apart_has_the_timeout_of_all_others(connect: Callable[..., Any]) -> None:
    few = Timeouts(names=1)
    first = connect(timeouts=few)
    for name in ("a", "b", "b"):
        first.acquire(name).release()
    first.close()
    second = connect(timeouts=few)
    with second.lock("never/seen", wait="adaptive"):
        learner = getattr(second, "target", second)._driver.learner
        seen, _strategy = learner.figures("lock/never/seen")
        assert seen.successes == 3, "the one that is counted apart is the opening of the session"
        # Nobody has seen any of these: that is known after one look.
        before = learner.knows("queue/default")
        second.submit("job", wait_timeout="adaptive")
        assert (before, learner.knows("queue/default")) == (False, True)
