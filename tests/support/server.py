"""Which real Redis servers the tests run against, and small helpers around them."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import psutil
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from coordinator.drivers.embedded import ServerKind, find_server
from coordinator.errors import ServerStartError

CHOICE = "COORDINATOR_TEST_SERVER"


def chosen_kind() -> ServerKind | None:
    """The kind of server this run is for; None leaves it to the usual search."""
    choice = os.environ.get(CHOICE) or None
    for kind in get_args(ServerKind):
        if choice == kind:
            return kind
    if choice is not None:
        raise ValueError(f"{CHOICE} must be one of {', '.join(get_args(ServerKind))}, not {choice!r}")
    return None


def chosen_server() -> Path:
    """The server this run is for."""
    return find_server(chosen_kind())


def available_servers() -> dict[str, Path]:
    """The servers that tests of the embedding itself go through: the chosen one, else every one there is."""
    found: dict[str, Path] = {}
    kind = chosen_kind()
    for each in (kind,) if kind else get_args(ServerKind):
        try:
            found[each] = find_server(each)
        except ServerStartError:
            continue
    return found


def plain_client(url: str) -> "redis.Redis":
    """A client that answers in bytes and never sends a command twice; the caller closes it."""
    return redis.Redis.from_url(url, decode_responses=False, retry=Retry(NoBackoff(), 0), socket_timeout=10)


def gone(pid: int) -> bool:
    """Whether a process has ended; one that only waits to be reaped has."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def eventually(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition comes true in time, looked at every few milliseconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
