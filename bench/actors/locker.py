"""What every lock is asked to do, timed alike. Blocking, for the locks that are compared are."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from bench.actors.producer import Stopwatch

JOIN_SECONDS = 60.0


class Locker:
    """A client of a lock library. An actor says how to take a lock, waiting for it, and how to give it back."""

    def __init__(self) -> None:
        self._held: dict[str, Any] = {}
        self._spent = 0.0

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
        """Threads that all want one lock again and again: per thread the ns that each grant was waited for, and from
        when until when each was had. Raises what a thread met, for that one has wanted nothing since."""
        waits: list[list[int]] = [[] for _ in range(threads)]
        holds: list[tuple[int, int]] = []
        end = start_at + int(seconds * 1e9)

        def strive(found: list[int]) -> None:
            time.sleep(max(0.0, (start_at - time.monotonic_ns()) / 1e9))
            while (asked := time.monotonic_ns()) < end:
                held = self.acquire("wanted")
                had = time.monotonic_ns()
                found.append(had - asked)
                time.sleep(hold)
                holds.append((had, time.monotonic_ns()))
                self.release(held)

        cpu = time.process_time()
        _at_once([partial(strive, each) for each in waits])
        return {"waits": waits, "holds": holds, "cpu": time.process_time() - cpu}

    def take(self) -> int:
        """Wait for a lock; the ns when it was ours."""
        cpu = time.process_time()
        self._held["passed"] = self.acquire("passed")
        had = time.monotonic_ns()
        self._spent += time.process_time() - cpu
        return had

    def give(self) -> int:
        """Give it back; the ns before that."""
        cpu, begun = time.process_time(), time.monotonic_ns()
        self.release(self._held.pop("passed"))
        self._spent += time.process_time() - cpu
        return begun

    def spent(self) -> float:
        """Seconds of processor time that `take` and `give` have used."""
        return self._spent


def _at_once(work: Sequence[Callable[[], None]]) -> None:
    """Each in a thread of its own. Raises what the first of them raised that failed."""
    failed: list[Exception] = []

    def guarded(one: Callable[[], None]) -> None:
        try:
            one()
        except Exception as error:
            failed.append(error)

    crowd = [threading.Thread(target=guarded, args=(one,), daemon=True) for one in work]
    for each in crowd:
        each.start()
    for each in crowd:
        each.join(JOIN_SECONDS)
    if failed:
        raise failed[0]
    if any(each.is_alive() for each in crowd):
        raise TimeoutError(f"one is still at it after {JOIN_SECONDS:g} s")
