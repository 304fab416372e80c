"""A worker in this process on a real server: what becomes of jobs."""

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from coordinator import RetryPolicy, Settings, Snooze, State
from coordinator.drivers.aio import AsyncDriver
from coordinator.errors import CoordinatorError
from coordinator.ops.fleet import Exchange
from tests.support.fleet import Fleet, until_async
from tests.support.server import gone
from workers import GiveUp, Registry, RetryLater, SnoozeFor, Worker

ONCE = RetryPolicy.none()
jobs = Registry()
begun: dict[str, threading.Event] = {}
may_end: dict[str, threading.Event] = {}


@jobs.handler("add")
async def add(ctx: Any, payload: Any) -> Any:
    return payload["a"] + payload["b"]


@jobs.handler("facts")
def facts(ctx: Any, payload: Any) -> Any:
    ctx.progress(0.5, "half way")
    held = {name: ctx.fence(name) for name in ctx.resources}
    return [ctx.attempt, ctx.deliveries, ctx.queue, int(ctx.priority), dict(ctx.metadata), held, ctx.fence()]


@jobs.handler("flaky", retry=RetryPolicy(max_attempts=3, base=0.05, jitter=0))
async def flaky(ctx: Any, payload: Any) -> Any:
    if ctx.attempt < 3:
        raise ValueError(f"attempt\n{ctx.attempt}")
    return ctx.attempt


@jobs.handler("at_once", retry=RetryPolicy(max_attempts=3, base=0))
async def at_once(ctx: Any, payload: Any) -> Any:
    payload_fences.setdefault(ctx.id, []).append(ctx.fence("shared/thing"))
    if ctx.attempt < 3:
        raise ValueError(ctx.attempt)
    return payload_fences[ctx.id]


payload_fences: dict[str, list[int]] = {}
snoozes: dict[str, int] = {}


@jobs.handler("snooze")
def snooze(ctx: Any, payload: Any) -> Any:
    snoozes[ctx.id] = snoozes.get(ctx.id, 0) + 1
    if snoozes[ctx.id] < 4:
        raise SnoozeFor(0.01)
    return [ctx.attempt, snoozes[ctx.id]]


@jobs.handler("later")
async def later(ctx: Any, payload: Any) -> Any:
    if payload == "give up":
        raise GiveUp("no use")
    raise RetryLater(0.01, "not yet")


@jobs.handler("big")
async def big(ctx: Any, payload: Any) -> Any:
    return "x" * payload


@jobs.handler("wait")
async def wait(ctx: Any, payload: Any) -> Any:
    begun[payload].set()
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        reasons[payload] = ctx.cancel_reason or ("lost" if ctx.lost else "")
        raise


reasons: dict[str, str] = {}


@jobs.handler("wait_thread")
def wait_thread(ctx: Any, payload: Any) -> Any:
    begun[payload].set()
    while not may_end[payload].wait(0.01):
        if ctx.cancelled:
            reasons[payload] = ctx.cancel_reason
            ctx.check()
    return "ended"


@jobs.handler("deaf_thread")
def deaf_thread(ctx: Any, payload: Any) -> Any:
    begun[payload].set()
    may_end[payload].wait(20)
    return "too late"


@jobs.handler("process", executor="process", on_error={KeyError: "give up"})
def in_process(ctx: Any, payload: Any) -> Any:
    if "pid" in payload:
        Path(payload["pid"]).write_text(str(os.getpid()))
        signal.pause()
    if "die" in payload:
        os._exit(3)
    if "raise" in payload:
        raise KeyError("in there")
    if "answer" in payload:
        raise GiveUp("said so")
    ctx.progress(0.5)
    ctx.check()
    return [os.getpid(), ctx.attempt, ctx.fence(), payload]


@pytest.fixture
def mark(request: pytest.FixtureRequest) -> str:
    name = request.node.nodeid
    begun[name], may_end[name] = threading.Event(), threading.Event()
    return str(name)


@pytest.fixture
async def fleet(redis_url: str, settings: Settings) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        made = Fleet(redis_url, settings, stack)
        stack.push_async_callback(made.client.close)
        yield made
        for one in may_end.values():
            one.set()


