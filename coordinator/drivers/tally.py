"""Whether messages of the server were lost, from the counts in the answer to each heartbeat.

Messages are hints, and losing one must cost a heartbeat, never a wait without end. The server counts what it ever sent
to the inbox and what lies in it; what it sent, is not there any more and has not come here was lost, or is being handed
over this very moment. The two look alike once, not twice: so a gap is taken for a loss until it has been there at two
heartbeats, and looking again too often does no harm.
"""

from __future__ import annotations

# How long messages may lie in the inbox before its reader is taken for dead.
STUCK_SECONDS = 1.0


class Tally:
    """The count of one session's messages. `arrived` is counted up by whoever reads them."""

    def __init__(self) -> None:
        self.arrived = 0
        # Gaps that are known by now, and how large it was last time.
        self._known_gap = self._last_gap = 0
        self._looked_for = 0
        self._waiting_since: float | None = None

    def behind(self, sent: int, waiting: int) -> bool:
        """Whether there is news that has not come: lost, or unread in the inbox. `sent` in all, `waiting` there now."""
        gap = max(0, sent - waiting - self.arrived)
        unread = waiting > 0 and sent > self._looked_for
        news = gap > self._known_gap or unread
        self._known_gap, self._last_gap = min(gap, self._last_gap), gap
        if unread:
            self._looked_for = sent
        return news

    def stuck(self, waiting: int, now: float) -> bool:
        """Whether messages have been waiting for so long that nobody can be reading: the connection may be dead
        without knowing it. `now` is on the clock of leases; true once, then the time begins anew."""
        if not waiting:
            self._waiting_since = None
        elif self._waiting_since is None:
            self._waiting_since = now
        elif now - self._waiting_since >= STUCK_SECONDS:
            self._waiting_since = None
            return True
        return False
