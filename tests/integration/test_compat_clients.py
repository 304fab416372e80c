"""The drop-in for redis-py's `Lock`: its script, and clients that have no coordinator yet or none at all."""

import asyncio
import contextlib
from pathlib import Path

import pytest
import redis
import redis.asyncio
from redis.exceptions import LockError

from coordinator.compat import held
from coordinator.compat.plain import TAKE
from coordinator.compat.redis import AsyncLock, LineRefused, LineUnavailable, Lock, async_coordinator_of, coordinator_of
from coordinator.errors import ConfigError


@pytest.fixture
def name(namespace: str) -> str:
    return f"lock:{namespace}"


def test_a_lost_answer_does_not_lose_the_key(raw: redis.Redis, name: str) -> None:
    take = raw.register_script(TAKE)
    assert take([name], ["mine", 5000, 1]) == [1, 0]
    raw.pexpire(name, 1000)
    assert take([name], ["mine", 5000, 1]) == [1, 0]
    assert raw.pttl(name) > 4000
    taken, ttl_ms = take([name], ["other's", 5000, 1])
    assert not taken
    assert 4000 < ttl_ms <= 5000
    raw.delete(name)
    raw.rpush(name, "no lock at all")
    assert take([name], ["mine", 5000, 1]) == [0, -1]
    raw.delete(name)


def test_settings_that_are_wrong_are_an_error_of_redis_py_too(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COORDINATOR_SESSION_TTL", "-1")
    with redis.Redis(unix_socket_path=str(tmp_path / "odd")) as client, pytest.raises(LockError) as caught:
        Lock(client, name).acquire(blocking=False)
    assert isinstance(caught.value, LineRefused)


def test_a_try_on_a_server_that_is_away_is_over_soon(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The times are those of the settings, not those of the clock: with one try each there is no pause at all."""
    monkeypatch.setenv("COORDINATOR_RETRY_FOR", "3600")
    monkeypatch.setattr(held, "TRY_FOR", 0.0)
    client = redis.Redis(unix_socket_path=str(tmp_path / "nobody"))
    with client, contextlib.closing(coordinator_of(client)), pytest.raises(LineUnavailable):
        Lock(client, name).acquire(blocking=False)


class OfACluster:
    """A client of more than one server."""


def test_a_client_that_was_not_patched_has_a_coordinator_of_its_server(
    redis_url: str, namespace: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COORDINATOR_NAMESPACE", namespace)
    one, other = redis.Redis.from_url(redis_url), redis.Redis.from_url(redis_url)
    with one, other, contextlib.closing(coordinator_of(one)), Lock(one, name, timeout=5) as lock:
        assert lock.fence
        assert coordinator_of(one) is coordinator_of(other)
    with pytest.raises(ConfigError):
        coordinator_of(OfACluster())


async def test_locks_that_only_their_timeout_ends_do_not_pile_up(
    redis_url: str, namespace: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COORDINATOR_NAMESPACE", namespace)
    monkeypatch.setattr(held, "PACE", 0.05)
    async with redis.asyncio.Redis.from_url(redis_url) as client, async_coordinator_of(client):
        lock = AsyncLock(client, name, timeout=0.1)
        for _ in range(4):
            assert await lock.acquire(blocking_timeout=10)
        async with asyncio.timeout(10):
            while len(lock._renewing) > 1:
                await asyncio.sleep(0.01)
        assert len(lock._leases) == 1
