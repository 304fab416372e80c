"""Running handlers, with a driver that is played by hand."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from coordinator import RetryPolicy
from tests.support.fleet import LoopDriver, claimed, until_async
from workers import Registry
from workers.control import HandlerFailed
from workers.desk import Desk, Entry
from workers.executor import Executor
from workers.job import Stop

ONCE = RetryPolicy.none()


class Bench:
    """An executor, its desk, and what it is given."""

    def __init__(self) -> None:
        self.jobs = Registry()
        self.driver = LoopDriver()
        self.desk = Desk(4)
        self.executor = Executor(self.jobs, self.driver, self.desk, 1)  # type: ignore[arg-type]

    def begin(self, ident: str = "j-1", **more: Any) -> Any:
        self.driver.hold(self.executor.begin(claimed(ident, **more), float("inf")))
        return self.executor.jobs[ident]

    async def entry(self) -> Entry:
        await until_async(lambda: self.desk.waiting)
        return self.desk.waiting.popleft()

    async def outcome(self) -> tuple[str, Any]:
        report = (await self.entry()).report
        return report.outcome, report.value


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    await made.executor.start()
    yield made
    await made.executor.release_all()
    await made.executor.stop()
    await made.executor.stop()


async def test_a_coroutine_runs_on_the_loop_and_a_function_in_a_thread(bench: Bench) -> None:
    seen: dict[str, int] = {}

    @bench.jobs.handler("async")
    async def on_loop(ctx: Any, payload: Any) -> Any:
        seen["async"] = threading.get_ident()
        return payload + 1

    @bench.jobs.handler("thread")
    def in_thread(ctx: Any, payload: Any) -> Any:
        seen["thread"] = threading.get_ident()
        return payload + 2

    bench.begin(name="async", payload=1)
    assert await bench.outcome() == ("succeeded", b"\x02")
    bench.begin(name="thread", payload=1)
    assert await bench.outcome() == ("succeeded", b"\x03")
    assert seen["async"] == threading.get_ident() != seen["thread"]
    assert bench.desk.taken == 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"name": "unknown"}, "no handler 'unknown' in this worker"),
        ({"name": "good", "payload_bytes": b"\x81"}, "the payload is not valid msgpack: ValueError"),
        ({"name": "good", "payload_bytes": b""}, "the payload is not valid msgpack"),
        ({"name": "good", "problem": "unreadable record"}, "unreadable record"),
        ({"name": "bad\x1bname"}, "no handler 'bad\\x1bname' in this worker"),
    ],
)
async def test_a_job_that_cannot_run_is_set_aside_and_its_sibling_runs(
    bench: Bench, more: dict[str, Any], said: str
) -> None:
    @bench.jobs.handler("good")
    async def good(ctx: Any, payload: Any) -> None: ...

    packed = more.pop("payload_bytes", None)
    one = claimed("bad", **more)
    bench.executor.begin(one if packed is None else one._replace(payload=packed), float("inf"))
    bench.begin("fine", name="good")
    found = {(await bench.entry()).report for _ in range(2)}
    by_id = {report.ident: report for report in found}
    assert by_id["bad"].outcome == "dead"
    assert said in str(by_id["bad"].value)
    assert by_id["fine"].outcome == "succeeded"
    assert bench.desk.taken == 0


async def test_a_handler_that_fails_in_any_way_takes_nobody_along(bench: Bench) -> None:
    @bench.jobs.handler("exit", retry=ONCE)
    async def leave(ctx: Any, payload: Any) -> None:
        raise SystemExit(payload)

    @bench.jobs.handler("thread", retry=ONCE)
    def stop(ctx: Any, payload: Any) -> None:
        raise StopIteration(payload)

    @bench.jobs.handler("cancelled", retry=ONCE)
    async def cancelled(ctx: Any, payload: Any) -> None:
        raise asyncio.CancelledError

    bench.begin(name="exit", payload=3)
    assert await bench.outcome() == ("failed", "SystemExit: 3")
    bench.begin(name="thread", payload=3)
    assert await bench.outcome() == ("failed", "RuntimeError: coroutine raised StopIteration")
    bench.begin(name="cancelled")
    assert await bench.outcome() == ("failed", "CancelledError")


async def test_a_coroutine_that_takes_too_long_is_cancelled(bench: Bench) -> None:
    ended = []

    @bench.jobs.handler("slow", retry=ONCE, timeout=0.05)
    async def slow(ctx: Any, payload: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(ctx.cancel_reason)

    bench.begin(name="slow")
    assert await bench.outcome() == ("failed@0", "timed out after 0.05 s")
    assert ended == ["timed out after 0.05 s"]


async def test_a_coroutine_that_hides_its_cancellation_has_still_run_out_of_time(bench: Bench) -> None:
    @bench.jobs.handler("slow", retry=ONCE)
    async def slow(ctx: Any, payload: Any) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "done"
        return "never"

    bench.begin(name="slow", run_ms=50)
    assert await bench.outcome() == ("failed", "timed out after 0.05 s")


async def test_a_thread_that_takes_too_long_keeps_its_slot_and_its_result_is_thrown_away(bench: Bench) -> None:
    go_on = threading.Event()

    @bench.jobs.handler("slow", retry=ONCE, timeout=0.05)
    def slow(ctx: Any, payload: Any) -> str:
        go_on.wait(10)
        return "late"

    bench.begin(name="slow")
    assert await bench.outcome() == ("failed@0", "timed out after 0.05 s")
    assert bench.desk.taken == 1
    go_on.set()
    await until_async(lambda: bench.desk.taken == 0)
    assert not bench.desk.waiting


async def test_a_cancelled_thread_is_asked_and_reports_when_it_ends(bench: Bench) -> None:
    begun = threading.Event()

    @bench.jobs.handler("loop")
    def loop(ctx: Any, payload: Any) -> None:
        begun.set()
        while True:
            ctx.check()

    job = bench.begin(name="loop")
    await until_async(begun.is_set)
    job.stop(Stop.CANCEL, "not wanted")
    assert await bench.outcome() == ("cancelled", "not wanted")
    assert bench.desk.taken == 0


async def test_a_handler_that_finishes_although_it_was_cancelled_has_succeeded(bench: Bench) -> None:
    @bench.jobs.handler("tough")
    async def tough(ctx: Any, payload: Any) -> bool:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return bool(ctx.cancelled)

    job = bench.begin(name="tough")
    await until_async(lambda: job.begun)
    job.stop(Stop.CANCEL, "not wanted")
    assert await bench.outcome() == ("succeeded", b"\xc3")


async def test_a_job_that_was_stopped_before_it_began_does_not_begin(bench: Bench) -> None:
    ran = []

    @bench.jobs.handler("job")
    async def handler(ctx: Any, payload: Any) -> None:
        ran.append(ctx.id)

    bench.begin(name="job")
    bench.executor.release_waiting()
    assert (await bench.outcome())[0] == "released"
    assert not ran
    assert bench.executor.begun() == []


async def test_a_lost_job_is_cancelled(bench: Bench) -> None:
    @bench.jobs.handler("job")
    async def handler(ctx: Any, payload: Any) -> None:
        await asyncio.Event().wait()

    job = bench.begin(name="job")
    await until_async(lambda: job.begun)
    await asyncio.to_thread(job.lose, "the session has lapsed")
    entry = await bench.entry()
    assert entry.job.lost
    assert bench.desk.taken == 0


async def test_a_job_that_comes_again_is_lost_to_the_run_before(bench: Bench) -> None:
    runs: list[Any] = []

    @bench.jobs.handler("wait")
    async def wait(ctx: Any, payload: Any) -> None:
        runs.append(ctx)
        await asyncio.Event().wait()

    bench.begin(name="wait", fence=7)
    await until_async(lambda: len(runs) == 1)
    bench.begin(name="wait", fence=9)
    await until_async(lambda: len(runs) == 2)
    assert runs[0].lost
    assert not runs[1].lost


async def test_starts_are_told_once_and_not_for_what_is_over(bench: Bench) -> None:
    go_on = asyncio.Event()

    @bench.jobs.handler("job")
    async def handler(ctx: Any, payload: Any) -> None:
        await go_on.wait()

    jobs = [bench.begin("j-1", name="job"), bench.begin("j-2", name="job", fence=9)]
    assert list(bench.executor.begun()) == []
    await until_async(lambda: all(job.begun for job in jobs))
    assert sorted(bench.executor.begun()) == [("j-1", "7"), ("j-2", "9")]
    assert list(bench.executor.begun()) == []
    go_on.set()
    await bench.executor.finished()


async def test_a_retry_at_once_keeps_its_slot_and_runs_under_the_new_fence(bench: Bench) -> None:
    seen: list[tuple[int, int]] = []

    @bench.jobs.handler("job", retry=RetryPolicy(base=0, max_attempts=2))
    async def handler(ctx: Any, payload: Any) -> None:
        seen.append((ctx.attempt, ctx.fence()))
        if ctx.attempt == 1:
            raise ValueError

    job = bench.begin(name="job")
    entry = await bench.entry()
    assert (entry.report.outcome, entry.report.delay_ms, entry.keeps) == ("retry", 0, True)
    assert bench.desk.taken == 1
    bench.executor.again(job, 8, None)
    assert await bench.outcome() == ("succeeded", b"")
    assert seen == [(1, 7), (2, 8)]
    bench.executor.forget(job)
    assert "j-1" in bench.executor.jobs, "an old run does not forget a newer one"
    bench.executor.forget(bench.executor.jobs["j-1"])
    assert not bench.executor.jobs
    assert not bench.driver.keeper.held
    assert bench.desk.taken == 0


async def test_what_failed_in_a_process_is_logged_in_its_own_words(bench: Bench) -> None:
    @bench.jobs.handler("job", retry=ONCE)
    async def handler(ctx: Any, payload: Any) -> None:
        raise HandlerFailed("KeyError: 'in there'")

    with capture_logs() as lines:
        bench.begin(name="job")
        assert await bench.outcome() == ("failed", "KeyError: 'in there'")
    assert [line["error"] for line in lines if line["event"] == "handler failed"] == ["KeyError: 'in there'"]


async def test_the_last_word_of_a_job_is_sent_before_its_outcome(bench: Bench) -> None:
    @bench.jobs.handler("job")
    async def handler(ctx: Any, payload: Any) -> None:
        for step in range(100):
            ctx.progress(step / 100)
        await until_async(lambda: bench.driver.calls)
        ctx.progress(1, "done")

    bench.begin(name="job")
    await bench.entry()
    said = [call.args[3] for call in bench.driver.calls if call.script == "note_progress"]
    assert said == ["99%", "100% done"]


async def test_an_outcome_does_not_overtake_what_is_on_its_way(bench: Bench) -> None:
    reported: list[int] = []

    def answer(call: Any) -> Any:
        reported.append(len(bench.desk.waiting))
        return ["ok"]

    bench.driver.answer, bench.driver.turns = answer, 20

    @bench.jobs.handler("job")
    async def handler(ctx: Any, payload: Any) -> None:
        ctx.progress(0.5)
        await until_async(lambda: bench.driver.calls)

    bench.begin(name="job")
    await bench.entry()
    assert reported == [0]


async def test_progress_that_nobody_counts_any_more_means_the_job_is_lost(bench: Bench) -> None:
    bench.driver.answer = lambda call: ["stale"]

    @bench.jobs.handler("job")
    def handler(ctx: Any, payload: Any) -> None:
        ctx.progress(0.5)
        while True:
            ctx.check()

    bench.begin(name="job")
    assert (await bench.entry()).job.why_lost == "the server has given it up"


async def test_handlers_that_do_not_end_are_handed_back_all_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.executor.LINGER", 0.1)
    go_on, stubborn_end = threading.Event(), asyncio.Event()

    @bench.jobs.handler("thread")
    def in_thread(ctx: Any, payload: Any) -> None:
        go_on.wait(10)

    @bench.jobs.handler("stubborn")
    async def stubborn(ctx: Any, payload: Any) -> None:
        while not stubborn_end.is_set():
            try:
                await stubborn_end.wait()
            except asyncio.CancelledError:
                continue

    jobs = [bench.begin("j-1", name="thread"), bench.begin("j-2", name="stubborn")]
    await until_async(lambda: all(job.begun for job in jobs))
    await bench.executor.release_all()
    assert {(await bench.entry()).report.outcome for _ in jobs} == {"released"}
    go_on.set()
    stubborn_end.set()
    await until_async(lambda: bench.desk.taken == 0)
    assert not bench.desk.waiting
