"""Run timeouts on one wheel: nobody is told early, one timer of the loop serves all, and it is the next one's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.fleet import until_async
from workers.deadlines import Deadlines


class Run:
    """What a job is here: something with a timer."""

    def __init__(self) -> None:
        self.timer: int | None = None


class Bench:
    """Deadlines, and who was told when."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.told: list[tuple[Run, float]] = []
        self.armed: list[float] = []
        self.deadlines = Deadlines(self._up)

    def _up(self, job: Any) -> None:
        self.told.append((job, self.loop.time()))

    def set(self, seconds: float) -> tuple[Any, float]:
        run, due = Run(), self.loop.time() + seconds
        self.deadlines.set(run, due)  # type: ignore[arg-type]
        return run, due


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench()
    real = made.loop.call_at

    def call_at(when: float, *args: Any, **more: Any) -> asyncio.TimerHandle:
        made.armed.append(when)
        return real(when, *args, **more)

    monkeypatch.setattr(made.loop, "call_at", call_at)
    return made


async def test_everybody_is_told_in_order_and_nobody_early(bench: Bench) -> None:
    later, first, overdue = bench.set(0.06), bench.set(0.02), bench.set(-1)
    await until_async(lambda: len(bench.told) == 3)
    assert [run for run, _at in bench.told] == [overdue[0], first[0], later[0]]
    assert all(at >= due for (_run, at), (_same, due) in zip(bench.told, (overdue, first, later), strict=True))
    assert all(run.timer is None for run, _at in bench.told)


async def test_one_that_ended_is_told_nothing_and_those_behind_it_are(bench: Bench) -> None:
    ended, lasting = bench.set(0.02)[0], bench.set(0.03)[0]
    bench.deadlines.cancel(ended)
    bench.deadlines.cancel(ended)
    await until_async(lambda: bench.told)
    assert [run for run, _at in bench.told] == [lasting]


async def test_runs_that_end_in_time_leave_the_timers_of_the_loop_alone(bench: Bench) -> None:
    for _ in range(1000):
        bench.deadlines.cancel(bench.set(60)[0])
    assert len(bench.armed) == 1
    bench.set(30)
    assert len(bench.armed) == 2


async def test_one_who_fails_when_told_does_not_keep_the_rest_from_being_told_later(bench: Bench) -> None:
    def fail(_job: Any) -> None:
        raise RuntimeError("told")

    failing = Deadlines(fail)
    heard: list[Any] = []
    bench.loop.set_exception_handler(lambda _loop, context: heard.append(context["exception"]))
    for due in (0.0, 0.03):
        failing.set(Run(), bench.loop.time() + due)  # type: ignore[arg-type]
    await until_async(lambda: len(heard) == 2)


async def test_nobody_is_told_after_the_end(bench: Bench) -> None:
    bench.set(0)
    bench.deadlines.stop()
    done = bench.loop.create_future()
    bench.loop.call_later(0.03, done.set_result, None)
    await done
    assert not bench.told
