"""What a worker does with what the fleet has learnt of its handlers."""

from typing import Any

import pytest

from coordinator import RetryPolicy
from coordinator.errors import CoordinatorError, Corrupt
from coordinator.ops.lessons import NOTHING_LEARNT, Learnt
from coordinator.policy.backoff import Tally, octave
from coordinator.policy.escalation import Escalation
from coordinator.policy.outcome import Failed, Retry
from tests.support.fleet import FakeDriver, claimed, until_async
from workers import Registry, judge
from workers.job import Job, Stop
from workers.lessons import Lessons
from workers.registry import Handler


class Bench:
    """A worker's lessons, and a server that knows `fields` of every handler."""

    def __init__(self) -> None:
        self.jobs = Registry()
        self.driver = FakeDriver(sweep_interval=0.05)
        self.fields: list[str] = []
        self.driver.answer = lambda call: ["ok", "1000000", *([self.fields] * (len(call.args) - 1))]
        self.jobs.handler("job", timeout=40)(print)
        self.lessons = Lessons(self.jobs, self.driver)  # type: ignore[arg-type]

    def job(self, **more: Any) -> Job:
        handler = self.jobs.get("job")
        assert handler is not None
        made = Job(claimed(**more), handler, self.driver)  # type: ignore[arg-type]
        self.lessons.choose(made)
        return made


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_run_gets_the_time_of_its_handlers_level(bench: Bench) -> None:
    assert bench.job().seconds == 40
    bench.fields = ["level", "2", "late", "1"]
    await bench.lessons.look()
    job = bench.job()
    assert (job.level, job.seconds, job.unescalated) == (2, 90, 40)
    assert (bench.job(run_ms=7000).level, bench.job(run_ms=7000).seconds) == (0, 7)


async def test_a_handler_may_keep_its_time(bench: Bench) -> None:
    bench.jobs.handler("steady", timeout=40, escalate=False)(print)
    bench.fields = ["level", "2"]
    await bench.lessons.start()
    job = Job(claimed(), bench.jobs.get("steady"), bench.driver)  # type: ignore[arg-type]
    bench.lessons.choose(job)
    assert job.seconds == 40
    job.stop(Stop.TIMEOUT, "late")
    assert judge.report(job, Failed("late"), 100).outcome == "failed"
    await bench.lessons.stop()


async def test_it_is_asked_about_what_runs_and_an_idle_worker_asks_nothing(bench: Bench) -> None:
    await bench.lessons.start()
    assert [call.args[1:] for call in bench.driver.calls] == [("job",)]
    bench.job()
    await until_async(lambda: len(bench.driver.calls) == 2)
    bench.lessons.note(bench.job())
    await until_async(lambda: len(bench.driver.calls) == 3)
    await bench.lessons.stop()
    assert len(bench.driver.calls) == 3


async def test_without_an_answer_the_plain_time_holds(bench: Bench) -> None:
    def away(_call: Any) -> Any:
        raise CoordinatorError("away")

    bench.driver.answer = away
    await bench.lessons.start()
    assert bench.job().seconds == 40
    await bench.lessons.stop()


@pytest.mark.parametrize("fields", [["level", "10"], ["after:99", "1 1 1"], ["after:3", "1 1"], ["level", "high"]])
async def test_what_nobody_could_have_learnt_is_corrupt(bench: Bench, fields: list[str]) -> None:
    bench.fields = fields
    with pytest.raises(Corrupt):
        await bench.lessons.look()


async def test_what_is_remembered_of_retries_has_faded(bench: Bench) -> None:
    bench.fields = ["after:9", "4000 1000 400000"]
    await bench.lessons.look()
    assert bench.lessons.of(bench.job()).record == {9: Tally(2, 0.5)}


def test_a_timeout_is_reported_with_the_level_it_began_under_and_its_retry_waits(bench: Bench) -> None:
    job = bench.job()
    job.level = 2
    job.stop(Stop.TIMEOUT, "late")
    known = Learnt(Escalation(2))
    outcome = judge.failure(job, RuntimeError(), 0.5, known)
    assert outcome == Retry(40 / 4 * 1.5**2, "late")
    assert judge.report(job, outcome, 100).outcome == "retry@2"
    assert judge.failure(job, RuntimeError(), 0.5, NOTHING_LEARNT) == Retry(1.0, "late")


async def test_the_third_timeout_counts_before_the_server_has_told_of_it(bench: Bench) -> None:
    bench.fields = ["level", "0", "late", "2"]
    await bench.lessons.look()
    job = bench.job()
    job.stop(Stop.TIMEOUT, "late")
    assert bench.lessons.of(job).escalation == Escalation(1)


def test_an_adaptive_retry_says_what_it_passed_over() -> None:
    policy = RetryPolicy(5, 0.5, 60, 2, 0, "adaptive")
    job = Job(claimed(), Handler("job", print, "thread", policy), FakeDriver())  # type: ignore[arg-type]
    known = Learnt(record={octave(500): Tally(8, 1)})
    assert judge.failure(job, ValueError("no"), 0.5, known) == Retry(
        1.0, "ValueError: no (adaptive: of 8 retries after about 0.5 s 1 succeeded, so 1 s)"
    )
    assert judge.failure(job, ValueError("no"), 0.5) == Retry(0.5, "ValueError: no")
