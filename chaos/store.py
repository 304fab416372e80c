"""What locks guard in a run: a store in a file, with one row per resource, written to by many processes.

A guarded row remembers the largest fence it has seen and takes no write under a smaller one. An unguarded row takes
everything, as most things in the world do; it is the control that shows what the fence is for.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from chaos.history import Recorder

BUSY_SECONDS = 30.0
_PLAIN = (
    "INSERT INTO rows VALUES (?, ?, 1) "
    "ON CONFLICT (name) DO UPDATE SET fence = excluded.fence, writes = writes + 1 RETURNING writes"
)
_GUARDED = _PLAIN.replace(" RETURNING", " WHERE excluded.fence >= rows.fence RETURNING")


class FencedStore:
    """One process's connection to the store. Not for several threads."""

    def __init__(self, path: Path, recorder: Recorder) -> None:
        self._recorder = recorder
        self._db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.execute("CREATE TABLE IF NOT EXISTS rows (name TEXT PRIMARY KEY, fence INTEGER, writes INTEGER)")

    def write(self, resource: str, fence: int, *, guarded: bool) -> bool:
        """Write under a fence. Whether the write was taken."""
        with self._recorder.doing("write", fence, resource=resource, guarded=guarded) as pending:
            place = self._compare_and_write(resource if guarded else f"{resource} unguarded", fence, guarded)
            pending.outcome = "failed" if place is None else "ok"
            if place is not None:
                pending.args["place"] = place
        return place is not None

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def _compare_and_write(self, name: str, fence: int, guarded: bool) -> int | None:
        """The number of the write among all that the row has taken, or None if it did not."""
        found = self._db.execute(_GUARDED if guarded else _PLAIN, (name, fence)).fetchone()
        return None if found is None else int(found[0])
