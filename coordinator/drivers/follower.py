"""Waiting for something new in a stream, on a connection of its own: what blocks must be in nobody's way."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

from coordinator.drivers.connect import Target, async_client, close_async, close_sync, sync_client
from coordinator.drivers.store import FAILED
from coordinator.errors import CoordinatorError
from coordinator.wire.replies import UNREADABLE

log = logging.getLogger(__name__)

# One read blocks no longer: after that its owner looks whether it is still wanted.
READ_SECONDS = 1.0
# Before the next try while the server is away.
PAUSE_SECONDS = 0.5
# A connection that is closed under a read that goes on shows itself in many ways.
_TROUBLE = (*FAILED, *UNREADABLE, CoordinatorError, OSError)


def _words(stream: str, after: str) -> tuple[Any, ...]:
    return ("XREAD", "COUNT", 1, "BLOCK", round(READ_SECONDS * 1000), "STREAMS", stream, after)


class Follower:
    """Waits in one thread; `close` may be called by another, and ends a wait that goes on."""

    def __init__(self, target: Target, seconds: float, stream: str) -> None:
        self._target, self._seconds, self._stream = target, seconds + READ_SECONDS, stream
        self._client: Any = None
        self._closed = threading.Event()

    def wait(self, after: str) -> None:
        """Until there may be something after that entry, or for a while."""
        try:
            if self._client is None:
                self._client = sync_client(self._target, self._seconds, 1)
            self._client.execute_command(*_words(self._stream, after))
        except _TROUBLE as error:
            self.rest(error)
        if self._closed.is_set():
            self._drop()

    def rest(self, error: Exception) -> None:
        """Wait before the next try."""
        log.debug("following %s failed: %s", self._stream, error)
        self._closed.wait(PAUSE_SECONDS)

    def close(self) -> None:
        """Give the connection back. Safe to call twice."""
        self._closed.set()
        self._drop()

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            close_sync(client)


class AsyncFollower:
    """As `Follower`, for one event loop."""

    def __init__(self, target: Target, seconds: float, stream: str) -> None:
        self._target, self._seconds, self._stream = target, seconds + READ_SECONDS, stream
        self._client: Any = None
        self._closed = asyncio.Event()

    async def wait(self, after: str) -> None:
        """Until there may be something after that entry, or for a while."""
        try:
            if self._client is None:
                self._client = async_client(self._target, self._seconds, 1)
            await self._client.execute_command(*_words(self._stream, after))
        except _TROUBLE as error:
            await self.rest(error)
        if self._closed.is_set():
            await self._drop()

    async def rest(self, error: Exception) -> None:
        """Wait before the next try."""
        log.debug("following %s failed: %s", self._stream, error)
        try:
            await asyncio.wait_for(self._closed.wait(), PAUSE_SECONDS)
        except TimeoutError:
            return

    async def close(self) -> None:
        """Give the connection back. Safe to call twice."""
        self._closed.set()
        await self._drop()

    async def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await close_async(client)
