"""What each process did and saw: one file of JSON lines for each process, written line by line as it happens.

The lines are for the checker, so they say what the process *believed* and when: `holding` is written after it was told
that it has the resources, `done` before it gives them back. Times are seconds since the epoch on a clock that never
steps. Processes on one machine share the anchor of that clock (`ANCHOR`), so that their times can be compared exactly.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ANCHOR = "DEMO_ANCHOR"
FOLDER = "DEMO_HISTORY"

Line = dict[str, Any]


def clock() -> float:
    """Seconds since the epoch, going only forward."""
    return _anchor + time.monotonic()


class Recorder:
    """The history of one process. Safe for many threads; a line is on disk's way before `note` returns."""

    def __init__(self, folder: Path, process: str) -> None:
        self.process = process
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / f"{process}.jsonl").open("a", encoding="utf-8", buffering=1)

    def note(self, event: str, **facts: Any) -> None:
        """Add one line. The time is taken here, in the order of the lines."""
        with self._lock:
            line = {"t": round(clock(), 6), "process": self.process, "event": event, **facts}
            self._file.write(json.dumps(line, separators=(",", ":")) + "\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read(folder: Path) -> list[Line]:
    """All lines of all processes, each process's in its own order, merged by time."""
    lines = [line for path in sorted(folder.glob("*.jsonl")) for line in _lines(path)]
    return sorted(lines, key=lambda line: float(line["t"]))


def _lines(path: Path) -> Iterator[Line]:
    with path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, 1):
            # Only the last line of a process that was killed may be cut off.
            if text.endswith("\n"):
                try:
                    yield json.loads(text)
                except json.JSONDecodeError as error:
                    raise ValueError(f"{path}:{number}: not JSON: {error}") from None


_anchor = float(os.environ.get(ANCHOR) or time.time() - time.monotonic())
