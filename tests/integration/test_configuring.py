"""Settings of a running fleet on a real server: told to everybody, by both clients, all or none."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import redis

from coordinator import AsyncCoordinator, Coordinator, Settings
from coordinator.errors import ConfigError, LineFull, Overloaded, QueueFull
from coordinator.keys import key
from coordinator.ops import history
from coordinator.wire.calls import Scope
from tests.support.fleet import until_async
from tests.support.until import until

# Taken over with the next heartbeat: within this and what it takes to fetch them.
BEAT = 0.2


@pytest.fixture
def settings(namespace: str) -> Settings:
    return Settings.of(namespace=namespace, session_ttl=2, sweep_interval=BEAT, operation_timeout=2)


@pytest.fixture
def co(redis_url: str, settings: Settings) -> Iterator[Coordinator]:
    with Coordinator.connect(redis_url, settings=settings) as client:
        yield client


@pytest.fixture
def other(redis_url: str, settings: Settings) -> Iterator[Coordinator]:
    """Another process of the fleet, which has a session."""
    with Coordinator.connect(redis_url, settings=settings) as client:
        client.acquire("its/own")
        yield client


def test_who_changes_a_setting_has_it_at_once_and_all_others_soon(co: Coordinator, other: Coordinator) -> None:
    seen: list[float] = []
    other._driver.live.on_change(lambda changed: seen.append(changed.timeouts.lock))
    assert co.configuration().version == 0
    found = co.configure({"timeouts.lock": 20, "max_line": 1})
    assert found.values == {"timeouts.lock": "20", "max_line": "1"}
    assert co.configuration() == found
    assert (co.settings.timeouts.lock, co.settings.max_line) == (20, 1)
    until(lambda: seen == [20], 2)
    assert other._driver.learner.seconds("lock/fresh") == 20
    with other.lock("a"):
        other.request("a")
        with pytest.raises(LineFull):
            other.request("a")


def test_who_only_submits_goes_by_the_limits_of_the_fleet(co: Coordinator, redis_url: str, settings: Settings) -> None:
    with Coordinator.connect(redis_url, settings=settings) as producer:
        producer.submit("job")
        co.configure({"max_queue": 10, "shed.begin": 0.2, "shed.end": 0.1})
        producer.submit("job")
        with pytest.raises(Overloaded):
            producer.submit("job", priority="low")
        assert producer.settings.max_queue == settings.max_queue  # it has not heard of it
        co.configure({"shed.enabled": False, "max_queue": 2})
        with pytest.raises(QueueFull):
            producer.submit("job", priority="emergency")
        co.configure({}, unset=["max_queue"])
        producer.submit("job", priority="low")


def test_a_setting_that_is_taken_back_is_as_each_process_began(redis_url: str, settings: Settings) -> None:
    with (
        Coordinator.connect(redis_url, settings=settings.revised({"max_line": 5})) as one,
        Coordinator.connect(redis_url, settings=settings.revised({"max_line": 6})) as two,
    ):
        two.acquire("its/own")
        one.configure({"max_line": 9})
        until(lambda: two.settings.max_line == 9, 2)
        one.configure({}, unset=["max_line"])
        assert one.settings.max_line == 5
        until(lambda: two.settings.max_line == 6, 2)


def test_a_change_that_is_refused_changes_nothing_at_all(co: Coordinator) -> None:
    kept = co.configure({"max_line": 7})
    with pytest.raises(ConfigError) as caught:
        co.configure({"max_line": 8, "timeouts.most": 0, "namespace": "x", "colour": 1}, unset=[])
    assert len(caught.value.problems) == 3
    with pytest.raises(ConfigError, match=r"max_lines: no such setting; did you mean max_line\?"):
        co.configure({}, unset=["max_lines"])
    assert co.configuration() == kept
    assert co.settings.max_line == 7


def test_what_is_so_already_is_no_change(co: Coordinator) -> None:
    assert co.configure({"max_line": 7}) == co.configure({"max_line": 7})
    assert co.configure({}, unset=["max_queue"]).values == {"max_line": "7"}


def test_each_change_is_an_event(co: Coordinator, settings: Settings) -> None:
    co.configure({"max_line": 7}, by="somebody")
    scope = Scope.of(settings.namespace, settings.terms())
    [one] = [event for event in co.run(history.events(scope)) if event.event == "configure"]
    assert (one.subject, one.fields["by"], one.fields["was"], one.fields["value"]) == ("max_line", "somebody", "", "7")


def test_changes_by_several_at_once_are_all_made(redis_url: str, settings: Settings) -> None:
    names = [f"timeouts.{one}" for one in ("lock", "queue", "renewal", "connection", "operation")]
    failures: list[Exception] = []

    def change(name: str) -> None:
        try:
            with Coordinator.connect(redis_url, settings=settings) as client:
                client.configure({name: 11})
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=change, args=(name,)) for name in names]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    assert failures == []
    with Coordinator.connect(redis_url, settings=settings) as client:
        assert client.configuration().values == dict.fromkeys(names, "11")


@pytest.mark.plants_faults
def test_what_somebody_else_wrote_wrongly_is_not_taken_over_and_can_be_taken_away(
    co: Coordinator, other: Coordinator, raw: redis.Redis, namespace: str
) -> None:
    co.configure({"max_line": 7})
    until(lambda: other.settings.max_line == 7, 2)
    raw.hset(key(namespace, "CONFIG"), mapping={"max_line": "much", "rubbish": "\N{BULLET}", ":version": "9" * 14})
    until(lambda: other._driver.live.version == int("9" * 14), 2)
    assert other.settings.max_line == 7
    with pytest.raises(ConfigError, match="rubbish: no such setting"):
        co.configure({"max_queue": 9})
    co.configure({"max_line": 8}, unset=["rubbish"])
    until(lambda: other.settings.max_line == 8, 2)


async def test_the_async_client_does_the_same(redis_url: str, settings: Settings, other: Coordinator) -> None:
    async with AsyncCoordinator.connect(redis_url, settings=settings) as client:
        found = await client.configure({"max_line": 7})
        assert await client.configuration() == found
        assert client.settings.max_line == 7
        await until_async(lambda: other.settings.max_line == 7, 2)
        await client.acquire("a")
        other.configure({"max_line": 8})
        await until_async(lambda: client.settings.max_line == 8, 2)
