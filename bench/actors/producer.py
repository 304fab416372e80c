"""What every job queue is asked to do by its client side, timed alike: blocking and asyncio."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.actors.marks import MarkReader
from bench.actors.speech import said

What = int | str
LOOK_SECONDS = 0.002
ANSWER_SECONDS = 10.0


class Parcel(NamedTuple):
    """One job to be: its only argument, how urgent (0 to 4, 4 first; None: no priority), its resource if any."""

    what: What
    level: int | None = None
    resource: str | None = None


class Stopwatch:
    """Wall and processor time of this process since it was made, and a limit on the former."""

    def __init__(self, limit: float = float("inf")) -> None:
        self._wall, self._cpu, self._limit = time.monotonic(), time.process_time(), limit

    @property
    def over(self) -> bool:
        return time.monotonic() - self._wall > self._limit

    def read(self, count: int) -> dict[str, float]:
        return {
            "count": count,
            "seconds": time.monotonic() - self._wall,
            "cpu": time.process_time() - self._cpu,
        }


class Watch:
    """Waits for a job to be begun by a worker, looking at its marks."""

    def __init__(self) -> None:
        self._reader = MarkReader(Path(said("MARKS")))
        self._before = self._reader.look()

    def begun(self, so_many: int) -> int:
        """When that mark was made, counted from when the watch was, in ns; 0 if it is not there yet."""
        place = self._before + so_many
        return self._reader.marks[place - 1].at if self._reader.look() >= place else 0


def parcels(count: int, levels: int = 0) -> list[Parcel]:
    """Numbered jobs; with levels, each fifth more urgent than the one before, so that arrival is no order."""
    return [Parcel(number, number % levels if levels else None) for number in range(count)]


class Producer:
    """A blocking client. An actor says how its library sends one job, and many if it can."""

    many = 0  # how many jobs a bulk call takes; 0: the library has none

    def send(self, parcel: Parcel) -> Any:
        """Hand in one job."""
        raise NotImplementedError

    def send_many(self, chunk: Sequence[Parcel]) -> Any:
        """Hand in many jobs by one call."""
        raise NotImplementedError

    def settled(self) -> int | None:
        """How many jobs are on record as done; None from a library that is not asked."""
        return None

    def enqueue(self, count: int, payload: int, limit: float) -> dict[str, float]:
        """Jobs one by one, each with `payload` bytes."""
        parcel = Parcel("x" * payload)
        watch, done = Stopwatch(limit), 0
        while done < count and not watch.over:
            self.send(parcel)
            done += 1
        return watch.read(done)

    def enqueue_many(self, count: int, payload: int, limit: float) -> dict[str, float]:
        """Jobs in bulk."""
        chunk = [Parcel("x" * payload)] * self.many
        watch, done = Stopwatch(limit), 0
        while done < count and not watch.over:
            self.send_many(chunk)
            done += self.many
        return watch.read(done)

    def fill(self, rows: Sequence[Sequence[Any]], limit: float) -> dict[str, float]:
        """These very jobs, the quickest way the library has."""
        todo = [Parcel(*row) for row in rows]
        watch, done, step = Stopwatch(limit), 0, self.many or 1
        while done < len(todo) and not watch.over:
            chunk = todo[done : done + step]
            if self.many:
                self.send_many(chunk)
            else:
                self.send(chunk[0])
            done += len(chunk)
        return watch.read(done)

    def latency(self, count: int, limit: float) -> list[int]:
        """Per job the ns from before it is handed in to the first line of its handler; the worker is idle each time."""
        watch, overall, found = Watch(), Stopwatch(limit), list[int]()
        while len(found) < count and not overall.over:
            sent, waiting = time.monotonic_ns(), Stopwatch(ANSWER_SECONDS)
            self.send(Parcel(len(found)))
            while not (begun := watch.begun(len(found) + 1)):
                if waiting.over:
                    raise TimeoutError(f"job {len(found)} was not begun in {ANSWER_SECONDS:g} s")
                time.sleep(LOOK_SECONDS)
            found.append(begun - sent)
            time.sleep(LOOK_SECONDS)
        return found
