"""Handing in jobs through both clients; what workers do with them is tested with the workers."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from coordinator import Dedup, Need, RetryPolicy, State, Submission
from coordinator.errors import (
    BatchRefused,
    Duplicate,
    IllegalTransition,
    InvalidInput,
    JobFailed,
    NotFound,
    PayloadTooLarge,
    QueueFull,
    WaitTimeout,
)


def test_a_plain_job_is_ready_and_one_with_busy_resources_waits(co: Any, other: Any) -> None:
    assert co.submit("job", {"n": 1}).state() == State.READY
    with other.lock("a"):
        waiting = co.submit("job", resources=["a", Need("b", "shared")])
        assert waiting.state() == State.WAITING
        assert waiting.position().blockers[0].kind == "lock"
    assert waiting.state() == State.READY


def test_an_unclaimed_candidate_gives_way_to_a_more_urgent_lock(co: Any, other: Any) -> None:
    job = co.submit("job", resources="a")
    assert job.state() == State.READY
    lease = other.acquire("a", priority="high", wait=5)
    assert job.state() == State.WAITING
    lease.release()
    assert job.state() == State.READY


def test_thousands_in_a_few_round_trips(co: Any, raw: Any, namespace: str) -> None:
    tickets = co.submit_many(Submission("job", {"n": n}, priority=n % 5) for n in range(3000))
    assert len({one.ident for one in tickets}) == 3000
    ready = raw.zrange(f"co:{{{namespace}}}:ready:default", 0, -1)
    # Priority first, then the order of submission.
    expected = sorted(range(3000), key=lambda n: (-(n % 5), n))
    assert [one.decode() for one in ready] == [tickets[n].ident for n in expected]


def test_a_batch_says_which_jobs_were_refused_and_takes_the_others(connect: Any) -> None:
    client = connect(max_queue=2)
    with pytest.raises(BatchRefused) as caught:
        client.submit_many([Submission("job", n) for n in range(4)])
    assert sorted(caught.value.errors) == [2, 3]
    assert all(isinstance(error, QueueFull) for error in caught.value.errors.values())
    assert client.survey().queues[0].ready == 2


def test_delayed_jobs_become_ready_in_time(co: Any) -> None:
    job = co.submit("job", delay=0.3)
    assert job.state() == State.SCHEDULED
    with pytest.raises(WaitTimeout):
        job.result(0.6)
    assert job.state() == State.READY


def test_a_job_that_waits_too_long_expires(co: Any) -> None:
    job = co.submit("job", wait_timeout=0.2)
    with pytest.raises(Exception, match="expired"):
        job.result(10)


def test_join_and_reject(co: Any, other: Any) -> None:
    first = co.submit("job", 1, dedup=Dedup("k"))
    assert not first.duplicate
    again = other.submit("job", 2, dedup=Dedup("k"))
    assert again.duplicate
    assert again.ident == first.ident
    with pytest.raises(Duplicate) as caught:
        other.submit("job", 3, dedup=Dedup("k", "reject"))
    assert caught.value.existing == first.ident
    first.cancel()
    assert not other.submit("job", 2, dedup=Dedup("k")).duplicate


def test_replace_takes_the_newest_payload_while_not_started(co: Any) -> None:
    first = co.submit("job", 1, dedup=Dedup("k", "replace"))
    second = co.submit("job", 2, dedup=Dedup("k", "replace"))
    assert second.replaced
    assert second.ident == first.ident


def test_cancelling_twice_says_the_same_and_replay_needs_a_failure(co: Any) -> None:
    job = co.submit("job")
    assert job.cancel()
    assert job.cancel()
    with pytest.raises(IllegalTransition):
        co.replay(job.ident)
    with pytest.raises(NotFound):
        co.replay("nobody-1")


def test_limits_of_payloads(connect: Any) -> None:
    client = connect(max_payload=100)
    client.submit("job", b"x" * 98)
    with pytest.raises(PayloadTooLarge):
        client.submit("job", b"x" * 99)


DEEP: list[Any] = []
for _ in range(40):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("name", "payload", "options"),
    [
        ("", None, {}),
        ("x" * 65536, None, {}),
        ("a b", None, {}),
        ("job\n", None, {}),
        ("job", float("nan"), {}),
        ("job", {"a": float("inf")}, {}),
        ("job", {1: 2}, {}),
        ("job", object(), {}),
        ("job", 2**70, {}),
        ("job", DEEP, {}),
        ("job", "\ud800", {}),
        ("job", None, {"queue": ""}),
        ("job", None, {"queue": "a{b}"}),
        ("job", None, {"priority": 9}),
        ("job", None, {"delay": -1}),
        ("job", None, {"delay": float("nan")}),
        ("job", None, {"run_timeout": 0}),
        ("job", None, {"wait_timeout": "1"}),
        ("job", None, {"dedup": "key"}),
        ("job", None, {"retry": 3}),
        ("job", None, {"prioriy": 3}),
        ("job", None, {"resources": [f"r{n}" for n in range(257)]}),
        ("job", None, {"metadata": [1]}),
    ],
)
def test_bad_jobs_are_refused_before_anything_is_written(
    co: Any, raw: Any, namespace: str, name: str, payload: Any, options: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInput):
        co.submit(name, payload, **options)
    assert not list(raw.scan_iter(f"co:{{{namespace}}}:*"))


def test_bad_values_of_options_are_refused_where_they_are_made() -> None:
    for make in (
        lambda: Dedup("", "join"),
        lambda: Dedup("k", "jion"),  # type: ignore[arg-type]
        lambda: Dedup("k", ttl=3),
        lambda: Dedup("k", scope="ttl"),
        lambda: RetryPolicy(max_attempts=0),
        lambda: RetryPolicy(jitter=2),
        lambda: Need("a", "exlusive"),  # type: ignore[arg-type]
        lambda: Need("a", permits=0),
        lambda: Need("a", "shared", 2),
    ):
        with pytest.raises(InvalidInput):
            make()


def test_everybody_who_waits_for_one_job_is_told(co: Any, other: Any) -> None:
    first = co.submit("job", dedup=Dedup("k"))
    second = co.submit("job", dedup=Dedup("k"))
    assert second.ident == first.ident
    with ThreadPoolExecutor(4) as pool:
        waits = [pool.submit(ticket.result, 20) for ticket in (first, second, first, second)]
        with pytest.raises(WaitTimeout):
            first.result(0.2)
        other.cancel(first.ident)
        for wait in waits:
            with pytest.raises(JobFailed, match="cancelled"):
                wait.result(10)
