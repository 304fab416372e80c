"""What a caller sees of a queue that fills up, through both clients."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from coordinator import State, Submission
from coordinator.cli import sentences
from coordinator.cli.sentences import Fleet
from coordinator.errors import BatchRefused, LineOverloaded, Overloaded, QueueFull

LIMIT = 10


@pytest.fixture
def client(connect: Any) -> Any:
    return connect(max_queue=LIMIT)


def fill(client: Any) -> list[Any]:
    """A queue with as many jobs as it holds, the first two of them LOW."""
    found: list[Any] = client.submit_many([Submission("job", n, priority=0 if n < 2 else 2) for n in range(LIMIT)])
    return found


def test_a_job_that_is_refused_is_told_when_to_come_again_and_where_it_would_stand(client: Any) -> None:
    client.submit_many([Submission("job", n) for n in range(8)])
    with pytest.raises(Overloaded, match=r"overloaded \(8 of 10 jobs\)") as caught:
        client.submit("job", priority="low")
    error = caught.value
    assert isinstance(error, QueueFull)
    assert (error.queue, error.count, error.limit, error.place, error.ident) == ("default", 8, LIMIT, 8, "")
    assert error.retry_after == 1


def test_of_a_batch_the_less_urgent_are_refused(client: Any) -> None:
    with pytest.raises(BatchRefused) as caught:
        client.submit_many([Submission("job", n, priority=n % 2 * 4) for n in range(20)])
    errors = caught.value.errors
    refused = [n for n in errors if n % 2 == 0]
    assert refused == [8, 10, 12, 14, 16, 18]
    assert {type(errors[n]) for n in refused} == {Overloaded}


def test_who_waits_for_a_job_that_is_displaced_is_told_why(client: Any, kind: str) -> None:
    lost = fill(client)[1]
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(lost.result, 20) if kind == "sync" else None
        urgent = client.submit("job", priority="emergency")
        with pytest.raises(Overloaded, match=f"job {lost.ident} was displaced by a more urgent one") as caught:
            waiting.result() if waiting else lost.result(20)
    assert (caught.value.ident, caught.value.count, caught.value.place) == (lost.ident, LIMIT, 9)
    assert (lost.state(), urgent.state()) == (State.SHED, State.READY)


def test_why_explains_a_job_that_was_displaced(client: Any) -> None:
    lost = fill(client)[1]
    urgent = client.submit("job", priority="emergency")
    said = " ".join(sentences.why(client.explain(lost.ident), Fleet()))
    assert "as shed: displaced by a more urgent job." in said
    assert f"Queue default was full (10 of 10 jobs) when job {urgent.ident} came" in said
    assert "let in below 7 jobs" in said


def test_shedding_can_be_changed_while_the_fleet_runs(client: Any) -> None:
    client.configure({"shed.begin": 0.2, "shed.end": 0.1})
    client.submit_many([Submission("job", n) for n in range(2)])
    with pytest.raises(Overloaded):
        client.submit("job", priority="low")
    client.configure({"shed.enabled": False})
    assert client.submit("job", priority="low").state() == State.READY


def test_who_is_displaced_from_a_full_line_hears_so_at_once(connect: Any, kind: str) -> None:
    client = connect(max_line=LIMIT)
    with client.lock("a"):
        tickets = [client.request("a", priority="high") for _ in range(LIMIT)]
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(tickets[-1].wait, 20) if kind == "sync" else None
            client.submit("job", resources=["a"], priority="emergency")
            with pytest.raises(LineOverloaded, match=f"request {tickets[-1].ident} was displaced") as caught:
                waiting.result() if waiting else tickets[-1].wait(20)
        error = caught.value
        assert (error.resource, error.count, error.limit, error.place) == ("a", LIMIT, LIMIT, LIMIT - 1)
        assert (error.ident, error.retry_after) == (tickets[-1].ident, 1)


def test_a_job_that_is_displaced_from_a_line_ends_with_it(connect: Any) -> None:
    client = connect(max_line=LIMIT)
    with client.lock("a"):
        jobs = [client.submit("job", resources=["a"], priority="high") for _ in range(LIMIT)]
        client.submit("job", resources=["a"], priority="emergency")
        with pytest.raises(LineOverloaded) as caught:
            jobs[-1].result(20)
        assert (caught.value.resource, caught.value.ident) == ("a", jobs[-1].ident)
        said = " ".join(sentences.why(client.explain(jobs[-1].ident), Fleet()))
        assert "The line of a was full (10 of 10 waiters)" in said
