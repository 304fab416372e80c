"""Watching resources, in the asyncio client."""

from __future__ import annotations

import os
from collections import deque
from types import TracebackType
from typing import Self

from coordinator.drivers.aio import AsyncDriver
from coordinator.drivers.follower import AsyncFollower
from coordinator.errors import ClientClosed, StoreUnavailable, UnknownOutcome
from coordinator.keys import key
from coordinator.ops import watching
from coordinator.ops.watching import Change


class AsyncWatch:
    """Changes of resources as they happen: iterate over it. It ends when it or its client is closed; as a context
    manager it closes itself.

    It begins where it is entered, or with the first look at it. `after` is from where another watch can go on. It has a
    connection of its own, which is given back when it is closed. While the server is away it waits.
    """

    def __init__(self, driver: AsyncDriver, pattern: str, after: str) -> None:
        self._pattern, self.after = watching.checked(pattern, after)
        self._seen = self.after
        self._driver, self._pid, self._closed = driver, os.getpid(), False
        settings = driver.settings
        stream = key(settings.namespace, "EVENTS")
        self._follower = AsyncFollower(driver.target, settings.operation_timeout, stream)
        self._found: deque[Change] = deque()

    @property
    def closed(self) -> bool:
        """Whether it is over."""
        return self._closed or self._driver.closed or self._pid != os.getpid()

    async def close(self) -> None:
        """End it, also one that somebody waits for. Safe to call twice."""
        self._closed = True
        await self._follower.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        while not self.closed and not self._found:
            await self._look()
        if self.closed:
            await self.close()
            raise StopAsyncIteration
        change = self._found.popleft()
        self.after = change.ident if self._found else self._seen
        return change

    async def _look(self) -> None:
        """Take the next page, and wait if there is nothing on it."""
        after = self._seen
        try:
            page = await self._driver.run(watching.page(self._driver.scope, after))
        except ClientClosed:
            return
        except (StoreUnavailable, UnknownOutcome) as error:
            await self._follower.rest(error)
            return
        self._seen = page.last
        self._found.extend(watching.changes(page, self._pattern, after))
        if not self._found:
            self.after = self._seen
        if after and not page.happenings and not page.gap:
            await self._follower.wait(self._seen)

    async def __aenter__(self) -> Self:
        if not self._seen:
            await self._look()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
