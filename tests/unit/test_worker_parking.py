"""Claims that lie with the store, against a server that is played by hand."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from coordinator.errors import StoreUnavailable
from coordinator.wire.step import Call
from tests.support.fleet import LoopDriver, claimed, until_async, wire
from workers import Registry
from workers.desk import Desk
from workers.exchange import Exchange
from workers.executor import Executor


class Bench:
    """An idle exchange whose server parks claims, and has nothing to give to those that come in the usual way unless
    `ready` says so."""

    def __init__(self, **settings: Any) -> None:
        self.driver = LoopDriver(**settings)
        self.driver.answer, self.driver.parked = self.answer, []
        self.desk, self.jobs = Desk(4), Registry()
        self.executor = Executor(self.jobs, self.driver, self.desk, 1)  # type: ignore[arg-type]
        self.exchange = Exchange(self.driver, self.desk, self.executor, ("a",))  # type: ignore[arg-type]
        self.ran: list[str] = []
        self.may_end = asyncio.Event()
        self.ready: list[Any] = []

        @self.jobs.handler("job")
        async def job(ctx: Any, payload: Any) -> None:
            self.ran.append(ctx.id)

        @self.jobs.handler("long")
        async def long(ctx: Any, payload: Any) -> None:
            self.ran.append(ctx.id)
            await self.may_end.wait()

    def answer(self, call: Call) -> Any:
        jobs = [wire(one) for one in self.ready] if call.script == "claim" else []
        self.ready = []
        if call.script == "claim":
            return ["ok", *jobs]
        return ["ok", [["ok", b""]] * ((len(call.args) - 8) // 5), jobs]

    async def parked(self, count: int) -> Call:
        """The last of so many claims that have been parked."""
        await until_async(lambda: len(self.driver.parked or ()) == count)
        return self.driver.parked[-1][0]  # type: ignore[index]

    def ring(self, at: int, *jobs: Any, more: bool = False) -> None:
        """The server carries out a parked claim."""
        word = b"more" if more else b"ok"
        self.driver.parked[at][1]([word, *(wire(one) for one in jobs)])  # type: ignore[index]

    def numbers(self) -> list[int]:
        """Numbers of all claims that were made in the usual way, alone or with outcomes."""
        return [call.args[2] for call in self.driver.calls]

    def claims(self) -> list[tuple[int, int]]:
        """Number and size of the claims that were made in the usual way."""
        return [(call.args[2], call.args[3]) for call in self.driver.calls if call.script == "claim"]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    await made.executor.start()
    await made.exchange.start()
    yield made
    made.exchange.stop_claiming()
    made.may_end.set()
    await made.executor.stop()
    await made.exchange.stop()


async def test_a_claim_that_found_nothing_is_followed_by_one_that_is_parked(bench: Bench) -> None:
    call = await bench.parked(1)
    assert call.args[1:] == ("s1", 2, 1, 86_400_000, 1, 1, "a")
    bench.ring(0, claimed("j-1", name="long"), more=True)
    # There may be more, and when there is not the next one is parked.
    assert (await bench.parked(2)).args[2] == 4
    assert bench.ran == ["j-1"]
    assert bench.claims() == [(1, 2), (3, 2)]


async def test_one_that_brought_all_there_was_is_followed_by_the_next_that_is_parked(bench: Bench) -> None:
    for at in range(2):
        await bench.parked(at + 1)
        bench.ring(at, claimed(f"j-{at}", name="long"))
    # With one slot that is free nobody can know: the store is not to ring for more than that.
    assert (await bench.parked(3)).args[2:5] == (4, 1, 86_400_000)
    bench.ring(2, claimed("j-2", name="long"))
    last = await bench.parked(4)
    assert last.args[5] == 0
    assert bench.claims() == [(1, 2)]
    assert bench.ran == ["j-0", "j-1", "j-2"]


async def test_a_job_begins_before_the_next_claim_is_parked_and_its_outcome_goes_alone(bench: Bench) -> None:
    await bench.parked(1)
    # The bell is read first, directly before the answer: it is no reason to do anything before the job has begun.
    bench.desk.ring()
    bench.ring(0, claimed("j-1"))
    parked = bench.driver.park
    ran_before: list[list[str]] = []
    bench.driver.park = lambda call, answered: (ran_before.append([*bench.ran]), parked(call, answered))[1]  # type: ignore[method-assign]
    assert (await bench.parked(2)).args[2] == 3
    await until_async(lambda: not bench.executor.jobs)
    assert ran_before == [["j-1"]]
    assert [(call.script, call.args[2]) for call in bench.driver.calls] == [("claim", 1), ("settle", 0)]


async def test_a_bell_right_after_the_answer_is_followed_by_a_claim(bench: Bench) -> None:
    await bench.parked(1)
    bench.ring(0, claimed("j-1"))
    # It has rung for a job that came after, and rings no more: a claim that was parked now would not be carried out.
    bench.ready = [claimed("j-2")]
    bench.desk.ring()
    await until_async(lambda: 3 in bench.numbers())
    assert (await bench.parked(2)).args[2] == 4


async def test_none_is_parked_while_one_is_made_under_the_same_number(bench: Bench) -> None:
    """Both would be answered with the same jobs, and each would begin twice."""
    await bench.parked(1)
    bench.ring(0, claimed("j-1", name="long"))
    await bench.parked(2)
    bench.driver.turns = 3
    bench.may_end.set()
    while not bench.desk.waiting:
        await asyncio.sleep(0)
    # The exchange is about to hand in the outcome, and to claim along with it, as soon as no claim is parked.
    bench.ring(1, claimed("j-2", name="long"))
    await bench.parked(3)
    parked = {call.args[2] for call, _answered in bench.driver.parked or ()}
    assert 4 in bench.numbers()
    assert not parked.intersection(bench.numbers())


async def test_a_parked_claim_that_brings_nothing_is_parked_anew(bench: Bench) -> None:
    await bench.parked(1)
    bench.ring(0)
    assert (await bench.parked(2)).args[2] == 3
    assert bench.numbers() == [1]


async def test_a_bell_is_no_reason_to_claim_while_a_claim_is_parked(bench: Bench) -> None:
    await bench.parked(1)
    bench.desk.ring()
    for _ in range(5):
        await asyncio.sleep(0)
    assert bench.claims() == [(1, 2)]


async def test_outcomes_go_alone_while_a_claim_is_parked(bench: Bench) -> None:
    await bench.parked(1)
    bench.ring(0, claimed("j-1", name="long"))
    await bench.parked(2)
    bench.may_end.set()
    await until_async(lambda: not bench.executor.jobs)
    assert bench.numbers() == [1, 0]


@pytest.mark.parametrize("reply", [StoreUnavailable("gone"), [b"session_lost"], 7, []], ids=str)
async def test_one_that_is_not_answered_is_made_again_under_its_number(bench: Bench, reply: Any) -> None:
    await bench.parked(1)
    bench.ready = [claimed("j-1")]
    bench.driver.parked[0][1](reply)  # type: ignore[index]
    await until_async(lambda: bench.ran == ["j-1"])
    # And then there is another: the answer to the second may be as old as the first time it was asked.
    await until_async(lambda: bench.numbers()[:2] == [1, 2] and 3 in bench.numbers())


async def test_when_messages_may_be_lost_the_claim_is_made_again_and_a_late_answer_does_not_count(bench: Bench) -> None:
    await bench.parked(1)
    bench.ready = [claimed("j-1")]
    bench.desk.doubt()
    await until_async(lambda: bench.numbers()[:2] == [1, 2])
    bench.ring(0, claimed("j-1"))
    await bench.parked(2)
    await until_async(lambda: bool(bench.ran))
    assert bench.ran == ["j-1"]


async def test_a_worker_that_stops_takes_its_claim_back(bench: Bench) -> None:
    await bench.parked(1)
    # It was carried out before the store heard of the end: the same batch comes once more, under the same number.
    bench.ready = [claimed("j-1")]
    bench.exchange.stop_claiming()
    await until_async(lambda: bench.claims() == [(1, 2), (2, 0)])
    bench.ring(0, claimed("j-1"))
    settled = lambda: [call.args[8:11] for call in bench.driver.calls if call.script == "settle"]  # noqa: E731
    await until_async(settled)
    assert settled() == [("j-1", "7", "released")]
    assert bench.ran == []


async def test_no_claim_is_parked_where_a_hold_may_be_shorter_than_it_lies() -> None:
    made = Bench(max_hold=1.0)
    await made.exchange.start()
    await until_async(lambda: made.claims() == [(1, 2)])
    await asyncio.sleep(0)
    assert made.driver.parked == []
    await made.exchange.stop()


async def test_a_claim_with_no_free_slot_is_not_parked(bench: Bench) -> None:
    await bench.parked(1)
    bench.ready = [claimed("j-3", name="long"), claimed("j-4", name="long")]
    bench.ring(0, claimed("j-1", name="long"), claimed("j-2", name="long"), more=True)
    await until_async(lambda: len(bench.ran) == 4)
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(bench.driver.parked or ()) == 1
