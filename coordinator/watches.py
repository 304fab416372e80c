"""Watching resources, in the sync client."""

from __future__ import annotations

import os
from collections import deque
from types import TracebackType
from typing import Self

from coordinator.drivers.follower import Follower
from coordinator.drivers.sync import SyncDriver
from coordinator.errors import ClientClosed, StoreUnavailable, UnknownOutcome
from coordinator.keys import key
from coordinator.ops import watching
from coordinator.ops.watching import Change


class Watch:
    """Changes of resources as they happen: iterate over it. It ends when it or its client is closed; as a context
    manager it closes itself.

    It begins where it is entered, or with the first look at it. `after` is from where another watch can go on. It has a
    connection of its own, which is given back when it is closed. While the server is away it waits.
    """

    def __init__(self, driver: SyncDriver, pattern: str, after: str) -> None:
        self._pattern, self.after = watching.checked(pattern, after)
        self._seen = self.after
        self._driver, self._pid, self._closed = driver, os.getpid(), False
        settings = driver.settings
        stream = key(settings.namespace, "EVENTS")
        self._follower = Follower(driver.target, settings.operation_timeout, stream)
        self._found: deque[Change] = deque()

    @property
    def closed(self) -> bool:
        """Whether it is over."""
        return self._closed or self._driver.closed or self._pid != os.getpid()

    def close(self) -> None:
        """End it, also one that somebody waits for. Safe to call twice."""
        self._closed = True
        self._follower.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Change:
        while not self.closed and not self._found:
            self._look()
        if self.closed:
            self.close()
            raise StopIteration
        change = self._found.popleft()
        self.after = change.ident if self._found else self._seen
        return change

    def _look(self) -> None:
        """Take the next page, and wait if there is nothing on it."""
        after = self._seen
        try:
            page = self._driver.run(watching.page(self._driver.scope, after))
        except ClientClosed:
            return
        except (StoreUnavailable, UnknownOutcome) as error:
            self._follower.rest(error)
            return
        self._seen = page.last
        self._found.extend(watching.changes(page, self._pattern, after))
        if not self._found:
            self.after = self._seen
        if after and not page.happenings and not page.gap:
            self._follower.wait(self._seen)

    def __enter__(self) -> Self:
        if not self._seen:
            self._look()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
