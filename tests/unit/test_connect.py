"""From a URL to a server: what is no URL is said in one line that shows no password."""

from typing import Any

import pytest

from coordinator.drivers.connect import async_client, locate, sync_client
from coordinator.drivers.direct import async_exchange
from coordinator.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "unknown scheme ''"),
        ("localhost:6379", "unknown scheme 'localhost'"),
        ("redis://:secret@host:port/0", "'port'"),
        ("redis://:secret@host:99999/0", "out of range"),
        ("redis://[::1/0", "IPv6"),
        ("redis://:secret@host/production", "'production' is not the number of a database"),
        ("redis://:secret@host/0?socket_timeout=soon", "socket_timeout"),
        ("redis+sentinel://:secret@host/service/production", "'production' is not the number of a database"),
        ("redis+sentinel://host:26379", "needs a service"),
        ("redis+cluster://host:port", "one of its 1 hosts is not host:port"),
        ("redis+sentinel://h:1,x:secret/main", "one of its 2 hosts is not host:port"),
        ("redis://h/0?signing=1", "redis-py knows no option 'signing'"),
        ("redis://h/0?max_connections=1", "'max_connections' is not for a URL: use the setting max_conn"),
        ("redis+cluster://h/0?socket_timeout=60", "'socket_timeout' is not for a URL: use the setting op"),
        ("unix:///s?socket_connect_timeout=nan", "use the setting operation_timeout (COORDINATOR_OPERATION_TIMEOUT)"),
        ("redis://h/0?maint_notifications_config=x", "is not for a URL: leave it out; a URL may have client_name, db,"),
        ("redis://h/0?decode_responses=1", "'decode_responses' is not for a URL"),
        ("redis://h/0?retry=1&socket_timeout=1", "'socket_timeout' is not for a URL"),
    ],
)
def test_a_url_that_cannot_be_used_is_a_config_error(url: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        locate(url)
    assert problem in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_url_that_can_be_used_keeps_its_password_to_itself() -> None:
    found = locate("redis://ann:secret@host:6380/3?protocol=3")
    assert found.url == "redis://ann:secret@host:6380/3?protocol=3"
    assert "secret" not in f"{found!r}"


def test_an_asyncio_exchange_has_one_timeout_and_redis_py_adds_none() -> None:
    client = async_client(locate("redis://h"), 7.0, 3)
    _, seconds = async_exchange(client)
    assert seconds == 7.0
    assert client.connection_pool.make_connection().socket_timeout is None


@pytest.mark.parametrize("make", [sync_client, async_client])
@pytest.mark.parametrize(("patience", "connecting"), [(0.5, 0.5), (2.0, 1.0), (5.0, 1.25), (40.0, 10.0)])
def test_where_sentinels_know_other_servers_connecting_is_given_up_soon(
    make: Any, patience: float, connecting: float
) -> None:
    watched = make(locate("redis+sentinel://h:1/main"), patience, 3).connection_pool
    for one in (watched, watched.sentinel_manager.sentinels[0].connection_pool):
        made = one.connection_kwargs
        assert (made["socket_timeout"], made["socket_connect_timeout"]) == (patience, connecting)
    alone = make(locate("redis://h"), patience, 3).connection_pool.connection_kwargs
    assert alone["socket_connect_timeout"] == patience, "there is no other to turn to"
