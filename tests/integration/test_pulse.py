"""Every process publishes what it measures, and somebody looks at the alerts: whoever it is, they are told once."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import redis

from coordinator import AsyncCoordinator, Coordinator, RetryPolicy, Settings, Submission
from coordinator.keys import key
from coordinator.metrics import judging
from coordinator.metrics.window import Window, window
from coordinator.ops import pulse
from coordinator.policy.alerts import CRITICAL, RAISED, RESOLVED
from coordinator.wire.calls import Scope
from tests.support.fleet import Fleet, until_async
from tests.support.until import until
from workers import Registry

DEPTH = {"figure": "fleet.depth", "warning": 3, "critical": 10, "hold": 0.2}
jobs = Registry()


@jobs.handler("good")
async def good(_ctx: Any, _payload: Any) -> None:
    return None


@jobs.handler("bad")
async def bad(_ctx: Any, _payload: Any) -> None:
    raise ValueError("as it must")


@pytest.fixture
def settings(namespace: str) -> Settings:
    metrics = {"interval": 0.1, "alerts_every": 0.1, "alerts": {"queue_depth": DEPTH}}
    return Settings.of(namespace=namespace, session_ttl=2.0, sweep_interval=0.2, operation_timeout=2.0, metrics=metrics)


@pytest.fixture
async def fleet(redis_url: str, settings: Settings) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        one = Fleet(redis_url, settings, stack)
        stack.push_async_callback(one.client.close)
        yield one


def scope_of(client: Coordinator | AsyncCoordinator) -> Scope:
    return Scope.of(client.settings.namespace, client.settings.terms())


async def seen(client: AsyncCoordinator) -> Window:
    """What is on the stream, of all processes."""
    found = await client.run(pulse.samples(scope_of(client), 60))
    return window(found.samples, found.at)


async def test_every_process_publishes_what_it_did_and_all_of_it_adds_up(fleet: Fleet) -> None:
    for _ in range(3):
        await fleet.worker(jobs, concurrency=4)

    async def begun() -> bool:
        return "fleet" in (await seen(fleet.client)).origins

    # What happened before the first sample is not told.
    await until_async(begun)
    tickets = await fleet.client.submit_many([Submission("good", priority="high") for _ in range(40)])
    tickets += await fleet.client.submit_many([Submission("bad", retry=None) for _ in range(2)])
    for one in tickets[:40]:
        await one.result(10)

    async def told() -> Window | None:
        found = await seen(fleet.client)
        runs = found.labels("queue.processed")
        done = runs.get("succeeded") == 40 and runs.get("retry", 0) >= 2 and found.count("queue.enqueued") == 42
        return found if done else None

    found = await until_async(told, what="what 3 workers and a client did is on the stream")
    assert found.labels("queue.started")["high"] == 40
    assert found.labels("queue.enqueued") == {"high": 40, "normal": 2}
    assert found.gauge("queue.slots") == 12
    assert found.observed("queue.run").count == sum(found.labels("queue.processed").values())
    kinds = sorted(one.kind for one in found.origins.values())
    assert kinds == ["app", "fleet", "worker", "worker", "worker"]


async def waited_since(fleet: Fleet, at: float) -> bool:
    """Whether 50 ms have passed at the server."""
    return (await fleet.client.survey()).at >= at + 0.05


async def test_whoever_reads_the_stream_as_it_is_finds_waits_by_priority_and_retries(
    fleet: Fleet, raw: "redis.Redis"
) -> None:
    """With XREAD alone, and what docs/metrics.md says."""
    await fleet.client.submit_many([Submission("good", priority=one) for one in ("low", "low", "emergency")])
    await fleet.client.submit("bad", retry=RetryPolicy(2, base=0.05, cap=0.05, jitter=0, strategy="fixed"))
    asked = await fleet.client.survey()
    await until_async(lambda: waited_since(fleet, asked.at))
    await fleet.worker(jobs)
    stream, last, sums = key(fleet.settings.namespace, "METRICS"), "0-0", Counter[str]()

    def read() -> bool:
        nonlocal last
        for _, entries in raw.xread({stream: last}, count=100):
            for ident, fields in entries:
                last = ident.decode()
                for name, value in fields.items():
                    if name.startswith((b"queue.started:", b"queue.waited_ms:")):
                        sums[name.decode()] += int(value)
                    elif name == b"retry.latency":
                        told = dict(word.split("=", 1) for word in value.decode().split())
                        sums["retries"] += int(told["n"])
        return bool(sums["queue.started:normal"] == 2 and sums["retries"])

    await until_async(read)
    assert (sums["queue.started:low"], sums["queue.started:emergency"], sums["retries"]) == (2, 1, 1)
    assert sums["queue.waited_ms:low"] / 2 >= 50
    assert sums["queue.waited_ms:emergency"] >= 50


async def test_what_a_worker_did_last_is_published_when_it_stops(fleet: Fleet) -> None:
    slow = fleet.settings.model_copy(update={"metrics": fleet.settings.metrics.model_copy(update={"interval": 60.0})})
    fleet.settings, quick = slow, fleet.settings
    worker = await fleet.worker(jobs)
    fleet.settings = quick
    for one in await fleet.client.submit_many([Submission("good") for _ in range(5)]):
        await one.result(10)
    assert (await seen(fleet.client)).count("queue.processed") == 0
    await worker.stop()
    assert (await seen(fleet.client)).labels("queue.processed") == {"succeeded": 5}


async def test_an_alert_is_raised_once_whoever_looks_and_resolves(fleet: Fleet, raw: "redis.Redis") -> None:
    client = fleet.client

    async def standing() -> Any:
        found = await client.run(pulse.samples(scope_of(client), 0))
        return judging.standing_of(found.alerts.get("queue_depth", ""))

    async def reached(state: str, level: str) -> bool:
        now = await standing()
        return bool((now.state, now.level) == (state, level))

    await client.submit_many([Submission("good") for _ in range(12)])
    # Nothing but clients that are in use: one of them looks at the alerts.
    others = [AsyncCoordinator.connect(fleet.url, settings=fleet.settings) for _ in range(3)]
    await until_async(lambda: asyncio.gather(*(one.submit("good") for one in others)), 0.1)

    async def all_used() -> bool:
        await asyncio.gather(*(one.submit("good") for one in others))
        return await reached(RAISED, CRITICAL)

    await until_async(all_used)
    await client.run(judging.acknowledge(scope_of(client), client.settings.metrics.rules(), "queue_depth", "me"))
    assert (await standing()).by == "me"
    await fleet.worker(jobs)
    await until_async(lambda: reached(RESOLVED, "calm"))
    for one in others:
        await one.close()
    told = [
        one[1][b"state"].decode()
        for one in raw.xrange(key(client.settings.namespace, "EVENTS"))
        if one[1][b"event"] == b"alert" and one[1][b"id"] == b"queue_depth"
    ]
    assert told in (["raised", "acknowledged", "resolved"], ["raised", "raised", "acknowledged", "resolved"])


def test_a_forked_child_tells_what_it_did_itself(redis_url: str, settings: Settings, raw: "redis.Redis") -> None:
    with Coordinator.connect(redis_url, settings=settings) as co:

        def enqueued() -> dict[str, int]:
            found = co.run(pulse.samples(scope_of(co), 60))
            made: dict[str, int] = {}
            for _, fields in found.samples:
                pid = fields.get("pid", "")
                made[pid] = made.get(pid, 0) + int(fields.get("queue.enqueued:normal", 0))
            return made

        co.submit("good")
        child = os.fork()
        if child == 0:
            code = 1
            try:
                until(lambda: co.submit("good") and enqueued().get(str(os.getpid()), 0) >= 3)
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        co.submit("good")
        until(lambda: enqueued().get(str(os.getpid())) == 2)
        assert enqueued()[str(child)] >= 3


@pytest.mark.parametrize("enabled", [True, False])
def test_an_idle_client_sends_nothing_and_one_that_is_off_nothing_at_all(
    redis_url: str, settings: Settings, raw: "redis.Redis", enabled: bool
) -> None:
    metrics = settings.metrics.model_copy(update={"enabled": enabled})
    stream = key(settings.namespace, "METRICS")
    with Coordinator.connect(redis_url, settings=settings.model_copy(update={"metrics": metrics})) as co:
        co.submit("good")
        assert raw.xlen(stream) == 0
        if enabled:
            until(lambda: co.submit("good") and raw.xlen(stream) > 0)
        else:
            for _ in range(200):
                co.submit("good")
    assert bool(raw.xlen(stream)) == enabled
