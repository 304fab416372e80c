"""A worker in this process on a real server: starting, losing its session, losing replies, stopping."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import pytest

from chaos.proxy import Proxy
from coordinator import RetryPolicy, Settings, State
from coordinator.drivers.embedded import EmbeddedServer
from coordinator.errors import ConfigError, InvalidInput
from tests.support.fleet import Fleet, until_async
from tests.support.slow_start import GATE, SLOW_JOBS
from tests.support.until import until
from workers import Registry, Worker


class Scene:
    """Handlers that tell when they begin and end when they may."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.begun: list[tuple[str, int, int]] = []
        self.ended: list[str] = []
        self.may_end = asyncio.Event()
        self.threads_may_end = threading.Event()
        self.registry.handler("wait")(self.wait)
        self.registry.handler("thread")(self.thread)
        self.registry.handler("quick")(self.quick)

    async def wait(self, ctx: Any, payload: Any) -> Any:
        self.begun.append((ctx.id, ctx.attempt, ctx.deliveries))
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.ended.append("lost" if ctx.lost else ctx.cancel_reason)
            raise
        return ctx.attempt

    def thread(self, ctx: Any, payload: Any) -> Any:
        self.begun.append((ctx.id, ctx.attempt, ctx.deliveries))
        self.threads_may_end.wait(20)
        self.ended.append("lost" if ctx.lost else ctx.cancel_reason)
        return ctx.attempt

    async def quick(self, ctx: Any, payload: Any) -> Any:
        self.begun.append((ctx.id, ctx.attempt, ctx.deliveries))
        return ctx.attempt


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    made = Scene()
    yield made
    made.may_end.set()
    made.threads_may_end.set()


@pytest.fixture
async def fleet(redis_url: str, settings: Settings) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        made = Fleet(redis_url, settings, stack)
        stack.push_async_callback(made.client.close)
        yield made


async def fields(fleet: Fleet, ticket: Any) -> Any:
    return (await fleet.client.explain(ticket.ident)).fields


async def test_running_jobs_are_released_when_the_grace_is_over_and_no_attempt_is_burnt(
    fleet: Fleet, scene: Scene
) -> None:
    worker = await fleet.worker(scene.registry, grace=0.1)
    tickets = [await fleet.client.submit("wait", resources="a"), await fleet.client.submit("thread")]
    await until_async(lambda: len(scene.begun) == 2)

    async def counted() -> bool:
        return all([(await fields(fleet, one)).get("attempts") == "1" for one in tickets])

    await until_async(counted, what="the heartbeat has noted both starts")
    await worker.stop()
    await worker.stop()
    assert "the worker shuts down" in scene.ended
    for one in tickets:
        assert await one.state() == State.READY
        assert (await fields(fleet, one)).get("attempts") == "0"
    scene.may_end.set()
    scene.threads_may_end.set()
    await fleet.worker(scene.registry)
    assert [await one.result(10) for one in tickets] == [1, 1]
    assert sorted(scene.begun)[1][1:] == (1, 2)


async def test_running_jobs_may_finish_within_the_grace_and_nothing_new_is_claimed(fleet: Fleet, scene: Scene) -> None:
    worker = await fleet.worker(scene.registry, grace=20)
    running = await fleet.client.submit("wait")
    await until_async(lambda: scene.begun)
    stopping = asyncio.ensure_future(worker.stop())

    async def nobody_idle() -> bool:
        return (await fleet.client.survey()).queues[0].idle_workers == 0

    await until_async(nobody_idle)
    late = await fleet.client.submit("quick")
    scene.may_end.set()
    await stopping
    assert await running.result(10) == 1
    assert await late.state() == State.READY


async def test_what_has_not_begun_goes_back_at_once(fleet: Fleet, scene: Scene, tmp_path: Path) -> None:
    worker = await fleet.worker(PROCESS_JOBS, grace=20, process_slots=1)
    first, second = [await fleet.client.submit("hold", str(tmp_path / str(n))) for n in range(2)]
    await until_async((tmp_path / "0").exists)
    await fleet.state(second, State.RUNNING)
    stopping = asyncio.ensure_future(worker.stop())
    await fleet.state(second, State.READY)
    assert await first.state() == State.RUNNING
    assert "attempts" not in await fields(fleet, second) or (await fields(fleet, second))["attempts"] == "0"
    worker.stop_soon()
    worker.stop_soon()
    await stopping
    assert await first.state() == State.READY


PROCESS_JOBS = Registry()


@PROCESS_JOBS.handler("hold", executor="process")
def hold(ctx: Any, payload: Any) -> None:
    Path(payload).touch()
    threading.Event().wait(60)


