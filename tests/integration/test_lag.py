"""A worker that is kept from all else says so in its log, and by which handler."""

import asyncio
import ctypes
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from coordinator import Settings
from tests.support.fleet import Fleet, until_async
from workers import Registry, lag

KEPT = 0.4


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is worth a line here."""
    monkeypatch.setattr(lag, "LONG", KEPT / 4)


@pytest.fixture
async def fleet(redis_url: str, settings: Settings) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        made = Fleet(redis_url, settings, stack)
        yield made
        await made.client.close()


def registry(began: asyncio.Event) -> Registry:
    jobs = Registry()

    @jobs.handler("at-once")
    async def at_once(_ctx: Any, _payload: Any) -> None:
        time.sleep(KEPT)  # noqa: ASYNC251  (that is the mistake)

    @jobs.handler("later")
    async def later(_ctx: Any, _payload: Any) -> None:
        await asyncio.sleep(0)
        time.sleep(KEPT)  # noqa: ASYNC251  (that is the mistake)

    @jobs.handler("patient")
    async def patient(_ctx: Any, _payload: Any) -> None:
        began.set()
        await asyncio.sleep(1.5 * KEPT)

    @jobs.handler("holds-the-lock")
    def holds_the_lock(_ctx: Any, _payload: Any) -> None:
        # As a C extension that does not let go of it.
        ctypes.PyDLL(None).usleep(int(KEPT * 1_000_000))

    return jobs


@pytest.mark.parametrize("name", ["at-once", "later"])
async def test_a_handler_that_keeps_the_loop_is_named_once(
    fleet: Fleet, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    caplog.set_level(logging.WARNING, lag.__name__)
    began = asyncio.Event()
    await fleet.worker(registry(began))
    await fleet.client.submit("patient")
    await began.wait()
    ticket = await fleet.client.submit(name)
    await ticket.result(10)
    said = [one.getMessage() for one in caplog.records if one.name == lag.__name__]
    assert len(said) == 1, said
    assert said[0].startswith(f"handler {name} has kept the event loop of this worker for 0.")
    assert ticket.ident in said[0]


async def test_a_handler_that_holds_the_interpreters_lock_is_named_when_it_lets_go(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, lag.__name__)
    await fleet.worker(registry(asyncio.Event()))
    ticket = await fleet.client.submit("holds-the-lock")
    await ticket.result(10)
    await until_async(lambda: caplog.records)
    said = caplog.records[0].getMessage()
    assert "stood still for 0." in said
    assert "while it ran holds-the-lock" in said


class Played:
    """A job as the lag sees it."""

    def __init__(self, name: str, executor: str, **more: Any) -> None:
        self.handler = type("H", (), {"name": name, "executor": executor})
        self.ident, self.began, self.task, self.interrupt = name, 1.0, None, None
        self.begun, self.finished = True, False
        vars(self).update(more)


@pytest.fixture
def made() -> Callable[..., lag.Lag]:
    return lambda *jobs: lag.Lag(lambda: jobs, (), closed_loop())


def closed_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.close()
    return loop


def said(caplog: pytest.LogCaptureFixture) -> str:
    return " ".join(one.getMessage() for one in caplog.records)


@pytest.mark.no_redis
@pytest.mark.parametrize(("spent", "words"), [(2.9, ": something held"), (0.1, ": it was stopped, or something held")])
def test_a_process_that_stood_still_says_what_it_did_with_the_processor(
    caplog: pytest.LogCaptureFixture, made: Callable[..., lag.Lag], spent: float, words: str
) -> None:
    others = (Played("killable", "process"), Played("began-later", "thread", began=time.monotonic() + 60))
    one = made(Played("grinds", "thread"), *others)
    one.woke(lag.LONG / 2, 0.0)
    assert not caplog.records
    one.woke(3.0, spent)
    assert f"stood still for 3.0 s while it ran grinds, and used the processor for {spent:.1f} s of it{words}" in said(
        caplog
    )
    one.woke(3.0, spent)
    assert len(caplog.records) == 1, "the same handler is not named again at once"


@pytest.mark.no_redis
def test_a_run_that_has_just_ended_is_named_too_and_one_from_before_is_not(caplog: pytest.LogCaptureFixture) -> None:
    now = time.monotonic()
    ended = [lag.Ended("before", now - 9, now - 4), lag.Ended("just-now", now - 3.5, now)]
    lag.Lag(list, ended, closed_loop()).woke(3.0, 2.9)
    assert "while it ran just-now, and" in said(caplog)


@pytest.mark.no_redis
def test_a_process_without_a_job_that_could_be_to_blame_says_nothing(
    caplog: pytest.LogCaptureFixture, made: Callable[..., lag.Lag]
) -> None:
    one = made(Played("killable", "process"))
    one.woke(3.0, 2.9)
    one.kept(3.0)
    assert one.pause(threading.Event(), 0.0) is False
    assert not caplog.records
