"""Settling and claiming, against a server that is played by hand."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from coordinator.errors import Corrupt, StoreUnavailable, UnknownOutcome
from coordinator.settings import Settings
from coordinator.wire.step import Call
from tests.support.fleet import LoopDriver, claimed, until_async, wire
from workers import Registry, SnoozeFor
from workers.desk import Desk
from workers.exchange import MAX_BATCH, MAX_KEYED, Exchange
from workers.executor import Executor


class Bench:
    """An exchange with an executor, and a server with jobs to give."""

    def __init__(self) -> None:
        self.driver = LoopDriver()
        self.driver.answer = self.answer
        self.desk = Desk(4)
        self.jobs = Registry()
        self.executor = Executor(self.jobs, self.driver, self.desk, 1)  # type: ignore[arg-type]
        self.exchange = Exchange(self.driver, self.desk, self.executor, ("a", "b"))  # type: ignore[arg-type]
        self.ready: list[Any] = []
        self.verdict: Callable[[str], list[Any]] = lambda _ident: ["ok", b""]
        self.failures: list[Exception] = []
        self.settled: list[tuple[str, str, str]] = []

    def put(self, *jobs: Any) -> None:
        self.ready += jobs
        self.desk.ring()

    def answer(self, call: Call) -> Any:
        if self.failures and call.script == "settle":
            return self.failures.pop(0)
        given = lambda wanted: [wire(self.ready.pop(0)) for _ in range(min(wanted, len(self.ready)))]  # noqa: E731
        if call.script == "claim":
            return ["ok", *given(call.args[3])]
        assert call.script == "settle"
        number, wanted, queues = call.args[2], call.args[3], int(call.args[6])
        words = call.args[7 + queues :]
        reports = [words[at : at + 5] for at in range(0, len(words), 5)]
        self.settled += [(str(one[0]), str(one[1]), str(one[2])) for one in reports]
        return ["ok", [self.verdict(str(one[0])) for one in reports], given(wanted) if number else []]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()

    @made.jobs.handler("job")
    async def job(ctx: Any, payload: Any) -> Any:
        return payload

    await made.executor.start()
    yield made
    made.exchange.stop_claiming()
    await made.executor.release_all()
    await made.executor.stop()
    await made.exchange.stop()
    await made.exchange.stop()


async def test_outcomes_and_the_next_claim_go_in_one_call(bench: Bench) -> None:
    bench.driver.turns = 5
    bench.ready = [claimed(f"j-{n}", name="job") for n in range(10)]
    await bench.exchange.start()
    await until_async(lambda: len(bench.settled) == 10)
    claim, second, *settles = bench.driver.calls
    assert (claim.script, claim.args[1:]) == ("claim", ("s1", 1, 2, 86_400_000, 0, 2, "a", "b"))
    assert (second.script, second.args[2:4]) == ("claim", (2, 2))
    assert [(call.script, *call.args[2:4]) for call in settles] == [("settle", number, 2) for number in range(3, 8)]
    await until_async(lambda: not bench.executor.jobs)
    assert bench.desk.taken == bench.desk.coming == 0


async def test_one_half_of_the_slots_runs_while_the_other_is_settled_and_claimed(bench: Bench) -> None:
    ran: list[str] = []

    @bench.jobs.handler("note")
    async def note(ctx: Any, payload: Any) -> None:
        ran.append(ctx.id)

    bench.driver.turns = 5
    bench.ready = [claimed(f"j-{n}", name="note") for n in range(8)]
    await bench.exchange.start()
    await until_async(lambda: len(bench.settled) == 8)
    assert ran == [f"j-{n}" for n in range(8)]
    assert all(call.args[3] <= 2 for call in bench.driver.calls)
    reported = [(len(call.args) - 9) // 5 for call in bench.driver.calls if call.script == "settle"]
    assert reported == [2, 2, 2, 2]


async def test_a_reply_is_read_when_the_next_call_is_on_its_way(bench: Bench) -> None:
    bench.driver.turns = 5
    bench.ready = [claimed(f"j-{n}", name="job") for n in range(4)]
    order: list[str] = []
    begin, perform = bench.executor.begin, bench.driver._perform

    def noted_begin(one: Any, lease_end: float, **more: Any) -> None:
        order.append("begun")
        begin(one, lease_end, **more)

    async def noted_perform(step: Any) -> Any:
        if isinstance(step, Call):
            order.append("sent")
        return await perform(step)

    bench.executor.begin = noted_begin  # type: ignore[method-assign]
    bench.driver._perform = noted_perform  # type: ignore[method-assign]
    await bench.exchange.start()
    await until_async(lambda: len(bench.settled) == 4)
    assert order[:7] == ["sent", "sent", "begun", "begun", "sent", "begun", "begun"]


@pytest.mark.parametrize("turns", [0, 1, 2, 7])
async def test_no_job_is_forgotten_however_fast_the_store_is(bench: Bench, turns: int) -> None:
    bench.driver.turns = turns
    bench.ready = [claimed(f"j-{n}", name="job") for n in range(50)]
    await bench.exchange.start()
    await until_async(lambda: len(bench.settled) == 50)
    assert len({ident for ident, _, _ in bench.settled}) == 50


async def test_a_job_that_comes_alone_is_begun_without_waiting_for_another_call(bench: Bench) -> None:
    @bench.jobs.handler("wait")
    async def wait(ctx: Any, payload: Any) -> None:
        await asyncio.Event().wait()

    bench.ready = [claimed(name="wait")]
    await bench.exchange.start()
    await until_async(lambda: bench.desk.taken == 1)
    assert len(bench.driver.calls) == 1


async def test_never_more_than_the_free_slots_are_claimed(bench: Bench) -> None:
    go_on = asyncio.Event()

    @bench.jobs.handler("wait")
    async def wait(ctx: Any, payload: Any) -> None:
        await go_on.wait()

    bench.ready = [claimed(f"j-{n}", name="wait") for n in range(6)]
    await bench.exchange.start()
    await until_async(lambda: bench.desk.taken == 4)
    bench.desk.ring()
    for _ in range(5):
        await asyncio.sleep(0)
    assert [call.args[3] for call in bench.driver.calls] == [2, 2]
    go_on.set()
    await until_async(lambda: len(bench.settled) == 6)


async def test_a_worker_that_found_nothing_waits_for_a_bell(bench: Bench) -> None:
    await bench.exchange.start()
    await until_async(lambda: len(bench.driver.calls) == 1)
    bench.put(claimed(name="job"))
    await until_async(lambda: bench.settled)
    assert bench.settled == [("j-1", "7", "succeeded")]


async def test_a_bell_during_a_claim_is_not_forgotten(bench: Bench) -> None:
    plain = bench.driver.answer

    def answer(call: Call) -> Any:
        if len(bench.driver.calls) == 1:
            reply = plain(call)
            bench.put(claimed(name="job"))
            return reply
        return plain(call)

    bench.driver.answer = answer
    await bench.exchange.start()
    await until_async(lambda: bench.settled)


@pytest.mark.parametrize("error", [StoreUnavailable("away"), UnknownOutcome("broken")])
async def test_what_the_store_did_not_answer_is_sent_again_under_the_same_number(
    bench: Bench, error: Exception
) -> None:
    bench.ready = [claimed(name="job")]
    bench.failures = [error, error]
    await bench.exchange.start()
    await until_async(lambda: bench.settled)
    settles = [call for call in bench.driver.calls if call.script == "settle"]
    assert [call.args[2] for call in settles] == [2, 2, 2]
    assert len({call.args for call in settles}) == 1
    assert bench.settled == [("j-1", "7", "succeeded")]


async def test_an_outcome_whose_lease_ended_is_dropped(bench: Bench) -> None:
    bench.ready = [claimed(name="job")]
    bench.failures = [StoreUnavailable("away")] * 1000
    await bench.exchange.start()
    await until_async(lambda: len(bench.driver.calls) >= 2)
    bench.executor.jobs["j-1"].lose("the session has lapsed")
    await until_async(lambda: not bench.executor.jobs)
    bench.failures = []
    bench.put(claimed("j-2", name="job"))
    await until_async(lambda: bench.settled)
    assert bench.settled == [("j-2", "7", "succeeded")]


@pytest.mark.parametrize("verdict", [["stale", b"waiting"], ["gone", b""], ["ok", b"no fence"], [], 7])
async def test_a_refused_outcome_is_dropped(bench: Bench, verdict: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    bench.verdict = lambda ident: verdict if ident == "j-1" else ["ok", b""]
    bench.ready = [claimed("j-1", name="job"), claimed("j-2", name="job")]
    await bench.exchange.start()
    await until_async(lambda: not bench.executor.jobs and len(bench.settled) == 2)
    assert "the outcome succeeded of job j-1 is void" in caplog.text
    assert bench.desk.taken == 0


async def test_a_retry_at_once_runs_again_in_its_slot(bench: Bench) -> None:
    runs: list[int] = []

    @bench.jobs.handler("again", timeout=None)
    async def again(ctx: Any, payload: Any) -> None:
        runs.append(ctx.fence())
        if len(runs) == 1:
            raise SnoozeFor(0)
        if len(runs) == 2:
            raise ValueError("no")

    bench.ready = [claimed("j-1", name="again", retry="3 0 0 1 0"), claimed("j-2", name="again", retry="3 0 0 1 0")]
    bench.verdict = lambda ident: ["ok", b"8"] if ident == "j-2" and bench.settled[-1][2] == "retry" else ["ok", b""]
    await bench.exchange.start()
    await until_async(lambda: len(runs) == 3)
    await until_async(lambda: not bench.executor.jobs)
    assert runs == [7, 7, 8]
    assert bench.settled == [("j-1", "7", "snooze"), ("j-2", "7", "retry"), ("j-2", "8", "succeeded")]
    assert bench.desk.taken == 0


async def test_jobs_of_a_session_that_ended_meanwhile_are_lost(bench: Bench) -> None:
    @bench.jobs.handler("wait")
    async def wait(ctx: Any, payload: Any) -> None:
        await asyncio.Event().wait()

    plain = bench.driver.answer

    def answer(call: Call) -> Any:
        reply = plain(call)
        bench.driver.keeper.session = "s2"
        return reply

    bench.driver.answer = answer
    bench.ready = [claimed(name="wait")]
    await bench.exchange.start()
    await until_async(lambda: len(bench.driver.calls) >= 1 and not bench.executor.jobs and not bench.desk.taken)
    assert bench.settled == []


async def test_stopping_leaves_the_idle_list_and_hands_back_what_comes_late(bench: Bench) -> None:
    plain = bench.driver.answer

    def answer(call: Call) -> Any:
        if len(bench.driver.calls) == 1:
            bench.exchange.stop_claiming()
        return plain(call)

    bench.driver.answer = answer
    bench.ready = [claimed("j-1", name="job")]
    await bench.exchange.start()
    await until_async(lambda: bench.driver.calls)
    await bench.exchange.stop()
    assert bench.settled == [("j-1", "7", "released")]
    assert [call.args[2:4] for call in bench.driver.calls] == [(1, 2), (2, 0), (0, 0)]
    bench.put(claimed("j-2", name="job"))
    assert len(bench.driver.calls) == 3


async def test_outcomes_whose_answers_are_missing_are_sent_again(bench: Bench) -> None:
    plain, spoiled = bench.driver.answer, []

    def answer(call: Call) -> Any:
        reply = plain(call)
        if call.script == "settle" and not spoiled:
            spoiled.append(call)
            reply[1].pop()
        return reply

    bench.driver.answer = answer
    bench.ready = [claimed(name="job")]
    await bench.exchange.start()
    await until_async(lambda: not bench.executor.jobs and bench.settled)
    assert bench.settled == [("j-1", "7", "succeeded")] * 2


@pytest.mark.parametrize("spoilt", [["ok", [["ok", b""]], 7], ["ok", 7, []]])
async def test_an_answer_that_is_no_batch_ends_nothing(bench: Bench, spoilt: list[Any]) -> None:
    plain, once = bench.driver.answer, [spoilt]
    bench.driver.answer = lambda call: once.pop() if call.script == "settle" and once else plain(call)
    bench.ready = [claimed(name="job")]
    await bench.exchange.start()
    await until_async(lambda: not bench.executor.jobs and bench.settled)
    assert bench.settled == [("j-1", "7", "succeeded")]


async def test_a_job_without_a_name_spoils_no_other(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    plain = bench.driver.answer

    def answer(call: Call) -> Any:
        reply = plain(call)
        jobs = reply if call.script == "claim" else reply[2]
        jobs[len(jobs) :] = [[b"\xff", b"7"]] if len(bench.driver.calls) == 1 else []
        return reply

    bench.driver.answer = answer
    bench.ready = [claimed(name="job")]
    await bench.exchange.start()
    await until_async(lambda: not bench.executor.jobs and bench.settled)
    assert bench.settled == [("j-1", "7", "succeeded")]
    assert "a job that has no name" in caplog.text
    assert bench.desk.taken == bench.desk.coming == 0


async def test_a_batch_has_a_limit(bench: Bench) -> None:
    bench.driver.settings = Settings.of(namespace="fake", batching={"enabled": False})
    desk = Desk(1000)
    executor = Executor(bench.jobs, bench.driver, desk, 1)  # type: ignore[arg-type]
    exchange = Exchange(bench.driver, desk, executor, ("a",))  # type: ignore[arg-type]
    bench.ready = [claimed(f"j-{n}", name="job") for n in range(2 * MAX_BATCH + 1)]
    await exchange.start()
    await until_async(lambda: len(bench.settled) == 2 * MAX_BATCH + 1)
    await exchange.stop()
    assert max(call.args[3] for call in bench.driver.calls) == MAX_BATCH
    sizes = [(len(call.args) - 7) // 5 for call in bench.driver.calls if call.script == "settle"]
    assert max(sizes) == MAX_BATCH


async def test_jobs_that_need_resources_come_and_go_in_smaller_batches(bench: Bench) -> None:
    bench.driver.settings = Settings.of(namespace="fake", batching={"enabled": False})
    desk = Desk(1000)
    executor = Executor(bench.jobs, bench.driver, desk, 1)  # type: ignore[arg-type]
    exchange = Exchange(bench.driver, desk, executor, ("a",))  # type: ignore[arg-type]
    bench.ready = [claimed(f"j-{n}", name="job", needs="x1:a") for n in range(2 * MAX_BATCH)]
    await exchange.start()
    await until_async(lambda: len(bench.settled) == 2 * MAX_BATCH)
    await exchange.stop()
    wanted = [call.args[3] for call in bench.driver.calls if call.args[3]]
    assert wanted[0] == MAX_BATCH
    assert MAX_KEYED in wanted
    sizes = [(len(call.args) - 7) // 5 for call in bench.driver.calls if call.script == "settle"]
    assert max(sizes) == MAX_KEYED


async def test_an_outcome_that_the_store_cannot_take_holds_up_no_other(bench: Bench) -> None:
    plain = bench.answer

    def answer(call: Call) -> Any:
        if call.script == "settle" and "j-2" in call.args:
            return Corrupt("a key of the family 'holders' has the wrong type")
        return plain(call)

    bench.driver.answer = answer
    bench.ready = [claimed(f"j-{n}", name="job") for n in range(8)]
    await bench.exchange.start()
    await until_async(lambda: len(bench.settled) == 7)
    assert "j-2" not in {ident for ident, _fence, _outcome in bench.settled}
    await until_async(lambda: not bench.executor.jobs and bench.desk.taken == 0)
    await asyncio.wait_for(bench.exchange.stop(), 5)


async def test_a_store_that_answers_another_number_of_reports_is_not_believed(bench: Bench) -> None:
    plain = bench.answer
    bench.driver.answer = lambda call: ["ok", [], []] if call.script == "settle" else plain(call)
    bench.ready = [claimed("j-1", name="job")]
    await bench.exchange.start()
    await until_async(lambda: not bench.executor.jobs and bench.desk.taken == 0)
    await asyncio.wait_for(bench.exchange.stop(), 5)


async def test_a_job_without_a_name_of_its_own_is_left_out_and_its_siblings_run(bench: Bench) -> None:
    nameless = [wire(claimed("j-1", name="job")), [], [b"\xff\xfe", b"1"], [b"j", b"nan"], None, [[b"x"], b"1"]]
    plain, given = bench.answer, [*nameless[1:], nameless[0]]

    def answer(call: Call) -> Any:
        if call.script == "claim" and given:
            jobs = list(given)
            given.clear()
            return ["ok", *jobs]
        return plain(call)

    bench.driver.answer = answer
    await bench.exchange.start()
    await until_async(lambda: [one[0] for one in bench.settled] == ["j-1"])
