"""Which coordinator keeps the lines of a redis-py client's locks.

The one that was attached to it; else one per server and process (asyncio: and loop), made from the client's own
connection. Clients of one server share it, so a client per request costs no session each.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from typing import Any
from urllib.parse import quote, urlencode

import redis
import redis.asyncio
from redis.asyncio.connection import SSLConnection as AsyncSSLConnection
from redis.asyncio.connection import UnixDomainSocketConnection as AsyncUnixConnection

from coordinator.aclient import AsyncCoordinator
from coordinator.client import Coordinator
from coordinator.errors import ConfigError

_SSL = (redis.SSLConnection, AsyncSSLConnection)
_UNIX = (redis.UnixDomainSocketConnection, AsyncUnixConnection)
_PLAIN = (redis.Connection, redis.asyncio.Connection)
# What a connection is told that is no part of where the server is.
_TLS_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")

_lock = threading.Lock()
_attached: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
_shared: dict[str, Coordinator] = {}
_shared_by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, AsyncCoordinator]] = (
    weakref.WeakKeyDictionary()
)
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def attach(client: Any, coordinator: Coordinator | AsyncCoordinator) -> None:
    """Have a coordinator keep the lines of this client's locks. All that share locks must use one namespace."""
    with _lock:
        _attached[client] = coordinator


def coordinator_of(client: Any) -> Coordinator:
    """The coordinator of a redis-py client. Raises ConfigError for one that has to be attached."""
    with _lock:
        found = _attached.get(client)
        if isinstance(found, Coordinator):
            return found
        url = url_of(client)
        shared = _shared.get(url)
        if shared is None or shared.closed:
            shared = _shared[url] = Coordinator.connect(url)
        return shared


def async_coordinator_of(client: Any) -> AsyncCoordinator:
    """The coordinator of a redis.asyncio client, on the running loop. Raises ConfigError as `coordinator_of`."""
    loop = asyncio.get_running_loop()
    with _lock:
        found = _attached.get(client)
        if isinstance(found, AsyncCoordinator):
            return found
        url, known = url_of(client), _shared_by_loop.setdefault(loop, {})
        if url not in known or known[url].closed:
            known[url] = AsyncCoordinator.connect(url)
        return known[url]


def url_of(client: Any) -> str:
    """The URL of a client's one server. Raises ConfigError for a Cluster, a Sentinel or credentials from elsewhere."""
    pool = getattr(client, "connection_pool", None)
    kind = getattr(pool, "connection_class", object)
    options: dict[str, Any] = getattr(pool, "connection_kwargs", {})
    known = kind in (*_SSL, *_UNIX, *_PLAIN)
    if not known or options.get("credential_provider") is not None:
        raise ConfigError(
            [f"a coordinator cannot be made from {type(client).__name__}: name one, `patch(client, coordinator)`"]
        )
    words = {"db": options.get("db") or 0}
    user = ""
    if options.get("password"):
        user = f"{quote(options.get('username') or '', safe='')}:{quote(options['password'], safe='')}@"
    if kind in _UNIX:
        return f"unix://{user}{quote(options['path'])}?{urlencode(words)}"
    words.update({name: options[name] for name in _TLS_OPTIONS if options.get(name)})
    scheme = "rediss" if kind in _SSL else "redis"
    host = str(options.get("host") or "localhost")
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{user}{shown}:{options.get('port') or 6379}/{words.pop('db')}" + (
        f"?{urlencode(words)}" if words else ""
    )