async def test_a_job_whose_process_is_still_starting_has_not_begun(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(GATE, str(tmp_path / "gate"))
    worker = await fleet.worker(SLOW_JOBS, grace=20, process_slots=1)
    ticket = await fleet.client.submit("late")
    await until_async(lambda: len(active_children()) == 1)
    stopping = asyncio.ensure_future(worker.stop())
    await fleet.state(ticket, State.READY)
    await stopping
    (tmp_path / "gate").touch()
    await fleet.worker(SLOW_JOBS, process_slots=1)
    assert await ticket.result(20) == 1


async def test_a_second_request_to_stop_does_not_wait(fleet: Fleet, scene: Scene) -> None:
    worker = Worker(scene.registry, fleet.url, None, fleet.settings, grace=600)
    running = asyncio.ensure_future(worker.run())
    ticket = await fleet.client.submit("wait")
    await until_async(lambda: scene.begun)
    worker.stop_soon()
    worker.stop_soon()
    await asyncio.wait_for(running, 10)
    assert await ticket.state() == State.READY
    assert not [one for one in (await fleet.client.survey()).sessions if one.fields["kind"] == "worker"]


async def test_a_cancelled_worker_stops_in_good_order(fleet: Fleet, scene: Scene) -> None:
    running = asyncio.ensure_future(Worker(scene.registry, fleet.url, None, fleet.settings, grace=0.1).run())
    ticket = await fleet.client.submit("wait")
    await until_async(lambda: scene.begun)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await ticket.state() == State.READY


async def test_a_worker_whose_session_is_lost_tells_its_handlers_and_works_on(
    fleet: Fleet, scene: Scene, raw: Any, namespace: str
) -> None:
    worker = await fleet.worker(scene.registry)
    ticket = await fleet.client.submit("wait", resources="a")
    await until_async(lambda: scene.begun)

    async def counted() -> bool:
        return (await fields(fleet, ticket)).get("attempts") == "1"

    await until_async(counted, what="the heartbeat has noted the start")
    old = worker.session
    raw.zadd(f"co:{{{namespace}}}:sessions", {old: 1})
    await until_async(lambda: len(scene.begun) == 2)
    assert scene.ended == ["lost"]
    assert worker.session not in ("", old)
    scene.may_end.set()
    assert await ticket.result(10) == 2


async def test_a_job_taken_away_is_lost_to_its_handler_and_its_late_outcome_does_not_count(
    fleet: Fleet, scene: Scene
) -> None:
    @scene.registry.handler("taken")
    def taken(ctx: Any, payload: Any) -> None:
        scene.begun.append((ctx.id, ctx.attempt, ctx.deliveries))
        if ctx.deliveries == 1:
            until(lambda: ctx.lost)  # the message may come after the answer to who took it away
            scene.ended.append("lost")

    await fleet.worker(scene.registry)
    ticket = await fleet.client.submit("taken", resources="a")
    await until_async(lambda: scene.begun)
    await fleet.client.force_release(ticket.ident, "by hand")
    await until_async(lambda: "lost" in scene.ended)
    assert await ticket.state() != State.SUCCEEDED or (await fields(fleet, ticket))["deliveries"] == "2"


@pytest.fixture
def proxy(redis_server: EmbeddedServer, tmp_path: Path) -> Iterator[Proxy]:
    made = Proxy(Path(redis_server.url.removeprefix("unix://").partition("?")[0]), tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("fault", ["drop_reply", "drop_request"])
async def test_lost_replies_lose_no_job_and_run_none_twice(
    fleet: Fleet, scene: Scene, proxy: Proxy, settings: Settings, fault: Any
) -> None:
    once = RetryPolicy.none()
    async with Worker(scene.registry, proxy.url, None, settings, queues="default", concurrency=8, poll=0.2):
        await fleet.idle()
        tickets = []
        for round_number in range(6):
            proxy.fail_next(2, fault)
            tickets += [await fleet.client.submit("quick", round_number, retry=once) for _ in range(20)]
        assert [await one.result(20) for one in tickets] == [1] * 120
    assert len(scene.begun) == len({ident for ident, _, _ in scene.begun}) == 120
    assert proxy.spoiled > 0


async def test_a_worker_finds_its_queues_in_the_registry(fleet: Fleet, scene: Scene) -> None:
    @scene.registry.handler("mail.send", queue="mail")
    async def send(ctx: Any, payload: Any) -> str:
        return str(ctx.queue)

    async with Worker(scene.registry, fleet.url, None, fleet.settings) as worker:
        ticket = await fleet.client.submit("mail.send", queue="mail")
        assert await ticket.result(10) == "mail"
        sessions = (await fleet.client.survey()).sessions
        mine = next(one for one in sessions if one.ident == worker.session)
        assert mine.fields["kind"] == "worker"
        assert mine.fields["queues"] == "default mail"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"queues": ["a b"]}, InvalidInput),
        ({"concurrency": 0}, InvalidInput),
        ({"grace": -1}, InvalidInput),
        ({"concurency": 3}, InvalidInput),
    ],
)
async def test_bad_options_are_refused(scene: Scene, options: Any, error: Any) -> None:
    with pytest.raises(error):
        Worker(scene.registry, **options)


async def test_a_registry_without_handlers_is_refused() -> None:
    with pytest.raises(ConfigError, match="no handlers"):
        Worker(Registry())


async def test_a_worker_that_never_started_can_be_stopped(fleet: Fleet, scene: Scene) -> None:
    worker = Worker(scene.registry, fleet.url, None, fleet.settings)
    await worker.stop()
    await worker.stop()