async def test_a_job_succeeds_with_what_its_handler_returns(fleet: Fleet) -> None:
    await fleet.worker(jobs)
    ticket = await fleet.client.submit("add", {"a": 1, "b": 2})
    assert await ticket.result(10) == 3
    nothing = await fleet.client.submit("add", {"a": [], "b": []})
    assert await nothing.result(10) == []


async def test_a_handler_knows_its_job(fleet: Fleet) -> None:
    await fleet.worker(jobs)
    ticket = await fleet.client.submit("facts", resources=["infra/vpc", "b c"], priority="high", metadata={"team": "x"})
    attempt, deliveries, queue, priority, metadata, held, fence = await ticket.result(10)
    assert (attempt, deliveries, queue, priority, metadata) == (1, 1, "default", 2, {"team": "x"})
    assert held == {"infra/vpc": fence, "b c": fence}
    assert (await fleet.client.explain(ticket.ident)).fields["progress"] == "50% half way"
    assert fence > 0


async def test_a_worker_that_waits_is_woken_by_a_submission(fleet: Fleet) -> None:
    await fleet.worker(jobs, poll=600)
    for n in range(3):
        await fleet.idle()
        ticket = await fleet.client.submit("add", {"a": n, "b": 0})
        assert await ticket.result(5) == n


async def test_a_job_that_fails_runs_again_until_it_succeeds_or_has_no_attempts_left(fleet: Fleet) -> None:
    await fleet.worker(jobs)
    good = await fleet.client.submit("flaky")
    bad = await fleet.client.submit("flaky", retry=RetryPolicy(max_attempts=2, base=0.05))
    assert await good.result(10) == 3
    assert await fleet.why(bad) == ("failed", "ValueError: attempt\\n2")


async def test_a_retry_at_once_keeps_the_slot_and_the_resource(fleet: Fleet) -> None:
    await fleet.worker(jobs, concurrency=1)
    first, second = [await fleet.client.submit("at_once", resources="shared/thing") for _ in range(2)]
    fences, later = await first.result(10), await second.result(10)
    assert fences == sorted(set(fences))
    assert len(fences) == len(later) == 3
    assert fences[-1] < later[0], "nobody else had the resource in between"
    assert (await fleet.client.explain(first.ident)).fields["deliveries"] == "1"


async def test_a_snooze_costs_no_attempt(fleet: Fleet) -> None:
    await fleet.worker(jobs)
    ticket = await fleet.client.submit("snooze", retry=ONCE)
    assert await ticket.result(20) == [1, 4]


async def test_a_handler_may_choose_when_to_retry_or_to_give_up(fleet: Fleet) -> None:
    await fleet.worker(jobs)
    tickets = [await fleet.client.submit("later", what) for what in ("later", "give up")]
    assert await fleet.why(tickets[0], 20) == ("failed", "not yet")
    assert await fleet.why(tickets[1]) == ("failed", "no use")
    assert (await fleet.client.explain(tickets[0].ident)).fields["attempts"] == "3"


async def test_a_result_that_is_too_large_fails_the_job(fleet: Fleet) -> None:
    await fleet.worker(jobs)
    assert await (await fleet.client.submit("big", 10)).result(10) == "x" * 10
    state, why = await fleet.why(await fleet.client.submit("big", 2_000_000))
    assert state == "failed"
    assert why.startswith("PayloadTooLarge: result of 2000005 bytes is above the limit")


async def test_poisoned_jobs_are_set_aside_and_their_siblings_run(fleet: Fleet, raw: Any, namespace: str) -> None:
    unknown = await fleet.client.submit("no.such.handler", 1)
    corrupt = await fleet.client.submit("add", {"a": 1, "b": 1})
    nameless = await fleet.client.submit("add", {"a": 1, "b": 1})
    good = [await fleet.client.submit("add", {"a": n, "b": n}) for n in range(5)]
    raw.hset(f"co:{{{namespace}}}:req:{corrupt.ident}", "data", b"\x81")
    raw.hset(f"co:{{{namespace}}}:req:{nameless.ident}", "name", b"\xff\xfe")
    await fleet.worker(jobs)
    assert [await one.result(10) for one in good] == [0, 2, 4, 6, 8]
    assert await fleet.why(unknown) == ("dead", "no handler 'no.such.handler' in this worker")
    state, why = await fleet.why(corrupt)
    assert (state, why.split(":")[0]) == ("dead", "the payload is not valid msgpack")
    state, why = await fleet.why(nameless)
    assert (state, why.split(":")[0]) == ("dead", "unreadable record")


