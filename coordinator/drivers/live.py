"""The settings of a process that runs: those it began with, under those that were changed for the whole fleet.

With each heartbeat the server says which version of the configuration holds; another one than the last is fetched and
taken over, by the thread that beats. A section that is not valid over what this process began with stays as it was, and
is warned of once per version.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from coordinator import live
from coordinator.errors import CoordinatorError
from coordinator.ops.configuring import Configuration
from coordinator.settings import Settings

log = logging.getLogger(__name__)

Taker = Callable[[Settings], None]


def _nobody(_version: int, _refused: Sequence[str]) -> None:
    """Nobody is to be told."""


class LiveSettings:
    """Safe for many threads. `fetch` asks the server; `taker` is told of other settings, before those who subscribe."""

    def __init__(self, base: Settings, fetch: Callable[[], Configuration], taker: Taker) -> None:
        self.base = self.current = base
        self._fetch, self._takers = fetch, [taker]
        # Told which version this process goes by, and what of it cannot be taken over; must not wait for anything.
        self._on_taken: Callable[[int, Sequence[str]], None] = _nobody
        self._refused: Sequence[str] = ()
        self._lock = threading.Lock()
        self._version = 0

    def on_change(self, taker: Taker) -> None:
        """Have `taker` called with the new settings whenever they change: from any thread, so it must be quick and
        must not wait for anything."""
        with self._lock:
            self._takers.append(taker)

    def report_to(self, taken: Callable[[int, Sequence[str]], None]) -> None:
        """Have `taken` called with each version that is taken over, and what of it cannot be: now with the one in
        force, if there is any. From any thread, so it must not wait for anything. Called where a process begins: in a
        forked one the lock may be that of a thread which is no more."""
        self._lock, self._on_taken = threading.Lock(), taken
        if self._version:
            taken(self._version, self._refused)

    @property
    def version(self) -> int:
        """The version that was last taken over."""
        return self._version

    def heard(self, version: int) -> None:
        """The version that the server says holds."""
        known = self._version
        if version != known:
            try:
                found = self._fetch()
            except CoordinatorError as error:
                log.debug("the configuration of the fleet could not be read yet: %s", error)
                return
            self.take(found, known)

    def take(self, found: Configuration, known: int) -> None:
        """Take over what holds for the fleet. `known` is the `version` of before it was asked for: if another was taken
        over since, only a newer one counts. Else an older one does too, for versions begin anew in a namespace that was
        emptied."""
        with self._lock:
            if found.version == self._version or known != self._version > found.version:
                return
            self._version = found.version
            settings, self._refused = live.salvaged(self.base, self.current, found.values)
            if self._refused:
                said = "; ".join(self._refused)
                log.warning("not all of the fleet's configuration can be taken over here: %s", said)
            self._on_taken(found.version, self._refused)
            if settings == self.current:
                return
            self.current = settings
            log.info("the configuration of the fleet is taken over: version %d", found.version)
            for taker in self._takers:
                try:
                    taker(settings)
                except Exception:
                    log.exception("new settings could not be taken over by one of those that go by them")
