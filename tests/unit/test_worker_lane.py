"""Jobs that share a task for as long as they do not wait, and do not notice each other."""

import asyncio
import contextvars
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.support.fleet import LoopDriver, claimed, until_async
from workers.job import Job
from workers.lane import SPELL, Lane
from workers.registry import Handler
from workers.reserve import Reserve

Body = Callable[[str], Coroutine[Any, Any, None]]


class Track:
    """A lane whose jobs run `body` with their ids."""

    def __init__(self) -> None:
        self.driver = LoopDriver()
        self.body: Body = self.nothing
        self.tasks: dict[str, asyncio.Task[Any] | None] = {}
        self.ended: list[str] = []
        self.waited: list[str] = []
        self.reserve = Reserve(None)
        self.lane = Lane(self.run, lambda job, _task: self.waited.append(job.ident), self.reserve)

    async def nothing(self, ident: str) -> None:
        return

    async def run(self, job: Job) -> None:
        self.tasks[job.ident] = asyncio.current_task()
        try:
            await self.body(job.ident)
        except asyncio.CancelledError:
            self.ended.append(f"{job.ident} cancelled")
        else:
            self.ended.append(job.ident)

    def put(self, *idents: str, name: str = "job") -> None:
        for ident in idents:
            handler = Handler(name, self.body, "async")
            self.lane.put(Job(claimed(ident), handler, self.driver))  # type: ignore[arg-type]


@pytest.fixture
async def track() -> Track:
    return Track()


async def test_jobs_that_do_not_wait_run_in_order_and_in_one_task(track: Track) -> None:
    track.put("a", "b", "c")
    assert not track.ended
    await until_async(lambda: len(track.ended) == 3)
    assert track.ended == ["a", "b", "c"]
    assert len(set(track.tasks.values())) == 1
    assert not track.waited


async def test_a_job_that_waits_keeps_its_task_and_holds_up_nobody(track: Track) -> None:
    go_on = asyncio.Event()

    async def body(ident: str) -> None:
        if ident == "b":
            await go_on.wait()

    track.body = body
    track.put("a", "b", "c", "d")
    await until_async(lambda: len(track.ended) == 3)
    assert track.ended == ["a", "c", "d"]
    assert track.waited == ["b"]
    assert track.tasks["a"] is track.tasks["b"] is not track.tasks["c"]
    go_on.set()
    await until_async(lambda: track.ended[-1] == "b")


async def test_cancelling_a_job_that_waits_cancels_no_other(track: Track) -> None:
    async def body(ident: str) -> None:
        if ident != "a":
            await asyncio.sleep(60 if ident == "b" else 0.01)

    track.body = body
    track.put("a", "b", "c")
    await until_async(lambda: len(track.waited) == 2)
    (task := track.tasks["b"]) and task.cancel()
    await until_async(lambda: len(track.ended) == 3)
    assert sorted(track.ended) == ["a", "b cancelled", "c"]


async def test_what_a_job_cancels_in_its_own_task_does_not_reach_the_next(track: Track) -> None:
    async def body(ident: str) -> None:
        task = asyncio.current_task()
        if ident == "a" and task is not None:
            task.cancel()
        if ident == "b":
            await asyncio.sleep(0)

    track.body = body
    track.put("a", "b")
    await until_async(lambda: len(track.ended) == 2)
    assert track.ended == ["a", "b"]


async def test_timeouts_and_groups_work_from_the_first_line_on(track: Track) -> None:
    async def body(ident: str) -> None:
        try:
            async with asyncio.timeout(0.01), asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(0))
                await asyncio.sleep(60)
        except TimeoutError:
            task = asyncio.current_task()
            assert task is not None
            assert not task.cancelling()
            await asyncio.sleep(0)

    track.body = body
    track.put("a", "b", "c")
    await until_async(lambda: len(track.ended) == 3)
    assert sorted(track.ended) == ["a", "b", "c"]


async def test_context_variables_of_one_job_are_not_seen_by_another(track: Track) -> None:
    whose: contextvars.ContextVar[str] = contextvars.ContextVar("whose", default="nobody")
    seen: list[str] = []

    async def body(ident: str) -> None:
        seen.append(whose.get())
        whose.set(ident)
        if ident in {"b", "d"}:
            await asyncio.sleep(0)
        seen.append(whose.get())

    track.body = body
    track.put("a", "b", "c", "d")
    await until_async(lambda: len(track.ended) == 4)
    assert seen.count("nobody") == 4
    assert sorted(set(seen)) == ["a", "b", "c", "d", "nobody"]


async def test_a_handler_that_waits_gets_a_task_for_each_job_until_it_waits_no_more(track: Track) -> None:
    async def body(ident: str) -> None:
        if ident.startswith("slow"):
            await asyncio.sleep(0)

    track.body = body
    track.put("slow-1")
    await until_async(lambda: len(track.ended) == 1)
    track.put("slow-2", "slow-3", "quick-1", "quick-2")
    track.put("other", name="other")
    await until_async(lambda: len(track.ended) == 6)
    assert len({track.tasks[name] for name in ("slow-2", "slow-3", "quick-1", "quick-2", "other")}) == 5
    track.put("quick-3", "quick-4")
    await until_async(lambda: len(track.ended) == 8)
    assert track.tasks["quick-3"] is track.tasks["quick-4"]


async def test_many_jobs_that_do_not_wait_let_the_loop_come_round(track: Track) -> None:
    turns: list[int] = []

    async def body(ident: str) -> None:
        time.sleep(SPELL / 2)  # noqa: ASYNC251  (it is the point: this handler does not wait)

    track.body = body
    asyncio.get_running_loop().call_later(SPELL, lambda: turns.append(len(track.ended)))
    track.put(*(str(n) for n in range(20)))
    await until_async(lambda: len(track.ended) == 20)
    assert turns
    assert turns[0] < 10


async def test_a_run_that_breaks_does_not_stop_the_lane(track: Track) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)

    async def body(ident: str) -> None:
        if ident == "a":
            raise ValueError(ident)

    track.body = body
    track.put("a", "b")
    await until_async(lambda: track.ended == ["b"])