async def test_a_coroutine_is_cancelled_with_the_reason(fleet: Fleet, mark: str) -> None:
    await fleet.worker(jobs)
    ticket = await fleet.client.submit("wait", mark)
    await until_async(begun[mark].is_set)
    assert await ticket.cancel("not wanted any more") is False
    assert await fleet.why(ticket) == ("cancelled", "not wanted any more")
    assert reasons[mark] == "not wanted any more"


async def test_a_thread_is_told_that_it_is_cancelled(fleet: Fleet, mark: str) -> None:
    await fleet.worker(jobs)
    ticket = await fleet.client.submit("wait_thread", mark)
    await until_async(begun[mark].is_set)
    await ticket.cancel("stop it")
    assert await fleet.why(ticket) == ("cancelled", "stop it")
    assert reasons[mark] == "stop it"


async def test_a_cancellation_whose_message_was_lost_is_found_when_messages_are_missing(
    fleet: Fleet, mark: str, raw: Any, namespace: str
) -> None:
    worker = await fleet.worker(jobs)
    ticket = await fleet.client.submit("wait", mark)
    await until_async(begun[mark].is_set)
    raw.hset(f"co:{{{namespace}}}:req:{ticket.ident}", "cancel", "unheard")
    raw.hincrby(f"co:{{{namespace}}}:session:{worker.session}", "mail", 1)
    assert await fleet.why(ticket) == ("cancelled", "unheard")


