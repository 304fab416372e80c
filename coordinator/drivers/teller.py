"""Tells the server anew what a worker told it of its handlers when it opened its session, once that has changed, and
which version of the fleet's settings the process goes by and what of it it could not take over.

It is told with the next heartbeat, and again with each one after it until it was answered. A session that is opened
later begins with it. What gates there are is told again once a day: the server forgets handlers that nobody has told of
for a week.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from coordinator.drivers import clock
from coordinator.drivers.store import Store
from coordinator.errors import AccessDenied, CoordinatorError
from coordinator.wire import calls, replies
from coordinator.wire.calls import Scope

log = logging.getLogger(__name__)

GATES, CONFIG = "gates ", "config"
# Characters of complaints that are told; the log has them all.
MAX_REFUSED = 500
# Seconds after which all gates are told again.
AGAIN = 86_400.0


class Teller:
    """`fields` are those that the keeper opens a session with. Safe for many threads; `tell` is called by one."""

    def __init__(
        self,
        store: Store,
        scope: Callable[[], Scope],
        fields: dict[str, str],
        now: Callable[[], float] = clock.now,
    ) -> None:
        self._store, self._scope, self._fields, self._now = store, scope, fields, now
        self._again = now() + AGAIN
        self._lock = threading.Lock()
        self._untold: dict[str, str] = {}
        self._taken = ""

    def took(self, version: int, refused: Sequence[str]) -> None:
        """What is to be told: the version of the fleet's settings, and complaints about it."""
        with self._lock:
            self._taken = f"{version} {'; '.join(refused)}"[:MAX_REFUSED].rstrip()

    def change(self, gates: Mapping[str, str]) -> None:
        """What is to be told: the gates of handlers."""
        with self._lock:
            new = {name: one for name, one in gates.items() if self._fields.get(GATES + name) != one}
            self._fields.update({GATES + name: one for name, one in new.items()})
            self._untold.update(new)

    def tell(self, session: str) -> None:
        """Tell what is untold, if anything is."""
        with self._lock:
            if self._now() >= self._again:
                self._again = self._now() + AGAIN
                begins = len(GATES)
                self._untold = {one[begins:]: told for one, told in self._fields.items() if one.startswith(GATES)}
            gates, taken = dict(self._untold), self._taken
        if not gates and not taken:
            return
        try:
            call = calls.tell(self._scope(), session, gates, taken)
            if replies.expect(self._store.call(call, 0.0), "ok", "session_lost") == "session_lost":
                return
        except AccessDenied as error:
            log.info("what has changed is told nobody: %s", error)  # a user as an earlier version had it
        except CoordinatorError as error:
            log.warning("what has changed could not be told yet: %s", error)
            return
        with self._lock:
            # What has changed again in between is told with the next beat.
            self._untold = {name: one for name, one in self._untold.items() if gates.get(name) != one}
            if taken:
                self._fields[CONFIG] = taken
            self._taken = "" if self._taken == taken else self._taken
