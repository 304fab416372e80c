"""Publishing gets in nobody's way, loses nothing that can be told again, and tells nothing twice."""

from collections.abc import Callable
from typing import Any

import pytest

from coordinator.errors import AccessDenied, CoordinatorError, StoreUnavailable, UnknownOutcome
from coordinator.metrics.publisher import PAUSE, Occasional, Options, Publisher
from coordinator.metrics.recorder import Recorder
from coordinator.metrics.sample import Origin
from coordinator.wire.calls import Scope
from coordinator.wire.step import Call, Operation
from tests.support.engine import TERMS

SCOPE = Scope.of("n", TERMS)
ORIGIN = Origin("p", "worker")
Answer = Callable[[Call], Any]


class Server:
    """Answers publications; keeps their fields."""

    def __init__(self, judge: int = 0, error: CoordinatorError | None = None) -> None:
        self.judge, self.error = judge, error
        self.scripts: list[str] = []
        self.samples: list[dict[str, str]] = []

    def run(self, operation: Operation[None]) -> None:
        try:
            call = next(operation)
            while True:
                try:
                    reply = self.answer(call)
                except CoordinatorError as error:
                    call = operation.throw(error)
                else:
                    call = operation.send(reply)
        except StopIteration:
            return

    def answer(self, call: Any) -> Any:
        self.scripts.append(call.script)
        if self.error is not None:
            raise self.error
        if call.script == "publish":
            words = [str(word) for word in call.args[7:]]
            self.samples.append(dict(zip(words[::2], words[1::2], strict=True)))
            return ["ok", "1000", self.judge]
        return ["ok", "1000", [], []] if call.script == "samples" else ["ok"]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def publisher(recorder: Recorder) -> Publisher:
    return Publisher(SCOPE, recorder, Options, ORIGIN, 100.0)


def test_a_sample_has_what_was_measured_since_the_last_one(publisher: Publisher, recorder: Recorder) -> None:
    server = Server()
    recorder.count("queue.batches", 3)
    server.run(publisher.publish(101.0))
    server.run(publisher.publish(102.5))
    first, second = server.samples
    assert (first["number"], first["ms"], first["queue.batches"]) == ("1", "1000", "3")
    assert (second["number"], second["ms"]) == ("2", "1500")
    assert "queue.batches" not in second


@pytest.mark.parametrize(("error", "told"), [(StoreUnavailable("away"), True), (UnknownOutcome("lost"), False)])
def test_what_may_have_arrived_is_not_told_again(
    publisher: Publisher, recorder: Recorder, error: CoordinatorError, told: bool
) -> None:
    recorder.count("queue.batches", 3)
    with pytest.raises(CoordinatorError):
        Server(error=error).run(publisher.publish(101.0))
    assert publisher.due == 101.0 + PAUSE
    server = Server()
    recorder.count("queue.batches", 1)
    server.run(publisher.publish(111.0))
    assert server.samples[0]["queue.batches"] == ("4" if told else "1")
    assert server.samples[0]["ms"] == ("11000" if told else "10000")


def test_who_may_not_publish_does_not_ask_again(publisher: Publisher) -> None:
    with pytest.raises(AccessDenied):
        Server(error=AccessDenied("no")).run(publisher.publish(101.0))
    assert publisher.due == float("inf")


def test_who_is_told_to_looks_at_the_alerts(publisher: Publisher) -> None:
    server = Server(judge=1)
    server.run(publisher.publish(101.0))
    assert server.scripts == ["publish", "samples"]


def test_a_client_publishes_when_it_is_used_and_has_something_to_tell() -> None:
    server = Server()
    client = Occasional(SCOPE, Options, lambda: ORIGIN, server.run)
    client.used(100.0)
    client.recorder.count("queue.batches")
    client.used(100.9)
    assert server.scripts == []
    client.used(101.0)
    client.used(101.5)
    assert server.scripts == ["publish"]
    client.used(105.0)
    assert server.scripts == ["publish"], "nothing has happened since"
    client.recorder.count("queue.batches")
    server.run(client.last(105.5))
    assert len(server.samples) == 2


def test_a_client_that_lived_for_a_moment_publishes_nothing() -> None:
    server = Server()
    client = Occasional(SCOPE, Options, lambda: ORIGIN, server.run)
    client.used(100.0)
    client.recorder.count("queue.batches")
    server.run(client.last(100.2))
    assert server.scripts == []


def test_a_store_that_is_away_costs_a_client_one_try_in_a_while() -> None:
    server = Server(error=StoreUnavailable("away"))
    client = Occasional(SCOPE, Options, lambda: ORIGIN, server.run)
    for n in range(50):
        client.recorder.count("queue.batches")
        client.used(100.0 + n / 10)
    server.run(client.last(105.0))
    assert server.scripts == ["publish"]
    server.error = None
    client.used(112.0)
    assert server.samples[0]["queue.batches"] == "50"


def test_a_forked_child_has_measured_nothing() -> None:
    names = iter("pc")
    server = Server()
    client = Occasional(SCOPE, Options, lambda: Origin(next(names), "app"), server.run)
    client.used(100.0)
    client.recorder.count("queue.batches", 7)
    client.renew()
    client.used(101.0)
    client.recorder.count("queue.batches", 1)
    client.used(102.0)
    assert [(one["process"], one["queue.batches"]) for one in server.samples] == [("c", "1")]
