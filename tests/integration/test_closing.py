"""Closing a client: whoever still waits on it is told, and it is not used again."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis

from coordinator import Settings
from coordinator.errors import ClientClosed, WaitCancelled
from tests.support.faces import connected
from tests.support.until import until


def in_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[BaseException]]:
    """A thread that does it and keeps what it raises."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, raised


def test_closing_ends_every_wait(
    kind: str, redis_url: str, settings: Settings, raw: "redis.Redis", namespace: str
) -> None:
    with connected(kind, redis_url, settings) as client:
        held, job = client.acquire("a"), client.submit("job")
        waits = [in_thread(lambda: client.acquire("a")), in_thread(job.result)]
        until(lambda: raw.zcard(f"co:{{{namespace}}}:line:a"), what="the request stands in line")
        until(lambda: raw.exists(f"co:{{{namespace}}}:watch:{job.ident}"), what="the job is watched")
        client.close()
        for thread, _ in waits:
            thread.join(10)
            assert not thread.is_alive()
        assert [type(raised[0]) for _, raised in waits] == [WaitCancelled, ClientClosed]
        assert not held.held
        until(held.lost.is_set)
        held.release()


def test_a_client_with_very_many_locks_gives_all_of_them_on(
    kind: str, redis_url: str, settings: Settings, raw: "redis.Redis", namespace: str
) -> None:
    names = [f"r/{n}" for n in range(120)]
    with connected("sync", redis_url, settings) as heir, connected(kind, redis_url, settings) as client:
        for name in names:
            client.acquire(name)
        tickets = [heir.request(name) for name in names]
        client.close()
        assert all(ticket.wait(5).held for ticket in tickets)
        assert raw.zcard(f"co:{{{namespace}}}:sessions") == 1


def test_a_closed_client_says_so(kind: str, redis_url: str, settings: Settings, raw: "redis.Redis") -> None:
    with connected(kind, redis_url, settings) as client:
        client.close()
        for use in (lambda: client.acquire("a"), lambda: client.submit("job"), client.survey):
            with pytest.raises(ClientClosed):
                use()
    assert raw.keys(f"co:{{{settings.namespace}}}:*") == []
