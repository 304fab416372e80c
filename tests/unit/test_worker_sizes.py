"""What a worker claims, against a server that is played by hand: jobs that keep the loop, wait, or need a process."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.model.measures import LIMITS
from coordinator.settings import Settings
from coordinator.wire.step import Call
from tests.support.fleet import LoopDriver, claimed, until_async, wire
from workers import Registry
from workers.desk import Desk
from workers.exchange import Exchange
from workers.executor import Executor
from workers.processes import Places


class Bench:
    """A worker with many slots, and a server that has as many jobs as are wanted, up to so many."""

    def __init__(self, jobs: Registry, slots: int = 100, ready: int = 1000, **settings: Any) -> None:
        self.driver = LoopDriver(**settings)
        self.driver.answer = self.answer
        self.driver.now = time.monotonic  # type: ignore[method-assign]
        self.desk = Desk(slots)
        self.executor = Executor(jobs, self.driver, self.desk, 2)  # type: ignore[arg-type]
        self.exchange = Exchange(self.driver, self.desk, self.executor, ("a",))  # type: ignore[arg-type]
        self.ready, self.given, self.settled = ready, 0, 0
        self.wanted: list[int] = []
        # At each claim: jobs that were not begun.
        self.reserved: list[int] = []
        self.begun = 0

    def answer(self, call: Call) -> Any:
        number, wanted = call.args[2:4]
        if call.script == "settle":
            self.settled += (len(call.args) - 7) // 5
        came = min(wanted, self.ready - self.given) if number else 0
        if wanted:
            self.wanted.append(wanted)
            self.reserved.append(self.given - self.begun + came)
        jobs = [wire(claimed(f"j-{self.given + n}", name="job")) for n in range(came)]
        self.given += came
        if call.script == "claim":
            return ["ok", *jobs]
        return ["ok", [["ok", b""]] * ((len(call.args) - 7) // 5), jobs]

    async def over(self) -> None:
        await until_async(lambda: self.settled == self.ready)

    async def stop(self) -> None:
        self.exchange.stop_claiming()
        await self.executor.release_all()
        await self.executor.stop()
        await self.exchange.stop()


Start = Callable[..., Any]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    benches: list[Bench] = []

    async def started(handler: Callable[..., Any], **more: Any) -> Bench:
        jobs = Registry()

        @jobs.handler("job")
        async def job(ctx: Any, payload: Any) -> None:
            benches[0].begun += 1
            await handler()

        benches.append(Bench(jobs, **more))
        await benches[0].executor.start()
        await benches[0].exchange.start()
        return benches[0]

    yield started
    await benches[0].stop()


def keeps_the_loop(seconds: float) -> Callable[[], Any]:
    async def handler() -> None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            pass

    return handler


async def test_short_jobs_are_claimed_by_the_half_of_the_slots(start: Start) -> None:
    bench = await start(keeps_the_loop(0), ready=2000)
    await bench.over()
    assert bench.wanted[0] == 8
    assert sorted(bench.wanted)[len(bench.wanted) // 2] >= 25
    taken = bench.driver.meter.take()
    assert taken.counts["batch.limited:target"] >= 1
    assert taken.gauges["batch.target"] >= 25
    assert taken.observed["batch.wanted"].count == len(bench.wanted)
    assert {"batch.work"} <= taken.observed.keys()
    assert {"batch.adjusted", "batch.empty"} <= taken.counts.keys()


async def test_a_size_that_has_moved_far_is_news_until_it_was_told(start: Start) -> None:
    bench = await start(keeps_the_loop(0), ready=2000)
    assert bench.exchange.sizes.news() == ""
    await bench.over()
    news = bench.exchange.sizes.news()
    told, now, why, work = news.split()
    assert told == "8"
    assert int(now) >= 32
    assert why in LIMITS
    assert int(work) >= 0
    bench.exchange.sizes.tell(news)
    assert bench.exchange.sizes.news() == ""


async def test_of_long_jobs_that_keep_the_loop_no_more_is_claimed_than_the_target_of_work(start: Start) -> None:
    bench = await start(keeps_the_loop(0.004), ready=60, batching={"target": 0.008})
    await bench.over()
    assert max(bench.reserved[5:]) <= 2
    assert bench.driver.meter.take().counts["batch.limited:target"] >= 20


async def test_jobs_that_wait_fill_all_slots_at_once(start: Start) -> None:
    go_on = asyncio.Event()
    bench = await start(go_on.wait, batching={"target": 0.001})
    await until_async(lambda: bench.desk.taken == 100)
    assert bench.given == 100
    go_on.set()


async def test_a_worker_whose_reserve_is_full_goes_on_when_the_jobs_wait_that_kept_it(start: Start) -> None:
    go_on = asyncio.Event()

    async def handler() -> None:
        await keeps_the_loop(0.002)()
        await go_on.wait()

    bench = await start(handler, slots=20, batching={"target": 0.001})
    await until_async(lambda: bench.desk.taken == 20)
    assert max(bench.reserved[3:]) <= 1
    go_on.set()


async def test_switched_off_half_of_the_slots_is_claimed(start: Start) -> None:
    bench = await start(keeps_the_loop(0), batching={"enabled": False})
    await bench.over()
    assert bench.wanted[0] == 50


async def test_changed_settings_count_from_the_next_look_on(start: Start) -> None:
    bench = await start(keeps_the_loop(0), ready=400)
    bench.driver.settings = Settings.of(namespace="fake", batching={"most": 3})
    await bench.over()
    assert max(bench.wanted[10:]) <= 3
    assert bench.driver.meter.take().counts["batch.limited:setting"] >= 20


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.lists(st.integers(0, 3), min_size=1, max_size=30), st.integers(1, 60))
def test_a_batch_never_exceeds_the_free_slots(slots: int, waits: list[int], ready: int) -> None:
    async def play() -> None:
        jobs, turns = Registry(), iter(waits * ready)

        @jobs.handler("job")
        async def job(ctx: Any, payload: Any) -> None:
            for _ in range(next(turns)):
                await asyncio.sleep(0)

        bench = Bench(jobs, slots, ready)
        answer = bench.answer

        def checked(call: Call) -> Any:
            wanted = call.args[3]
            reported = (len(call.args) - 7) // 5 if call.script == "settle" else 0
            # What is reported by the same call has vacated its slot.
            assert wanted <= slots - (bench.given - bench.settled - reported)
            return answer(call)

        bench.driver.answer = checked
        await bench.executor.start()
        await bench.exchange.start()
        await bench.over()
        await bench.stop()

    asyncio.run(play())


async def test_the_time_of_processes_is_counted() -> None:
    places, go_on = Places(2), asyncio.Event()

    async def work() -> None:
        async with places:
            await go_on.wait()

    tasks = [asyncio.ensure_future(work()) for _ in range(5)]
    await until_async(lambda: places.taken == 2)
    began = time.monotonic()
    await until_async(lambda: time.monotonic() > began + 0.01)
    tasks[4].cancel()
    go_on.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert places.taken == 0
    assert 0.01 <= places.spent <= time.monotonic() - began + 1
