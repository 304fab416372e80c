"""Where a coroutine of an asyncio client waits for messages; `hall` has that of threads."""

from __future__ import annotations

import asyncio
from collections import deque

from coordinator.drivers.messages import Words, is_news


class AsyncSlot:
    """Messages about one request; at most one coroutine waits on it."""

    __slots__ = ("_messages", "_waiter")

    def __init__(self) -> None:
        self._messages: deque[Words] = deque()
        self._waiter: asyncio.Future[None] | None = None

    def put(self, words: Words) -> None:
        """Keep a message."""
        if is_news(words, self._messages):
            self._messages.append(words)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def get(self, seconds: float | None) -> Words | None:
        """The next message; None after so many seconds, if any."""
        if not self._messages:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(seconds):
                    await self._waiter
            except TimeoutError:
                return None
            finally:
                self._waiter = None
        return self._messages.popleft() if self._messages else None