async def test_a_cancellation_that_is_faster_than_the_reply_that_brings_the_job_is_kept(
    fleet: Fleet, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The reply to a parked claim comes behind the messages, so there is nothing to overtake.
    monkeypatch.setattr(AsyncDriver, "park", lambda *_: False)
    worker = await fleet.worker(jobs)
    heard = asyncio.Event()
    listener, run = worker._listener, worker._driver.run
    cancel = listener.cancel
    worker._driver.postman.on_cancel = lambda ident, fence: (cancel(ident, fence), heard.set())

    async def slow(step: Any, *more: Any) -> Any:
        reply = await run(step, *more)
        if isinstance(reply, Exchange) and reply.raw_jobs and not heard.is_set():
            await ticket.cancel("at once")
            await heard.wait()
        return reply

    monkeypatch.setattr(worker._driver, "run", slow)
    ticket = await fleet.client.submit("wait", mark)
    assert await fleet.why(ticket) == ("cancelled", "at once")


async def test_a_coroutine_times_out(fleet: Fleet, mark: str) -> None:
    await fleet.worker(jobs)
    ticket = await fleet.client.submit("wait", mark, run_timeout=0.2, retry=ONCE)
    assert await fleet.why(ticket) == ("failed", "timed out after 0.2 s")
    assert reasons[mark] == "timed out after 0.2 s"


async def test_a_thread_times_out_at_once_and_its_late_result_does_not_count(fleet: Fleet, mark: str) -> None:
    await fleet.worker(jobs, concurrency=1)
    ticket = await fleet.client.submit("deaf_thread", mark, run_timeout=0.2, retry=ONCE)
    assert await fleet.why(ticket) == ("failed", "timed out after 0.2 s")
    following = await fleet.client.submit("add", {"a": 1, "b": 1})
    assert await following.state() == State.READY, "the thread still has the only slot"
    may_end[mark].set()
    assert await following.result(10) == 2
    assert await fleet.why(ticket) == ("failed", "timed out after 0.2 s")


async def test_a_process_does_its_job(fleet: Fleet) -> None:
    await fleet.worker(jobs)
    pid, attempt, fence, payload = await (await fleet.client.submit("process", {"a": [1, None]})).result(30)
    assert (pid != os.getpid(), attempt, payload) == (True, 1, {"a": [1, None]})
    assert fence > 0
    wrong = await fleet.client.submit("process", {"raise": 1}, retry=ONCE)
    assert await fleet.why(wrong) == ("failed", "no retry after KeyError: KeyError: 'in there'")
    answer = await fleet.client.submit("process", {"answer": 1})
    assert await fleet.why(answer) == ("failed", "said so")


class NotReady(Exception): ...


looks: dict[str, int] = {}


@jobs.handler("ruled", on_error={NotReady: Snooze(0.05), OSError: "give up", TimeoutError: "retry"})
async def ruled(ctx: Any, payload: Any) -> Any:
    looks[ctx.id] = looks.get(ctx.id, 0) + 1
    if payload == "not yet" and looks[ctx.id] < 3:
        raise ExceptionGroup("several", [NotReady("no"), NotReady("no")])
    if payload == "hopeless":
        raise ConnectionError("no route")
    return ctx.attempt, looks[ctx.id]


async def test_a_handlers_rules_say_what_an_exception_means(fleet: Fleet) -> None:
    await fleet.worker(jobs)
    assert await (await fleet.client.submit("ruled", "not yet")).result(10) == [1, 3], "snoozed twice, one attempt"
    hopeless = await fleet.client.submit("ruled", "hopeless")
    assert await fleet.why(hopeless) == ("failed", "no retry after OSError: ConnectionError: no route")
    assert looks[hopeless.ident] == 1
    in_a_process = await fleet.client.submit("process", {"raise": 1}, retry=RetryPolicy(max_attempts=9, base=0))
    assert await fleet.why(in_a_process, 30) == ("failed", "no retry after KeyError: KeyError: 'in there'")


async def test_a_process_that_dies_fails_its_attempt_and_another_takes_its_place(fleet: Fleet) -> None:
    await fleet.worker(jobs)
    ticket = await fleet.client.submit("process", {"die": 1}, retry=ONCE)
    assert await fleet.why(ticket, 30) == ("failed", "its process died with exit code 3")
    assert (await (await fleet.client.submit("process", {})).result(30))[1] == 1


@pytest.mark.parametrize("how", ["timeout", "cancel"])
async def test_a_process_is_really_killed(fleet: Fleet, tmp_path: Path, how: str) -> None:
    await fleet.worker(jobs)
    await (await fleet.client.submit("process", {})).result(30)
    noted = tmp_path / "pid"
    limit = 1.0 if how == "timeout" else None
    ticket = await fleet.client.submit("process", {"pid": str(noted)}, run_timeout=limit, retry=ONCE)
    pid = int(await until_async(lambda: noted.exists() and noted.read_text(), 20))
    assert psutil.pid_exists(pid)
    if how == "cancel":
        await ticket.cancel("enough")
        assert await fleet.why(ticket) == ("cancelled", "enough")
    else:
        assert await fleet.why(ticket) == ("failed", "timed out after 1 s")
    await until_async(lambda: gone(pid))


async def test_a_process_handler_must_be_found_by_its_name(fleet: Fleet) -> None:
    local = Registry()

    @local.handler("hidden", executor="process")
    def hidden(ctx: Any, payload: Any) -> None: ...

    with pytest.raises(CoordinatorError, match="at the top of a module"):
        Worker(local)


async def test_many_small_jobs_go_through_in_batches(fleet: Fleet, raw: Any) -> None:
    tickets = [await fleet.client.submit("add", {"a": n, "b": 1}) for n in range(300)]
    await fleet.worker(jobs, concurrency=64)
    assert [await one.result(20) for one in tickets] == [n + 1 for n in range(300)]


async def test_two_workers_share_the_work_and_a_resource_has_one_holder(fleet: Fleet) -> None:
    inside, most = [0], [0]
    registry = Registry()

    @registry.handler("guarded")
    async def guarded(ctx: Any, payload: Any) -> None:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        await asyncio.sleep(0)
        inside[0] -= 1

    await fleet.worker(registry)
    await fleet.worker(registry)
    tickets = [await fleet.client.submit("guarded", resources="only/one") for _ in range(40)]
    for one in tickets:
        await one.result(20)
    assert most == [1]
