"""From a URL to redis-py clients, sync and async, in one place.

redis-py's own re-sending of commands is switched off everywhere: it repeats commands that are not safe to repeat. Ours
are, and `store` repeats them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import redis
import redis.asyncio
from redis import sentinel
from redis.asyncio import sentinel as async_sentinel
from redis.asyncio.cluster import RedisCluster as AsyncRedisCluster
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.retry import Retry

from coordinator.drivers import tls
from coordinator.drivers.direct import SPARE
from coordinator.drivers.embedded import shared_server
from coordinator.errors import ConfigError, CoordinatorError, StoreUnavailable

# redis-py does not annotate these.
_PARSE_URL: Any = redis.connection.parse_url
_SENTINEL: Any = sentinel.Sentinel
_ASYNC_SENTINEL: Any = async_sentinel.Sentinel

SCHEMES = (
    *("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster", "embedded"),
)
# How long connecting may take at least, where Sentinels know other servers: with less a lost packet is a failure.
CONNECT_SECONDS = 1.0
# What may stand behind the `?` of a URL.
_TAKES_OPTIONS = (
    redis.connection.AbstractConnection,
    redis.Connection,
    redis.SSLConnection,
    redis.UnixDomainSocketConnection,
    redis.BlockingConnectionPool,
)
_TO_ENCODE = "a password must have its / ? # [ ] percent-encoded, and what is not ASCII: %2F %3F %23 %5B %5D"
_KNOWN = frozenset(name for one in _TAKES_OPTIONS for name in signature(one.__init__).parameters)
_MAY = frozenset(
    {
        *("username", "password", "db", "protocol", "client_name", "health_check_interval"),
        *("socket_keepalive", "socket_read_size", *(one for one in _KNOWN if one.startswith("ssl_"))),
    }
)
_TAKEN = f"a URL may have {', '.join(sorted(one for one in _MAY if not one.startswith('ssl_')))}, and ssl_..."
# They have to go together with others, which only the settings see to: one connection would wait for itself.
_SETTINGS = {
    "max_connections": "max_connections",
    "socket_timeout": "operation_timeout",
    "socket_connect_timeout": "operation_timeout",
}


@dataclass(frozen=True, slots=True)
class Target:
    """Where the server is. `password` never shows in a repr."""

    scheme: str
    url: str
    shown: str
    nodes: tuple[tuple[str, int], ...] = ()
    service: str = ""
    options: tuple[tuple[str, Any], ...] = ()

    def __repr__(self) -> str:
        return f"Target({self.shown})"


def locate(given: str, allow_insecure_tls: bool = False, durable: bool = False) -> Target:
    """The server of a URL. `durable`: an embedded one that is started now syncs each write. Raises ConfigError,
    ServerStartError."""
    parts = _split(given)
    if parts.scheme == "embedded":
        path = unquote(parts.netloc + parts.path)
        server = shared_server(Path(path) if path else None, durable)
        return Target("unix", server.url, given)
    shown = redacted(given)
    # Of a parameter that is there twice the first counts, as for redis-py, which reads the URL once more.
    options: dict[str, Any] = dict(reversed(parse_qsl(parts.query)))
    _allowed(options, shown)
    secure = tls.options(options, shown, allow_insecure_tls) if parts.scheme in tls.SCHEMES else {}
    if parts.scheme in ("redis", "rediss", "unix"):
        return _one_server(parts, given, shown, secure)
    if secure:
        options.update(secure, ssl=True)
    if parts.username:
        options["username"] = unquote(parts.username)
    if parts.password:
        options["password"] = unquote(parts.password)
    return _with_nodes(parts.scheme.replace("rediss", "redis"), given, shown, options)


def _allowed(options: Mapping[str, Any], shown: str) -> None:
    unknown, others = sorted(set(options) - _KNOWN), sorted(set(options) - _MAY)
    if unknown:
        raise ConfigError([f"url: {shown}: redis-py knows no option {', '.join(map(repr, unknown))}"])
    if others:
        raise ConfigError([f"url: {shown}: {name!r} is not for a URL: {_instead(name)}" for name in others])


def _instead(name: str) -> str:
    setting = _SETTINGS.get(name)
    return f"use the setting {setting} (COORDINATOR_{setting.upper()})" if setting else f"leave it out; {_TAKEN}"


def _split(given: str) -> SplitResult:
    try:
        parts = urlsplit(given)
    except ValueError:
        # What Python says shows what it takes for the host, and that may be a password or a piece of one.
        raise ConfigError(
            [f"url: it cannot be read: an IPv6 address has both its [ and its ], and {_TO_ENCODE}"]
        ) from None
    if "@" in given and "@" not in parts.netloc:
        # What follows is read as a path, and what is said about that would show a piece of the password.
        raise ConfigError([f"url: {_TO_ENCODE}"])
    if parts.scheme not in SCHEMES:
        raise ConfigError(
            [f"url: unknown scheme {parts.scheme!r}; known are {', '.join(f'{one}://' for one in SCHEMES)}"]
        )
    return parts


def _one_server(parts: SplitResult, url: str, shown: str, secure: Mapping[str, Any]) -> Target:
    try:
        _PARSE_URL(url)
    except ValueError as error:
        raise ConfigError([f"url: {shown}: {error}"]) from None
    if parts.scheme != "unix":
        _database(parts.path.strip("/"), shown)
    # They are named in the URL too, if at all, and mean the same there.
    return Target(parts.scheme, url, shown, options=tuple(secure.items()))


def _database(given: str, shown: str) -> int:
    """The number at the end of a URL. redis-py takes a word there for database 0."""
    if given and not (given.isascii() and given.isdigit()):
        raise ConfigError([f"url: {shown}: {given!r} is not the number of a database"])
    return int(given or 0)


def _with_nodes(scheme: str, url: str, shown: str, options: dict[str, Any]) -> Target:
    parts = urlsplit(url)
    hosts = parts.netloc.rpartition("@")[2]
    nodes = []
    for host in hosts.split(","):
        name, _, port = host.rpartition(":") if ":" in host else (host, "", "")
        number = port or ("26379" if scheme == "redis+sentinel" else "6379")
        if not name or not number.isdigit():
            # Not what stands there: it may be a password in the wrong place.
            raise ConfigError([f"url: one of its {len(hosts.split(','))} hosts is not host:port"])
        nodes.append((name, int(number)))
    service, _, db = parts.path.strip("/").partition("/")
    if scheme == "redis+sentinel":
        if not service:
            raise ConfigError(["url: redis+sentinel:// needs a service, as in redis+sentinel://host:26379/service/0"])
        options["db"] = _database(db, shown)
    return Target(scheme, url, shown, tuple(nodes), service, tuple(sorted(options.items())))


def redacted(url: str) -> str:
    """The URL without its password, for logs and messages."""
    parts = urlsplit(url)
    user, at, hosts = parts.netloc.rpartition("@")
    if not at:
        return url.partition("?")[0].partition("#")[0]
    name, colon, _password = user.partition(":")
    # A name alone may be a password that somebody forgot the colon of.
    return parts._replace(netloc=f"{name if colon else ''}:***@{hosts}", query="", fragment="").geturl()


def sync_client(target: Target, timeout: float, connections: int) -> Any:
    """A sync redis-py client. `timeout` in seconds for one reply, and at most for connecting. Raises ConfigError and
    StoreUnavailable for a cluster that is not there."""
    common = _common(target, timeout, connections, Retry(NoBackoff(), 0))
    if target.scheme == "redis+sentinel":
        options = dict(target.options)
        watch: Any = _SENTINEL(list(target.nodes), sentinel_kwargs=_to_sentinels(options, common), **_auth(options))
        return watch.master_for(target.service, redis.Redis, **common, **options)
    if target.scheme == "redis+cluster":
        host, port = target.nodes[0]
        try:
            return RedisCluster(host=host, port=port, **common, **dict(target.options))
        except (redis.RedisError, redis.exceptions.RedisClusterException) as error:  # it asks for the slots at once
            raise _unreachable(error) from error
    pool = redis.BlockingConnectionPool.from_url(target.url, timeout=None, **common, **dict(target.options))
    return redis.Redis.from_pool(pool)


def async_client(target: Target, timeout: float, connections: int) -> Any:
    """An asyncio redis-py client, as `sync_client`."""
    common = _common(target, timeout, connections, AsyncRetry(NoBackoff(), 0))
    if target.scheme == "redis+sentinel":
        options = dict(target.options)
        watch: Any = _ASYNC_SENTINEL(
            list(target.nodes), sentinel_kwargs=_to_sentinels(options, common), **_auth(options)
        )
        return watch.master_for(target.service, redis.asyncio.Redis, **common, **options)
    if target.scheme == "redis+cluster":
        host, port = target.nodes[0]
        return AsyncRedisCluster(host=host, port=port, **common, **dict(target.options))
    pool = redis.asyncio.BlockingConnectionPool.from_url(target.url, timeout=None, **common, **dict(target.options))
    return redis.asyncio.Redis.from_pool(pool)


def close_sync(client: Any) -> None:
    """Close a client of `sync_client`, and the clients of the Sentinels it asks."""
    watches = _sentinels(client)
    client.close()
    for watch in watches:
        watch.close()


async def close_async(client: Any) -> None:
    """Close a client of `async_client`, and the clients of the Sentinels it asks."""
    watches = _sentinels(client)
    await client.aclose()
    for watch in watches:
        await watch.aclose()


def _sentinels(client: Any) -> tuple[Any, ...]:
    manager = getattr(getattr(client, "connection_pool", None), "sentinel_manager", None)
    return tuple(getattr(manager, "sentinels", ()))


def _unreachable(error: Exception) -> CoordinatorError:
    trouble = tls.problem(f"{error} {error.__cause__}")
    if trouble is not None:
        return ConfigError([f"TLS: {trouble}"])
    return StoreUnavailable(f"no node of the cluster can be reached: {error}")


def _common(target: Target, timeout: float, connections: int, retry: Any) -> dict[str, Any]:
    # Until the Sentinels have noticed that a primary is cut off they send everybody there. It takes a server a moment
    # to answer to that much, however busy it is; whoever waits longer is late at the new primary.
    brief = min(timeout, max(CONNECT_SECONDS, timeout / 4)) if target.scheme == "redis+sentinel" else timeout
    return {
        "socket_timeout": timeout,
        "socket_connect_timeout": brief,
        "retry": retry,
        "retry_on_error": [],
        "max_connections": connections + SPARE,
        "decode_responses": False,
        "client_name": "coordinator",
    }


def _to_sentinels(options: Mapping[str, Any], common: Mapping[str, Any]) -> dict[str, Any]:
    """How the Sentinels themselves are spoken to: asked once, as the next is there; with TLS if the server is."""
    return {
        **{name: common[name] for name in ("socket_timeout", "socket_connect_timeout", "retry", "retry_on_error")},
        **{name: value for name, value in options.items() if name == "ssl" or name.startswith("ssl_")},
    }


def _auth(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in ("username", "password") if name in options}
