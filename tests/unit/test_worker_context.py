"""What a handler sees of its job."""

import math
import pickle
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from coordinator import Priority
from coordinator.errors import Corrupt, InvalidInput, LeaseLost
from tests.support.fleet import FakeDriver, LoopDriver, claimed
from workers import Context, JobCancelled
from workers.exchange import PARKED
from workers.job import Job, Stop, lease_end
from workers.registry import Handler


def job_of(driver: FakeDriver, **more: Any) -> Job:
    handler = Handler("job", print, "thread", timeout=more.pop("timeout", None))
    return Job(claimed(**more), handler, driver)  # type: ignore[arg-type]


@pytest.fixture
async def driver() -> LoopDriver:
    return LoopDriver()


def context_of(job: Job) -> Context:
    return Context(job, lambda _job: None)


async def test_the_facts_of_a_job(driver: LoopDriver) -> None:
    job = job_of(
        driver,
        priority=3,
        attempts=1,
        deliveries=4,
        metadata='{"team": "x"}',
        needs="x1:infra/vpc s1:a%20b x1:~dedup/k",
    )
    ctx = context_of(job)
    assert (ctx.id, ctx.name, ctx.queue, ctx.attempt, ctx.deliveries) == ("j-1", "job", "default", 2, 4)
    assert ctx.priority is Priority.CRITICAL
    assert ctx.metadata == {"team": "x"}
    assert ctx.resources == ("infra/vpc", "a b")
    assert ctx.fence() == ctx.fence("infra/vpc") == ctx.fence("a b") == 7
    with pytest.raises(InvalidInput, match="holds infra/vpc, a b"):
        ctx.fence("other")


async def test_unreadable_facts_fail_only_whoever_looks(driver: LoopDriver) -> None:
    ctx = context_of(job_of(driver, metadata="{", needs="what"))
    assert ctx.fence() == 7
    with pytest.raises(Corrupt):
        _ = ctx.metadata
    with pytest.raises(Corrupt):
        ctx.fence("a")


async def test_a_lost_job_says_so_before_the_loop_comes_round(driver: LoopDriver) -> None:
    job = job_of(driver)
    ctx = context_of(job)
    ctx.check()
    assert not ctx.lost
    job.lose("the session has lapsed")
    assert ctx.lost
    with pytest.raises(LeaseLost, match="the session has lapsed"):
        ctx.check()


async def test_a_lease_is_over_by_the_clock_alone(driver: LoopDriver) -> None:
    job = job_of(driver)
    ctx = context_of(job)
    driver.keeper.trusted_until = 10.0
    driver.time = 9.9
    assert not ctx.lost
    driver.time = 10.0
    assert ctx.lost
    with pytest.raises(LeaseLost):
        ctx.check()


async def test_the_first_reason_to_stop_counts(driver: LoopDriver) -> None:
    job = job_of(driver)
    ctx = context_of(job)
    told: list[Stop | None] = []
    job.interrupt = told.append
    assert (ctx.cancelled, ctx.cancel_reason) == (False, "")
    job.stop(Stop.CANCEL, "not wanted")
    job.stop(Stop.TIMEOUT, "too slow")
    assert (ctx.cancelled, ctx.cancel_reason) == (True, "not wanted")
    assert told == [Stop.CANCEL, Stop.TIMEOUT]
    with pytest.raises(JobCancelled, match="not wanted"):
        ctx.check()
    job.finished = True
    job.stop(Stop.RELEASE, "late")
    assert len(told) == 2


async def test_only_the_newest_progress_waits(driver: LoopDriver) -> None:
    job = job_of(driver)
    noted: list[Job] = []
    ctx = Context(job, noted.append)
    ctx.progress(0.1)
    ctx.progress(0.42, "plan\nning " + "x" * 100)
    assert noted == [job]
    assert job.progress is not None
    assert job.progress.startswith("42% plan\\nning xxx")
    assert len(job.progress.encode()) <= 64
    for bad in (math.nan, math.inf):
        with pytest.raises(InvalidInput):
            ctx.progress(bad)


async def test_the_portable_part_survives_the_way_to_another_process(driver: LoopDriver) -> None:
    ctx = context_of(job_of(driver, needs="x1:a", metadata='{"k": 1}', attempts=2)).portable()
    there = pickle.loads(pickle.dumps(ctx))
    assert there == ctx
    assert (there.attempt, there.fence("a"), there.metadata, there.cancelled, there.lost) == (
        3,
        7,
        {"k": 1},
        False,
        False,
    )
    there.progress(0.5, "half")
    there.check()
    with pytest.raises(InvalidInput):
        there.fence("b")


async def test_the_log_is_bound_to_the_job(driver: LoopDriver) -> None:
    # How the lines look is another matter, and depends on whether this process has set up logging before.
    assert structlog.get_context(context_of(job_of(driver)).log) == {"job": "j-1", "name": "job", "attempt": 1}


@pytest.mark.parametrize(
    ("more", "end"), [({}, math.inf), ({"needs": "x1:a"}, 100 + 98.9), ({"run_ms": 5000, "needs": "x1:a"}, 100 + 14.0)]
)
def test_a_lease_ends_as_the_server_reckons_less_a_margin(more: dict[str, Any], end: float) -> None:
    assert lease_end(claimed(**more), 100.0, session_ttl=10.0, max_hold=100.0) == pytest.approx(end)


@given(st.integers(1, 10**9), st.floats(1, 3600))
def test_a_lease_never_ends_before_its_run_is_out_of_time(run_ms: int, session_ttl: float) -> None:
    parked = PARKED * session_ttl  # as long ago as a claim can have been sent
    assert lease_end(claimed(run_ms=run_ms), -parked, session_ttl, 86_400) > run_ms / 1000 + session_ttl / 2


async def test_the_jobs_own_time_limit_wins_over_the_handlers(driver: LoopDriver) -> None:
    assert job_of(driver, timeout=3.0).seconds == 3.0
    assert job_of(driver, timeout=3.0, run_ms=1500).seconds == 1.5
    assert job_of(driver).seconds is None
