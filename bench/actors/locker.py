"""What every lock is asked to do, timed alike. Blocking, for the locks that are compared are."""

from __future__ import annotations

import threading
import time
from typing import Any

from bench.actors.producer import Stopwatch

JOIN_SECONDS = 60.0


class Locker:
    """A client of a lock library. An actor says how to take a lock, waiting for it, and how to give it back."""

    def __init__(self) -> None:
        self._held: dict[str, Any] = {}

    def acquire(self, name: str) -> Any:
        """Wait for the lock and return what `release` needs."""
        raise NotImplementedError

    def release(self, held: Any) -> None:
        """Give it back."""
        raise NotImplementedError

    def pairs(self, count: int, limit: float) -> dict[str, float]:
        """Acquire and release a lock that nobody else wants."""
        watch, done = Stopwatch(limit), 0
        while done < count and not watch.over:
            self.release(self.acquire("alone"))
            done += 1
        return watch.read(done)

    def contend(self, threads: int, start_at: int, seconds: float, hold: float) -> dict[str, Any]:
        """Threads that all want one lock again and again: per thread the ns that each grant was waited for."""
        waits: list[list[int]] = [[] for _ in range(threads)]
        end = start_at + int(seconds * 1e9)

        def strive(found: list[int]) -> None:
            time.sleep(max(0.0, (start_at - time.monotonic_ns()) / 1e9))
            while (asked := time.monotonic_ns()) < end:
                held = self.acquire("wanted")
                found.append(time.monotonic_ns() - asked)
                time.sleep(hold)
                self.release(held)

        crowd = [threading.Thread(target=strive, args=(each,), daemon=True) for each in waits]
        cpu = time.process_time()
        for one in crowd:
            one.start()
        for one in crowd:
            one.join(JOIN_SECONDS)
        return {"waits": waits, "cpu": time.process_time() - cpu}

    def take(self) -> int:
        """Wait for a lock; the ns when it was ours."""
        self._held["passed"] = self.acquire("passed")
        return time.monotonic_ns()

    def give(self) -> int:
        """Give it back; the ns before that."""
        begun = time.monotonic_ns()
        self.release(self._held.pop("passed"))
        return begun
